//! What the tests of the log have in common.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event_log::{
    Batch, BatchBuilder, Config, Disk, EventHubDefinition, EventLog, FaultyDisk, HeaderBlock, Origin, ReadError, Reader, Record, Retention,
    Start, StoredEvent, Ticket,
};
use model::partition::PartitionCount;
use model::{Clock, EventHubId, PartitionId, SequenceNumber, Timestamp};

pub const HUB: EventHubId = EventHubId(1);
pub const P0: PartitionId = PartitionId(0);
pub const P1: PartitionId = PartitionId(1);

/// A hub whose events are kept.
pub fn hub(id: u32, partitions: u32) -> EventHubDefinition {
    kept(id, partitions, Retention::Limits { time: Duration::MAX, bytes: None })
}

pub fn kept(id: u32, partitions: u32, retention: Retention) -> EventHubDefinition {
    let partitions = PartitionCount::try_from(partitions).expect("a count in bounds");
    EventHubDefinition { id: EventHubId(id), partitions, retention }
}

pub fn small() -> Config {
    Config { segment_bytes: 64 * 1024, staged_bytes_max: 1024 * 1024, tail_bytes_max: 8 * 1024, ..Config::default() }
}

pub fn start_of_time() -> Timestamp {
    Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("a date")
}

pub fn manual_clock() -> Clock {
    Clock::manual(start_of_time())
}

/// A batch whose bodies are the given texts.
pub fn batch(bodies: &[&str]) -> Batch {
    let records: Vec<_> = bodies.iter().map(|body| (start_of_time(), *body)).collect();
    batch_at(&records)
}

/// A batch whose records have these timestamps and bodies.
pub fn batch_at(records: &[(Timestamp, &str)]) -> Batch {
    let headers = HeaderBlock::new().with("h", b"v");
    let mut builder = BatchBuilder::new(records.first().map_or(start_of_time(), |(timestamp, _)| *timestamp));
    for (timestamp, body) in records {
        builder.push(Record { timestamp: *timestamp, key: Some(b"device"), value: Some(body.as_bytes()), headers: &[&headers] });
    }
    builder.finish()
}

/// Seals the oldest segment; what cannot be read is looked at again once before it is given up.
pub fn seal_oldest(log: &EventLog) -> bool {
    log.seal_oldest().or_else(|_| log.seal_oldest()).expect("sealing goes on")
}

/// Stages a batch of one or more events.
pub fn stage(log: &EventLog, partition: PartitionId, bodies: &[&str]) -> Ticket {
    stage_in(log, HUB, partition, bodies)
}

pub fn stage_in(log: &EventLog, hub: EventHubId, partition: PartitionId, bodies: &[&str]) -> Ticket {
    stage_batch(log, hub, partition, batch(bodies))
}

pub fn stage_batch(log: &EventLog, hub: EventHubId, partition: PartitionId, batch: Batch) -> Ticket {
    let permit = log.try_reserve(batch.staged_bytes()).expect("an open log").expect("room");
    log.stage(permit, hub, partition, batch, Origin::Mqtt).expect("staged")
}

pub fn open_manual(disk: &Arc<dyn Disk>, clock: &Clock, partitions: u32) -> EventLog {
    EventLog::open_manual(Path::new("log"), Arc::clone(disk), small(), clock.clone(), &[hub(1, partitions)]).expect("opens").0
}

/// What a reader meets, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Event(SequenceNumber, String),
    Gap(SequenceNumber, SequenceNumber),
}

pub fn event(sequence: i64, body: &str) -> Item {
    Item::Event(SequenceNumber(sequence), body.to_owned())
}

/// Everything from the reader's position to the end.
pub fn drain(reader: &mut Reader, bytes_max: usize) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        match reader.try_next(bytes_max) {
            Ok(batches) if batches.is_empty() => return items,
            Ok(batches) => items.extend(batches.iter().flat_map(|batch| batch.events()).map(|event| item(event.expect("decodes")))),
            Err(ReadError::Gap(lost)) => items.push(Item::Gap(lost.from, lost.to)),
            Err(error @ (ReadError::Disk { .. } | ReadError::Removed { .. } | ReadError::UnknownPartition(_))) => panic!("{error}"),
        }
    }
}

pub fn item(event: StoredEvent) -> Item {
    let body = event.value.map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default();
    Item::Event(event.sequence, body)
}

pub fn read_all(log: &EventLog, partition: PartitionId) -> Vec<Item> {
    drain(&mut log.reader(HUB, partition, Start::Earliest).expect("a reader"), 4096)
}

/// A log driven step by step, with its disk and its clock.
pub struct Bench {
    pub disk: FaultyDisk,
    pub clock: Clock,
    pub log: EventLog,
}

/// A log without threads whose segments take 64 KiB.
pub fn bench(hubs: &[EventHubDefinition]) -> Bench {
    let (disk, clock) = (FaultyDisk::new(7), manual_clock());
    let log = open(&disk, &clock, hubs);
    Bench { disk, clock, log }
}

pub fn open(disk: &FaultyDisk, clock: &Clock, hubs: &[EventHubDefinition]) -> EventLog {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    EventLog::open_manual(Path::new("log"), disk, small(), clock.clone(), hubs).expect("opens").0
}

impl Bench {
    /// Commits groups of 4 KiB in one partition until so many segments more are begun.
    pub fn fill_segments(&self, hub: EventHubId, partition: PartitionId, segments: u64) {
        let end = self.log.statistics().segments + segments;
        while self.log.statistics().segments < end {
            stage_in(&self.log, hub, partition, &["x".repeat(4000).as_str()]);
            assert!(self.log.commit_staged());
        }
    }

    pub fn seal_all(&self) {
        while self.log.seal_oldest().expect("sealed") {}
    }

    pub fn files(&self, extension: &str) -> Vec<String> {
        let paths = self.disk.paths();
        let named = paths.iter().filter(|path| path.extension().is_some_and(|name| name == extension));
        named.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    pub fn first(&self, partition: PartitionId) -> i64 {
        self.log.partition(HUB, partition).expect("known").first.0
    }
}
