//! Blocks that the disk cannot read: what lay in them is named, everything else stays readable,
//! sealing and opening go on; a disk that is gone is a failure and costs nothing.
#![allow(missing_docs, unreachable_pub)]

#[path = "support/frames.rs"]
mod frames;
#[path = "unreadable/sealing.rs"]
mod sealing;
#[path = "support/spoiling.rs"]
mod spoiling;
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_log::{
    Config, Damaged, Disk, EventHubDefinition, EventLog, Faults, FaultyDisk, Health, OpenError, RecoveryReport, Selection, Start, inspect,
};
use frames::stored;
use model::{PartitionId, SequenceNumber};
use spoiling::Model;
use support::{HUB, Item, P0, P1, drain, hub, manual_clock, read_all, small, stage};

fn try_open(disk: &FaultyDisk) -> Result<(EventLog, RecoveryReport), OpenError> {
    open_with(disk, &hub(1, 2))
}

fn open_with(disk: &FaultyDisk, hub: &EventHubDefinition) -> Result<(EventLog, RecoveryReport), OpenError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let config = Config { segment_bytes: 32 * 1024, tail_bytes_max: 0, ..small() };
    EventLog::open_manual(Path::new("log"), shared, config, manual_clock(), &[*hub])
}

/// A log that keeps no more than one sealed file.
fn open_kept(disk: &FaultyDisk) -> (EventLog, RecoveryReport) {
    let keep = event_log::Retention::Limits { time: std::time::Duration::MAX, bytes: Some(1) };
    open_with(disk, &support::kept(1, 2, keep)).expect("opens")
}

fn open(disk: &FaultyDisk) -> EventLog {
    try_open(disk).expect("opens").0
}

/// Groups of one batch of about 700 bytes in each of two partitions.
fn append(log: &EventLog, numbers: std::ops::Range<usize>) {
    for number in numbers {
        for (partition, prefix) in [(P0, "a"), (P1, "b")] {
            stage(log, partition, &[&format!("{prefix}{number} {}", "x".repeat(700))]);
        }
        assert!(log.commit_staged());
    }
}

fn segments(disk: &FaultyDisk) -> Vec<PathBuf> {
    disk.paths().into_iter().filter(|path| path.extension().is_some_and(|name| name == "log")).collect()
}

/// The numbers that a partition's reader finds, and those it is told are lost.
fn read(log: &EventLog, partition: PartitionId) -> (Vec<i64>, Vec<i64>) {
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    for item in read_all(log, partition) {
        match item {
            Item::Event(sequence, _) => found.push(sequence.0),
            Item::Gap(from, to) => lost.extend(from.0..=to.0),
        }
    }
    (found, lost)
}

fn place_of(disk: &FaultyDisk, path: &Path, wanted: (PartitionId, i64)) -> u64 {
    let frame = stored(&disk.content(path)).into_iter().find(|frame| (frame.partition, frame.base) == wanted).expect("stored there");
    frame.bytes.start + 300
}

#[test]
fn an_unreadable_block_is_passed_and_reported_when_the_log_is_opened() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    append(&log, 0..10);
    log.close();
    let segment = segments(&disk)[0].clone();
    let at = place_of(&disk, &segment, (P1, 4));
    disk.make_unreadable(&segment, at..at + 1);
    let (log, report) = try_open(&disk).expect("opens");
    let [unreadable] = report.unreadable.as_slice() else { panic!("{:?}", report.unreadable) };
    assert_eq!((&unreadable.path, unreadable.at, unreadable.bytes), (&segment, at / 512 * 512, 512));
    assert_eq!(report.lost.len(), 1);
    assert_eq!((read(&log, P0).1, read(&log, P1).1), (vec![], vec![4]));
    log.close();
    let report = inspect(Path::new("log"), &disk, Selection::default(), &mut |_| std::ops::ControlFlow::Continue(())).expect("looked");
    let named: Vec<_> = report.damage.iter().map(|damage| (damage.at, damage.what)).collect();
    assert!(named.contains(&(at / 512 * 512, Damaged::Unreadable { bytes: 512 })), "{named:?}");
}

