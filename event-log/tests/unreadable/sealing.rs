//! Sealing looks at unreadable blocks again before it gives them up, and throws nothing away.

use event_log::{Disk, EventLog, FaultyDisk, Health, OpenError};

use super::support::{P0, P1};
use super::{append, open, place_of, read, segments, try_open};

#[test]
fn an_unreadable_block_of_a_waiting_segment_costs_its_batch_and_is_sealed_away() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    append(&log, 0..30);
    let first = segments(&disk)[0].clone();
    let at = place_of(&disk, &first, (P0, 4));
    disk.make_unreadable(&first, at..at + 1);
    assert!(log.seal_oldest().is_err(), "it is looked at again first");
    assert_eq!(log.health(), Health::Healthy);
    assert_eq!(read(&log, P0).1, [4], "before it is sealed");
    let content = disk.content(&first);
    while log.seal_oldest().expect("sealing goes on") {}
    assert!(!segments(&disk).contains(&first));
    assert!(!disk.paths().contains(&first.with_extension("spare")), "a bad file is not used again");
    let check = |log: &EventLog| {
        assert!(matches!(log.health(), Health::Degraded { .. }));
        assert_eq!(read(log, P0).1, [4]);
        assert_eq!(read(log, P1), ((0..30).collect(), Vec::new()));
        assert_eq!(disk.content(&first.with_extension("damaged")), content, "it is set aside for rescue");
        log.close();
    };
    check(&log);
    drop(log);
    check(&open(&disk));
}

#[test]
fn what_could_not_be_read_for_a_while_when_a_segment_was_sealed_is_all_read_back() {
    // Reads that fail (a stretch, then its bad block alone) and how often sealing is tried for it:
    // while it is measured, only while it is copied, while it is measured twice.
    for (failures, attempts) in [(0..2, 1), (1..3, 1), (0..4, 2)] {
        for is_header in [false, true] {
            let disk = FaultyDisk::new(1);
            let log = open(&disk);
            append(&log, 0..30);
            let first = segments(&disk)[0].clone();
            let at = place_of(&disk, &first, (P0, 4)) - if is_header { 300 } else { 0 };
            disk.fail_reads(&first, at..at + 1, failures.clone());
            for _ in 0..attempts {
                assert!(log.seal_oldest().is_err(), "reads {failures:?}");
                assert!(!disk.paths().iter().any(|path| path.extension().is_some_and(|name| name == "sealed")));
            }
            while log.seal_oldest().expect("sealed") {}
            assert!(disk.paths().contains(&first.with_extension("spare")), "a file that can be read is used again");
            log.close();
            drop(log);
            let log = open(&disk);
            assert_eq!(log.health(), Health::Healthy, "reads {failures:?}");
            for partition in [P0, P1] {
                assert_eq!(read(&log, partition), ((0..30).collect(), Vec::new()));
            }
        }
    }
}

#[test]
fn a_segment_of_which_nothing_can_be_read_is_kept_until_it_can() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    append(&log, 0..30);
    let first = segments(&disk)[0].clone();
    disk.make_unreadable(&first, 0..32 * 1024);
    assert!(log.seal_oldest().is_err());
    assert!(segments(&disk).contains(&first));
    log.close();
    assert!(try_open(&disk).is_err());
    assert!(segments(&disk).contains(&first));
}

#[test]
fn a_sealed_file_of_which_nothing_can_be_read_is_named_and_the_log_opens_without_it() {
    let disk = FaultyDisk::new(1);
    let log = open(&disk);
    append(&log, 0..70);
    while log.seal_oldest().expect("sealed") {}
    log.close();
    drop(log);
    let sealed: Vec<_> = disk.paths().into_iter().filter(|path| path.extension().is_some_and(|name| name == "sealed")).collect();
    assert!(sealed.len() > 2);
    disk.make_unreadable(&sealed[1], 0..disk.content(&sealed[1]).len() as u64);
    let Err(error) = try_open(&disk) else { panic!("it opens") };
    assert!(matches!(&error, OpenError::Unreadable { path, .. } if *path == sealed[1]), "{error:?}");
    assert!(error.to_string().contains(&sealed[1].display().to_string()), "{error}");
    disk.remove(&sealed[1]).expect("removed");
    let log = open(&disk);
    let (found, lost) = read(&log, P0);
    assert!(!lost.is_empty() && found.len() + lost.len() == 70);
}
