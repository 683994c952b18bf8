//! Segments built by hand, and what their sealed files should give back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};

use crate::batch::{BatchBuilder, Origin, Record, StoredBatch};
use crate::disk::{Disk, FaultyDisk};
use crate::format::{BLOCK_BYTES, FrameHeader, GroupHeader, Position, SegmentIdentity, finish_frame};
use crate::partition::PartitionKey;
use crate::sealed::read::Found;
use crate::sealed::{Place, SealedFile, seal};
use crate::segment::{self, Segment};

pub(super) const DIRECTORY: &str = "log";
pub(super) const IDENTITY: SegmentIdentity = SegmentIdentity { log_id: 0xA11CE, epoch: 7 };
pub(super) const HUB: EventHubId = EventHubId(3);
pub(super) const P0: PartitionId = PartitionId(0);
const GROUPS_AT: u64 = 4096;
const WRITER: u64 = 99;

/// What one batch is to be.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub(super) key: PartitionKey,
    pub(super) count: u32,
    pub(super) body_bytes: usize,
    /// Of its first record; each one after it is a millisecond later.
    pub(super) record_time: i64,
}

pub(super) fn append(partition: u32, body_bytes: usize) -> Append {
    Append { key: (HUB, PartitionId(partition)), count: 1, body_bytes, record_time: 0 }
}

/// A segment on a disk, and the truth about it.
pub(super) struct Built {
    pub(super) disk: FaultyDisk,
    pub(super) segment: Segment,
    pub(super) starts: Vec<Position>,
    pub(super) ends: Vec<Position>,
    pub(super) batches: BTreeMap<PartitionKey, Vec<StoredBatch>>,
}

/// A segment of these groups, each with its append time; partitions stand at `first` before it.
pub(super) fn build(disk: &FaultyDisk, first: i64, groups: &[(i64, Vec<Append>)]) -> Built {
    let file = disk.create(&segment::path(Path::new(DIRECTORY), IDENTITY.epoch)).expect("created");
    let mut positions: BTreeMap<PartitionKey, Position> = BTreeMap::new();
    let mut batches: BTreeMap<PartitionKey, Vec<StoredBatch>> = BTreeMap::new();
    let (mut at, mut starts) = (GROUPS_AT, Vec::new());
    for (number, (time, appends)) in (1_u64..).zip(groups) {
        let append_time = Timestamp::from_milliseconds(*time);
        let mut frames = Vec::new();
        let header = |frames_bytes: usize| GroupHeader {
            identity: IDENTITY,
            number,
            writer: WRITER,
            frames_bytes: frames_bytes as u32,
            frame_count: appends.len() as u32,
            append_time,
        };
        for append in appends {
            let (hub, partition) = append.key;
            let position = positions.entry(append.key).or_insert_with(|| {
                let position = Position { hub, partition, next: SequenceNumber(first), last_time: Timestamp::NEVER };
                starts.push(position);
                position
            });
            let batch = stored(append, position.next, append_time);
            position.next = batch.end();
            position.last_time = append_time;
            put_frame(&mut frames, append.key, &batch, header(0).frame_seed());
            batches.entry(append.key).or_default().push(batch);
        }
        let header = header(frames.len());
        let mut group = header.encode().to_vec();
        group.extend_from_slice(&frames);
        group.resize(group.len().next_multiple_of(BLOCK_BYTES), 0);
        file.write_at(&group, at).expect("written");
        at += group.len() as u64;
    }
    let segment = Segment::new(IDENTITY, file, GROUPS_AT, Vec::new());
    segment.set_end(at);
    Built { disk: disk.clone(), segment, starts, ends: positions.into_values().collect(), batches }
}

fn stored(append: &Append, base: SequenceNumber, append_time: Timestamp) -> StoredBatch {
    let mut builder = BatchBuilder::new(Timestamp::from_milliseconds(append.record_time));
    let body = vec![base.0 as u8; append.body_bytes];
    for number in 0..append.count {
        let timestamp = Timestamp::from_milliseconds(append.record_time + i64::from(number));
        builder.push(Record { timestamp, key: None, value: Some(&body), headers: &[] });
    }
    let mut bytes = builder.finish().bytes.to_vec();
    bytes[..8].copy_from_slice(&base.0.to_be_bytes());
    StoredBatch { base, count: append.count, append_time, origin: Origin::Kafka, wanted: base, bytes: bytes.into() }
}

fn put_frame(frames: &mut Vec<u8>, (hub, partition): PartitionKey, batch: &StoredBatch, seed: u32) {
    let start = frames.len();
    let (base, append_time, count, origin) = (batch.base, batch.append_time, batch.count, batch.origin);
    let header = FrameHeader { hub, partition, base, append_time, count, batch_bytes: batch.bytes.len() as u32, origin };
    frames.extend_from_slice(&header.encode());
    frames.extend_from_slice(&batch.bytes);
    frames.resize(start + header.frame_bytes(), 0);
    finish_frame(&mut frames[start..], append_time, seed);
}

pub(super) fn notes_of(hub: EventHubId) -> Vec<u8> {
    format!("notes of {}", hub.0).into_bytes()
}

impl Built {
    pub(super) fn seal(&self) -> Vec<SealedFile> {
        self.try_seal().expect("sealed")
    }

    pub(super) fn try_seal(&self) -> std::io::Result<Vec<SealedFile>> {
        seal(&self.disk, Path::new(DIRECTORY), &self.segment, &self.starts, &self.ends, &|_| true, &notes_of)
    }
}

/// The one file of [`HUB`].
pub(super) fn only(mut files: Vec<SealedFile>) -> SealedFile {
    assert_eq!(files.len(), 1);
    files.pop().expect("one file")
}

pub(super) fn reopen(disk: &FaultyDisk, file: &SealedFile) -> SealedFile {
    SealedFile::open(disk, file.path()).expect("opened")
}

/// Part of a partition as a reader meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Batch(i64, Arc<[u8]>),
    Gap(i64, i64),
}

impl From<&StoredBatch> for Item {
    fn from(batch: &StoredBatch) -> Self {
        Self::Batch(batch.base.0, batch.bytes.to_vec().into())
    }
}

/// Everything of a partition from `place` on, read with calls of `bytes_max`.
pub(super) fn read_from(file: &SealedFile, partition: PartitionId, mut place: Place, bytes_max: usize) -> Vec<Item> {
    let Some(part) = file.part(partition) else { return Vec::new() };
    let (mut from, end, mut items) = (place.sequence(), part.end, Vec::new());
    while from < end {
        let Found { batches, place: next, gap } = file.read(partition, place, from, end, bytes_max).expect("read");
        assert_eq!(batches.is_empty(), gap.is_some(), "a read brings batches or a gap until the end");
        if let Some(gap) = gap {
            assert_eq!(gap.start, from);
            items.push(Item::Gap(gap.start.0, gap.end.0));
            from = gap.end;
        }
        for batch in &batches {
            assert!(batch.wanted == from && batch.base <= from, "batches follow each other");
            items.push(batch.into());
            from = batch.end();
        }
        place = next;
    }
    items
}

pub(super) fn read_all(file: &SealedFile, partition: PartitionId) -> Vec<Item> {
    let start = file.part(partition).and_then(|part| file.locate(partition, part.first).expect("located"));
    start.map_or_else(Vec::new, |place| read_from(file, partition, place, 64 * 1024))
}

/// Damages one byte; a second time it is sound again.
pub(super) fn flip(disk: &FaultyDisk, file: &SealedFile, at: u64) {
    disk.damage(file.path(), |content| content[at as usize] ^= 0x20);
}