#[test]
fn an_unreadable_last_group_is_damage_not_a_torn_write_and_its_numbers_are_not_given_again() {
    // The last group's header, and its second frame.
    for offset in [0, 1100] {
        let disk = FaultyDisk::new(1);
        let log = open(&disk);
        append(&log, 0..5);
        log.close();
        let segment = segments(&disk)[0].clone();
        let group = stored(&disk.content(&segment)).iter().map(|frame| frame.group_at).max().expect("a group");
        disk.make_unreadable(&segment, group + offset..group + offset + 1);
        let mut before = None;
        for _ in 0..3 {
            let log = open(&disk);
            let next = [P0, P1].map(|partition| log.partition(HUB, partition).expect("known").next);
            assert_eq!(next, *before.get_or_insert(next), "the same at each opening");
            assert!(matches!(log.health(), Health::Degraded { .. }));
            let lost = [P0, P1].map(|partition| read(&log, partition).1.contains(&4));
            assert_eq!(lost, [offset == 0, true]);
            log.close();
        }
        let log = open(&disk);
        append(&log, 5..20);
        while log.seal_oldest().expect("sealed") {}
        log.close();
        let log = open(&disk);
        let (found, lost) = read(&log, P1);
        assert!(lost.contains(&4) && found.len() == 4 + 15, "{found:?}");
        assert!(found[4] > 4);
    }
}

#[test]
fn numbers_of_an_unreadable_batch_are_not_given_again_where_one_before_it_in_its_group_can_be_read() {
    // Where in the last frame the block lies, which may take the end of the frame before along, and
    // whether what is left tells all numbers.
    for (place, found_before, is_told) in [(0, 1, false), (600, 2, true)] {
        let disk = FaultyDisk::new(1);
        let log = open(&disk);
        for body in ["first", "second", "third"] {
            stage(&log, P1, &[&format!("{body} {}", "x".repeat(1000))]);
        }
        assert!(log.commit_staged());
        log.close();
        let segment = segments(&disk)[0].clone();
        let at = stored(&disk.content(&segment)).pop().expect("the last frame").bytes.start + place;
        disk.make_unreadable(&segment, at..at + 1);
        for _ in 0..2 {
            let log = open(&disk);
            let (found, lost) = read(&log, P1);
            assert_eq!((found, lost[0]), ((0..found_before).collect(), found_before));
            assert_eq!(lost.last() == Some(&2), is_told, "{lost:?}");
            log.close();
        }
        let log = open(&disk);
        let ticket = stage(&log, P1, &["fourth"]);
        assert!(log.commit_staged());
        assert!(ticket.first().0 > 2, "{:?}", ticket.first());
    }
}

#[test]
fn an_unreadable_head_behind_an_unreadable_block_costs_nothing_more() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    append(&log, 0..30);
    log.close();
    let files = segments(&disk);
    // In the last group of its file, behind a batch of the other partition.
    let last = stored(&disk.content(&files[0])).pop().expect("a frame");
    assert_eq!(last.partition, P1);
    disk.make_unreadable(&files[0], last.bytes.start + 300..last.bytes.start + 301);
    disk.make_unreadable(&files[1], 0..1);
    let check = |log: &EventLog| {
        assert_eq!(read(log, P0), ((0..30).collect(), Vec::new()));
        assert_eq!(read(log, P1).1, [last.base]);
    };
    let log = open(&disk);
    check(&log);
    while log.seal_oldest().expect("sealed") {}
    check(&log);
    log.close();
    check(&open(&disk));
}

#[test]
fn a_partition_of_which_nothing_can_be_read_any_more_has_a_gap_and_goes_on_behind_it() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    stage(&log, P0, &["only"]);
    assert!(log.commit_staged());
    log.close();
    disk.make_unreadable(&segments(&disk)[0], 4096..4097);
    let log = open(&disk);
    let (found, lost) = read(&log, P0);
    assert_eq!((found.len(), lost[0]), (0, 0));
    let ticket = stage(&log, P0, &["next"]);
    assert!(log.commit_staged());
    assert_eq!(lost.last(), Some(&(ticket.first().0 - 1)));
}

#[test]
fn an_unreadable_head_costs_no_event_and_no_file() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    append(&log, 0..30);
    log.close();
    for path in segments(&disk) {
        disk.make_unreadable(&path, 0..1);
    }
    let log = open(&disk);
    for partition in [P0, P1] {
        assert_eq!(read(&log, partition).0, (0..30).collect::<Vec<_>>());
    }
}

#[test]
fn a_disk_that_cannot_be_read_at_all_is_a_failure_and_nothing_counts_as_lost() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    append(&log, 0..30);
    let files = disk.paths();
    disk.set_faults(Faults { reads_fail: true, ..Faults::default() });
    assert!(log.seal_oldest().is_err());
    let mut reader = log.reader(HUB, P0, Start::Earliest).expect("a reader");
    assert!(matches!(reader.try_next(4096), Err(event_log::ReadError::Disk { .. })));
    assert_eq!(reader.position(), SequenceNumber(0));
    assert_eq!(log.health(), Health::Healthy);
    log.close();
    assert!(matches!(try_open(&disk), Err(OpenError::Disk { .. })));
    assert_eq!(disk.paths(), files);
    disk.set_faults(Faults::default());
    let log = open(&disk);
    while log.seal_oldest().expect("sealed") {}
    assert_eq!((log.health(), read(&log, P0).0), (Health::Healthy, (0..30).collect()));
}

