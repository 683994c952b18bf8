//! Flipped bits: what is lost is named, everything else stays readable, nothing is silent.
#![allow(missing_docs)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;

use event_log::{Disk, EventLog, FaultyDisk, Health};
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
