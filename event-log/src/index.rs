//! Where in a segment a partition's events lie: sparse, in memory, rebuilt by scanning.

use std::collections::HashMap;

use model::{SequenceNumber, Timestamp};

use crate::partition::PartitionKey;

/// A partition gets an entry for each so many bytes of its own …
const OWN_BYTES: u64 = 64 * 1024;
/// … and for each so many bytes of the segment, so that a seek scans no more than these.
const SEGMENT_STRETCH_BYTES: u64 = 4 * 1024 * 1024;

/// A frame and the group it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) base: SequenceNumber,
    pub(crate) append_time: Timestamp,
    pub(crate) group_at: u64,
}

#[derive(Debug)]
struct PartitionIndex {
    entries: Vec<IndexEntry>,
    /// Of each entry the latest record timestamp before it, [`Timestamp::NEVER`] for the first.
    timestamps_before: Vec<Timestamp>,
    /// The latest record timestamp of all.
    timestamp_max: Timestamp,
    bytes_since_entry: u64,
}

impl PartitionIndex {
    fn empty() -> Self {
        Self { entries: Vec::new(), timestamps_before: Vec::new(), timestamp_max: Timestamp::NEVER, bytes_since_entry: 0 }
    }
}

/// The partitions that have events in a segment.
#[derive(Debug, Default)]
pub(crate) struct SegmentIndex {
    partitions: HashMap<PartitionKey, PartitionIndex>,
}

impl SegmentIndex {
    /// Notes a frame of so many bytes whose latest record timestamp is `timestamp_max`; frames
    /// come in order.
    pub(crate) fn note(&mut self, key: PartitionKey, entry: IndexEntry, timestamp_max: Timestamp, bytes: u64) {
        let index = self.partitions.entry(key).or_insert_with(PartitionIndex::empty);
        let is_due = index
            .entries
            .last()
            .is_none_or(|last| index.bytes_since_entry >= OWN_BYTES || entry.group_at - last.group_at >= SEGMENT_STRETCH_BYTES);
        if is_due {
            index.entries.push(entry);
            index.timestamps_before.push(index.timestamp_max);
            index.bytes_since_entry = 0;
        }
        index.timestamp_max = index.timestamp_max.max(timestamp_max);
        index.bytes_since_entry += bytes;
    }

    /// The first event that the segment has of a partition.
    pub(crate) fn first(&self, key: PartitionKey) -> Option<IndexEntry> {
        self.partitions.get(&key)?.entries.first().copied()
    }

    /// The last entry at or before `sequence`.
    pub(crate) fn at_or_before(&self, key: PartitionKey, sequence: SequenceNumber) -> Option<IndexEntry> {
        let entries = &self.partitions.get(&key)?.entries;
        let after = entries.partition_point(|entry| entry.base <= sequence);
        entries.get(after.checked_sub(1)?).copied()
    }

    /// The last entry appended before `time`.
    pub(crate) fn before_time(&self, key: PartitionKey, time: Timestamp) -> Option<IndexEntry> {
        let entries = &self.partitions.get(&key)?.entries;
        let after = entries.partition_point(|entry| entry.append_time < time);
        entries.get(after.checked_sub(1)?).copied()
    }

    /// The latest record timestamp of a partition.
    pub(crate) fn timestamp_max(&self, key: PartitionKey) -> Option<Timestamp> {
        self.partitions.get(&key).map(|index| index.timestamp_max)
    }

    /// The last entry before which no record has a timestamp of `time` or later; `None` if the
    /// segment has no such record at all.
    pub(crate) fn before_timestamp(&self, key: PartitionKey, time: Timestamp) -> Option<IndexEntry> {
        let index = self.partitions.get(&key).filter(|index| index.timestamp_max >= time)?;
        let after = index.timestamps_before.partition_point(|before| *before < time);
        index.entries.get(after.saturating_sub(1)).copied()
    }
}
