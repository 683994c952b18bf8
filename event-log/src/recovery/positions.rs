//! Where every partition stands after a scan, and which events are lost. Pure.

use std::collections::HashMap;

use model::{SequenceNumber, Timestamp};

use crate::batch::StoredBatch;
use crate::error::LostRange;
use crate::format::Position;
use crate::partition::{PartitionKey, PartitionProperties};

/// Where every partition stands.
///
/// Numbers of a partition have no gaps, so a frame that begins further on than the last one ended
/// proves what is lost. Where no later frame tells, the partition's numbers go on behind the most
/// events that the damaged bytes could have held: a number is never given twice.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    partitions: HashMap<PartitionKey, Standing>,
    /// Bytes that did not verify so far.
    damaged_bytes: u64,
    lost: Vec<LostRange>,
    /// A first head was read, so partitions it does not name began at 0.
    has_start: bool,
    last_time: Option<Timestamp>,
}

#[derive(Debug)]
struct Standing {
    properties: PartitionProperties,
    /// The damage seen when the partition's position was last proved.
    damage_seen: u64,
}

impl Positions {
    /// Some bytes of the log do not verify.
    pub(super) fn note_damage(&mut self, bytes: u64) {
        self.damaged_bytes += bytes;
    }

    /// A segment's head proves positions.
    pub(super) fn note_head(&mut self, positions: &[Position]) {
        let is_first = !self.has_start && self.damaged_bytes == 0;
        for position in positions {
            let key = (position.hub, position.partition);
            if is_first {
                let properties = PartitionProperties::empty(position.next);
                self.partitions.insert(key, Standing { properties, damage_seen: 0 });
            }
            let standing = self.prove(key, position.next);
            standing.properties.next = position.next.max(standing.properties.next);
            standing.properties.last_enqueued_time = standing.properties.last_enqueued_time.max(Some(position.last_time));
            self.last_time = self.last_time.max(Some(position.last_time));
        }
        self.has_start = true;
    }

    /// A batch that verifies.
    pub(super) fn note_batch(&mut self, key: PartitionKey, batch: &StoredBatch) {
        let standing = self.prove(key, batch.base);
        let properties = &mut standing.properties;
        properties.next = batch.end().max(properties.next);
        properties.bytes += batch.bytes.len() as u64;
        properties.last_enqueued_time = properties.last_enqueued_time.max(Some(batch.append_time));
        self.last_time = self.last_time.max(Some(batch.append_time));
    }

    /// Notes that `key` had reached `sequence`; what lies between is lost.
    fn prove(&mut self, key: PartitionKey, sequence: SequenceNumber) -> &mut Standing {
        let start = if self.has_start { SequenceNumber::FIRST } else { sequence };
        let standing =
            self.partitions.entry(key).or_insert_with(|| Standing { properties: PartitionProperties::empty(start), damage_seen: 0 });
        if standing.properties.next < sequence {
            self.lost.push(lost_range(key, standing.properties.next, sequence));
        }
        standing.damage_seen = self.damaged_bytes;
        standing
    }

    /// Skips the numbers that damage may have taken at the end of partitions; everything lost.
    pub(super) fn close(&mut self) -> Vec<LostRange> {
        for (key, standing) in &mut self.partitions {
            let unproved = self.damaged_bytes - standing.damage_seen;
            if unproved > 0 {
                let from = standing.properties.next;
                standing.properties.next = SequenceNumber(from.0.saturating_add_unsigned(unproved));
                self.lost.push(lost_range(*key, from, standing.properties.next));
            }
        }
        self.lost.sort_unstable();
        self.lost.clone()
    }

    /// Takes out all partitions.
    pub(crate) fn take(&mut self) -> HashMap<PartitionKey, PartitionProperties> {
        self.partitions.drain().map(|(key, standing)| (key, standing.properties)).collect()
    }

    /// Where a partition begins that left no trace: behind everything that damage may hide.
    pub(crate) fn untraced(&self) -> PartitionProperties {
        PartitionProperties::empty(SequenceNumber(i64::try_from(self.damaged_bytes).unwrap_or(i64::MAX)))
    }

    /// The latest append time.
    pub(crate) fn last_time(&self) -> Option<Timestamp> {
        self.last_time
    }
}

fn lost_range((hub, partition): PartitionKey, from: SequenceNumber, end: SequenceNumber) -> LostRange {
    LostRange { hub, partition, from, to: SequenceNumber(end.0 - 1) }
}