#[test]
fn more_sealed_files_than_handles_are_all_readable() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    let mut groups = 0;
    while log.statistics().sealed_files < 300 {
        append(&log, groups..groups + 12);
        groups += 12;
        while log.seal_oldest().expect("sealed") {}
    }
    let expected: Vec<_> = (0..groups as i64).collect();
    for _ in 0..2 {
        assert_eq!(read(&log, P1), (expected.clone(), Vec::new()));
    }
    log.close();
    drop(log);
    let log = open(&disk);
    assert_eq!(read(&log, P0), (expected, Vec::new()));
    // Besides the sealed files a segment is open, a spare, and for a moment one file more.
    assert!(disk.open_handles_max() <= 256 + 3, "{} were open", disk.open_handles_max());
    assert!(disk.open_handles() > 200, "they are kept for the next read");
}

#[test]
fn a_reader_of_a_file_that_retention_removed_goes_on_behind_it() {
    let disk = FaultyDisk::new(1);
    let log = open_kept(&disk).0;
    append(&log, 0..60);
    while log.seal_oldest().expect("sealed") {}
    let mut reader = log.reader(HUB, P0, Start::Earliest).expect("a reader");
    reader.try_next(1).expect("the first batch");
    assert!(log.keep_retention().expect("removed") > 1);
    let first = log.partition(HUB, P0).expect("known").first;
    let rest = drain(&mut reader, 4096);
    assert_eq!(rest.len() as i64, 60 - first.0);
    assert!(matches!(rest[0], Item::Event(sequence, _) if sequence == first));
    assert_eq!(log.health(), Health::Healthy);
}

#[test]
fn what_retention_took_is_not_told_to_be_lost_when_the_head_that_named_it_cannot_be_read() {
    let disk = FaultyDisk::new(1);
    let log = open_kept(&disk).0;
    append(&log, 0..40);
    while log.seal_oldest().expect("sealed") {}
    // Of one partition no event is left in sealed files: the last of them has the other's alone.
    for number in 0..40 {
        stage(&log, P1, &[&format!("{number} {}", "x".repeat(700))]);
        assert!(log.commit_staged());
    }
    while log.seal_oldest().expect("sealed") {}
    log.keep_retention().expect("removed");
    append(&log, 40..60);
    log.close();
    let segment = segments(&disk)[0].clone();
    let first = stored(&disk.content(&segment)).into_iter().find(|frame| frame.partition == P0).expect("stored").base;
    assert!(first > 0);
    disk.make_unreadable(&segment, 0..1);
    for _ in 0..2 {
        let (log, report) = open_kept(&disk);
        assert_eq!(report.lost, [], "in the segment");
        assert_eq!(log.partition(HUB, P0).expect("known").first.0, first);
        while log.seal_oldest().expect("sealed") {}
        assert_eq!(log.health(), Health::Healthy);
        log.close();
    }
}

#[test]
fn numbers_that_retention_took_are_not_given_again_when_the_head_that_named_them_cannot_be_read() {
    let disk = FaultyDisk::new(1);
    let log = open_kept(&disk).0;
    let bodies = vec!["x"; 800];
    for _ in 0..60 {
        stage(&log, P0, &bodies);
        assert!(log.commit_staged());
        while log.seal_oldest().expect("sealed") {}
    }
    let next = log.partition(HUB, P0).expect("known").next;
    for number in 0..80 {
        stage(&log, P1, &[&format!("{number} {}", "x".repeat(700))]);
        assert!(log.commit_staged());
        while log.seal_oldest().expect("sealed") {}
    }
    log.keep_retention().expect("removed");
    assert_eq!(log.partition(HUB, P0).expect("known").first, next, "all of them are gone");
    log.close();
    disk.make_unreadable(&segments(&disk)[0], 0..1);
    let log = open_kept(&disk).0;
    let ticket = stage(&log, P0, &["the next"]);
    assert!(log.commit_staged());
    assert!(ticket.first() >= next, "{:?} was given already", ticket.first());
}

#[test]
fn with_every_seed_only_what_lies_in_unreadable_blocks_is_lost_and_none_of_it_in_silence() {
    let seeds = std::env::var("SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let first = std::env::var("SIMULATION_FIRST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (mut spoiled, mut lost) = (0, 0);
    for seed in first..first + seeds {
        let mut model = Model::new(seed);
        model.run();
        spoiled += model.spoiled;
        lost += model.lost;
    }
    assert!(spoiled > seeds && lost > seeds, "{spoiled} times blocks were spoiled, {lost} events met as lost, in {seeds} seeds");
}
