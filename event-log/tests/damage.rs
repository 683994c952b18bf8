//! Flipped bits: what is lost is named, everything else stays readable, nothing is silent.
#![allow(missing_docs)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;

use event_log::{Disk, EventLog, FaultyDisk, Health, LostRange};
use model::SequenceNumber;
use support::{Item, P0, P1, event, manual_clock, open_manual, read_all, stage};

/// Groups of one batch for each of two partitions.
fn filled(groups: i64) -> FaultyDisk {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    for number in 0..groups {
        stage(&log, P0, &[&format!("a{number}")]);
        stage(&log, P1, &[&format!("b{number}")]);
        assert!(log.commit_staged());
    }
    log.close();
    disk
}

fn open(disk: &FaultyDisk) -> EventLog {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    open_manual(&shared, &manual_clock(), 2)
}

fn segment(disk: &FaultyDisk) -> PathBuf {
    disk.paths().into_iter().find(|path| path.extension().is_some_and(|name| name == "log")).expect("a segment")
}

/// Where each group begins.
fn groups(content: &[u8]) -> Vec<usize> {
    (4096..content.len()).step_by(512).filter(|at| content[*at..].starts_with(b"IGRP")).collect()
}

fn flip(disk: &FaultyDisk, at: usize) {
    disk.damage(&segment(disk), |content| content[at] ^= 0x10);
}

fn items(prefix: &str, numbers: impl IntoIterator<Item = i64>) -> Vec<Item> {
    numbers.into_iter().map(|number| event(number, &format!("{prefix}{number}"))).collect()
}

#[test]
fn every_flipped_byte_of_a_group_in_the_middle_is_reported_or_harmless() {
    let disk = filled(5);
    let content = disk.content(&segment(&disk));
    let starts = groups(&content);
    for at in starts[2]..starts[3] {
        let disk = filled(5);
        flip(&disk, at);
        let log = open(&disk);
        let (a, b) = (read_all(&log, P0), read_all(&log, P1));
        let whole = (items("a", 0..5), items("b", 0..5));
        if log.health() == Health::Healthy {
            assert_eq!((a, b), whole, "byte {at}: healthy means complete");
            continue;
        }
        for (read, prefix) in [(a, "a"), (b, "b")] {
            let gap = Item::Gap(SequenceNumber(2), SequenceNumber(2));
            let with_gap: Vec<_> = items(prefix, 0..2).into_iter().chain([gap]).chain(items(prefix, 3..5)).collect();
            assert!(read == with_gap || read == items(prefix, 0..5), "byte {at}: {read:?}");
        }
    }
}

#[test]
fn damage_to_one_payload_loses_that_batch_alone() {
    let disk = filled(5);
    let content = disk.content(&segment(&disk));
    let start = groups(&content)[2];
    let payload = start + content[start..].windows(2).position(|window| window == b"a2").expect("the body");
    flip(&disk, payload);
    let log = open(&disk);
    assert_eq!(read_all(&log, P0)[2], Item::Gap(SequenceNumber(2), SequenceNumber(2)));
    assert_eq!(read_all(&log, P1), items("b", 0..5));
    let Health::Degraded { lost } = log.health() else { panic!("{:?}", log.health()) };
    assert_eq!(lost.len(), 1);
}

#[test]
fn damage_while_the_log_is_open_is_met_by_readers_and_reported() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    for number in 0..40 {
        stage(&log, P0, &[&format!("a{number} {}", "x".repeat(700))]);
        log.commit_staged();
    }
    let content = disk.content(&segment(&disk));
    flip(&disk, groups(&content)[3] + 200);
    let items = read_all(&log, P0);
    assert_eq!(items[3], Item::Gap(SequenceNumber(3), SequenceNumber(3)));
    assert_eq!(items.len(), 40);
    assert!(matches!(log.health(), Health::Degraded { .. }));
}

#[test]
fn a_torn_last_group_is_cut_whole_and_its_numbers_are_given_again() {
    let disk = filled(3);
    let content = disk.content(&segment(&disk));
    flip(&disk, groups(&content)[2] + 150);
    let log = open(&disk);
    assert_eq!(log.health(), Health::Healthy);
    assert_eq!((read_all(&log, P0), read_all(&log, P1)), (items("a", 0..2), items("b", 0..2)));
    let ticket = stage(&log, P0, &["a2"]);
    log.commit_staged();
    assert_eq!(ticket.first(), SequenceNumber(2));
    log.close();
    assert_eq!(read_all(&open(&disk), P0), items("a", 0..3));
}

#[test]
fn numbers_that_damage_may_have_taken_are_not_given_again() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    stage(&log, P0, &["a0"]);
    log.commit_staged();
    stage(&log, P0, &["a1"]);
    log.commit_staged();
    for number in 0..3 {
        stage(&log, P1, &[&format!("b{number}")]);
        log.commit_staged();
    }
    log.close();
    let content = disk.content(&segment(&disk));
    let group = groups(&content)[1];
    disk.damage(&segment(&disk), |content| content[group..group + 512].fill(0xAA));
    let log = open(&disk);
    assert!(matches!(log.health(), Health::Degraded { .. }));
    let ticket = stage(&log, P0, &["later"]);
    log.commit_staged();
    assert!(ticket.first() > SequenceNumber(1), "{:?}", ticket.first());
    let items = read_all(&log, P0);
    assert_eq!(items[0], event(0, "a0"));
    assert_eq!(items[1], Item::Gap(SequenceNumber(1), SequenceNumber(ticket.first().0 - 1)));
    assert_eq!(items[2], event(ticket.first().0, "later"));
    log.close();
    assert_eq!(read_all(&open(&disk), P0), items, "the same after another opening");
}

