//! Files of earlier versions open in this one. `tests/fixtures/v1` was written before segments were
//! sealed, `tests/fixtures/sealed` by `write_the_fixture` below (ignored in normal runs): sealed
//! files, a segment in a file used again, a spare. None is ever written again.
#![allow(missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use event_log::{Config, EventLog, Health, RealDisk, Start};
use model::{Clock, SequenceNumber};
use support::{P0, P1, hub, item, manual_clock, read_all, stage, start_of_time};
use tempfile::TempDir;

const EVENTS: i64 = 60;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of a fixture, to be opened and gone on with.
fn copy(name: &str) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    for entry in std::fs::read_dir(fixture(name)).expect("the fixture") {
        let path = entry.expect("a file").path();
        std::fs::copy(&path, directory.path().join(path.file_name().expect("a name"))).expect("copied");
    }
    directory
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
    check("v1").await;
}

#[tokio::test]
async fn a_log_with_sealed_files_and_spares_opens_reads_and_goes_on() {
    check("sealed").await;
}

#[test]
fn the_segments_of_version_1_are_sealed() {
    let directory = copy("v1");
    let config = Config { segment_bytes: 32 * 1024, ..support::small() };
    let opened = EventLog::open_manual(directory.path(), Arc::new(RealDisk), config, manual_clock(), &[hub(1, 2)]);
    let log = opened.expect("opens").0;
    let before = (read_all(&log, P0), read_all(&log, P1));
    while log.seal_oldest().expect("sealed") {}
    assert_eq!(log.statistics().segments_sealed, 2);
    assert_eq!((read_all(&log, P0), read_all(&log, P1)), before);
}

async fn check(name: &str) {
    let directory = copy(name);
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

#[test]
#[ignore = "writes the fixture of the present format"]
fn write_the_fixture() {
    let (clock, directory) = (manual_clock(), fixture("sealed"));
    let config = Config { segment_bytes: 32 * 1024, ..support::small() };
    let opened = EventLog::open_manual(&directory, Arc::new(RealDisk), config, clock.clone(), &[hub(1, 2)]);
    let log = opened.expect("opens").0;
    for number in 0..EVENTS {
        for (id, partition) in [(0, P0), (1, P1)] {
            stage(&log, partition, &[&body(id, number)]);
            assert!(log.commit_staged());
        }
        clock.advance(Duration::from_secs(1));
        log.seal_oldest().expect("works");
    }
    log.close();
    std::fs::remove_file(directory.join("lock")).expect("removed");
}
