//! Files of earlier versions open in this one. `tests/fixtures/v1` was written by
//! `write_the_fixture` below (ignored in normal runs) and is never written again.
#![allow(missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use event_log::{Config, EventLog, Health, RealDisk, Start};
use model::{Clock, SequenceNumber};
use support::{P0, P1, hub, item, manual_clock, read_all, stage, start_of_time};

const EVENTS: i64 = 60;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn open(directory: &Path, clock: &Clock) -> EventLog {
    let config = Config { segment_bytes: 32 * 1024, ..support::small() };
    EventLog::open(directory, Arc::new(RealDisk), config, clock.clone(), &[hub(1, 2)]).expect("opens").0
}

fn body(partition: u32, number: i64) -> String {
    format!("p{partition} n{number} {}", "f".repeat((number % 7 * 60) as usize))
}

#[tokio::test]
async fn the_log_of_version_1_opens_reads_and_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    for entry in std::fs::read_dir(fixture()).expect("the fixture") {
        let path = entry.expect("a file").path();
        std::fs::copy(&path, directory.path().join(path.file_name().expect("a name"))).expect("copied");
    }
    let log = open(directory.path(), &manual_clock());
    assert_eq!(log.health(), Health::Healthy);
    for (id, partition) in [(0, P0), (1, P1)] {
        let expected: Vec<_> = (0..EVENTS).map(|number| support::event(number, &body(id, number))).collect();
        assert_eq!(read_all(&log, partition), expected);
    }
    let time = start_of_time().saturating_add(Duration::from_secs(30));
    let mut reader = log.reader(support::HUB, P1, Start::EnqueuedAt(time)).expect("a reader");
    let batches = reader.try_next(1).expect("reads");
    let first = batches.first().and_then(|batch| batch.events().next()).expect("an event").expect("decodes");
    assert_eq!((first.headers.len(), first.key.as_deref()), (1, Some(b"device".as_slice())));
    assert_eq!(item(first), support::event(30, &body(1, 30)));
    let durable = stage(&log, P0, &["new"]).await.expect("durable");
    assert_eq!(durable.first(), SequenceNumber(EVENTS));
}

#[tokio::test]
#[ignore = "writes the fixture of the present format version"]
async fn write_the_fixture() {
    let clock = manual_clock();
    let log = open(&fixture(), &clock);
    for number in 0..EVENTS {
        for (id, partition) in [(0, P0), (1, P1)] {
            stage(&log, partition, &[&body(id, number)]).await.expect("durable");
        }
        clock.advance(Duration::from_secs(1));
    }
    log.close();
    std::fs::remove_file(fixture().join("lock")).expect("removed");
}