#[test]
fn a_segment_whose_head_is_damaged_stays_readable() {
    let disk = filled(4);
    flip(&disk, 20);
    let log = open(&disk);
    assert_eq!(read_all(&log, P0)[..4], items("a", 0..4));
}

/// A log whose first segments are sealed, in order, its two partitions alike.
fn sealed(files: usize) -> (FaultyDisk, Vec<PathBuf>) {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    let mut number = 0;
    while log.statistics().segments < files as u64 {
        stage(&log, P0, &[&format!("a{number}")]);
        stage(&log, P1, &[&format!("b{number}")]);
        assert!(log.commit_staged());
        number += 1;
    }
    while log.seal_oldest().expect("sealed") {}
    log.close();
    let paths = disk.paths().into_iter().filter(|path| path.extension().is_some_and(|name| name == "sealed"));
    let paths: Vec<_> = paths.collect();
    assert_eq!(paths.len(), files);
    (disk, paths)
}

fn lost(log: &EventLog) -> Vec<LostRange> {
    match log.health() {
        Health::Degraded { lost } => lost,
        other @ (Health::Healthy | Health::Full { .. } | Health::Failed { .. }) => panic!("{other:?}"),
    }
}

/// Every event is there or in a gap, each once, in order.
fn check_nothing_silent(log: &EventLog, at: usize) -> bool {
    let mut is_whole = true;
    for (partition, prefix) in [(P0, "a"), (P1, "b")] {
        let mut next = 0;
        for item in read_all(log, partition) {
            match item {
                Item::Event(sequence, body) => {
                    assert_eq!((sequence.0, body), (next, format!("{prefix}{next}")), "byte {at}");
                    next += 1;
                }
                Item::Gap(from, to) => {
                    assert_eq!(from.0, next, "byte {at}");
                    next = to.0 + 1;
                    is_whole = false;
                }
            }
        }
        assert_eq!(next, log.partition(support::HUB, partition).expect("known").next.0, "byte {at}");
    }
    is_whole
}

#[test]
fn a_flipped_bit_anywhere_in_a_sealed_file_is_harmless_or_a_gap_and_never_silent() {
    let (disk, paths) = sealed(3);
    let path = &paths[1];
    let length = disk.content(path).len();
    let mut gaps = 0;
    for at in (0..512).chain((512..length).step_by(97)).chain(length - 600..length) {
        disk.damage(path, |content| content[at] ^= 0x04);
        let log = open(&disk);
        let is_whole = check_nothing_silent(&log, at);
        assert_eq!(is_whole, log.health() == Health::Healthy, "byte {at}");
        gaps += usize::from(!is_whole);
        log.close();
        disk.damage(path, |content| content[at] ^= 0x04);
    }
    assert!(gaps > 100, "{gaps} flips met events");
}

#[test]
fn a_sealed_file_whose_both_ends_are_damaged_is_lost_with_its_name_and_numbers() {
    for (number, is_deleted) in [(0, false), (1, false), (2, false), (1, true), (2, true)] {
        let (disk, paths) = sealed(3);
        let path = &paths[number];
        if is_deleted {
            let disk: &dyn Disk = &disk;
            disk.remove(path).expect("removed");
            disk.sync_directory(std::path::Path::new("log")).expect("synced");
        } else {
            disk.damage(path, |content| content.fill(0));
        }
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let opened = EventLog::open_manual(std::path::Path::new("log"), shared, support::small(), manual_clock(), &[support::hub(1, 2)]);
        let (log, report) = opened.expect("opens");
        assert_eq!(report.damaged_files, if is_deleted { Vec::new() } else { vec![path.clone()] });
        assert_eq!(report.lost, lost(&log), "{number}");
        assert_eq!(report.lost.iter().map(|lost| lost.partition).collect::<Vec<_>>(), [P0, P1]);
        assert!(!check_nothing_silent(&log, number));
        let ticket = stage(&log, P0, &["later"]);
        log.commit_staged();
        assert!(matches!(ticket.try_get(), Some(Ok(_))));
    }
}

#[test]
fn damage_to_a_segment_that_waits_to_be_sealed_is_kept_as_a_gap_in_the_sealed_file() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    let mut number = 0;
    while log.statistics().segments < 1 {
        stage(&log, P0, &[&format!("a{number}")]);
        log.commit_staged();
        number += 1;
    }
    let first = segment(&disk);
    let at = groups(&disk.content(&first))[4] + 150;
    disk.damage(&first, |content| content[at] ^= 1);
    assert!(log.seal_oldest().expect("sealed"));
    let range = LostRange { hub: support::HUB, partition: P0, from: SequenceNumber(4), to: SequenceNumber(4) };
    assert_eq!(lost(&log), [range]);
    let items = read_all(&log, P0);
    assert_eq!(items[4], Item::Gap(SequenceNumber(4), SequenceNumber(4)));
    assert_eq!(items.len(), number);
    log.close();
    let log = open(&disk);
    assert_eq!((lost(&log), read_all(&log, P0)), (vec![range], items));
}

#[test]
fn a_log_that_lost_its_only_segment_goes_on_behind_every_number_it_gave() {
    let (disk, _) = sealed(2);
    let next = open(&disk).partition(support::HUB, P0).expect("known").next;
    disk.damage(&segment(&disk), |content| content.fill(0));
    let log = open(&disk);
    let ticket = stage(&log, P0, &["later"]);
    log.commit_staged();
    assert!(ticket.first() >= next && matches!(ticket.try_get(), Some(Ok(_))), "{:?}", ticket.first());
    let items = read_all(&log, P0);
    log.close();
    assert_eq!(read_all(&open(&disk), P0), items);
}
