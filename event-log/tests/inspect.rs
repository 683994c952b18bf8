//! Looking through a log that is not open: complete, without changing it, and every damage named.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_log::{
    Config, Damaged, Disk, EventLog, FaultyDisk, FileKind, InspectError, LogReport, ReadOnlyDisk, RealDisk, Selection, inspect,
};
use model::{EventHubId, PartitionId, SequenceNumber};
use support::{HUB, Item, P0, P1, drain, hub, item, manual_clock, open_manual, read_all, small, stage};

const LOG: &str = "log";

/// What a log held when it was closed, by partition.
type Truth = BTreeMap<PartitionId, Vec<Item>>;

/// A log of two sealed segments and one that is written.
fn filled() -> (FaultyDisk, Truth) {
    let disk = FaultyDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = open_manual(&shared, &manual_clock(), 2);
    let body = "x".repeat(400);
    for number in 0..150 {
        let _ticket = stage(&log, P0, &[&format!("a{number}{body}")]);
        let _ticket = stage(&log, P1, &[&format!("b{number}{body}"), "second"]);
        assert!(log.commit_staged());
    }
    while log.seal_oldest().expect("sealed") {}
    let truth = [P0, P1].into_iter().map(|partition| (partition, read_all(&log, partition))).collect();
    log.close();
    (disk, truth)
}

fn look(disk: &dyn Disk, selection: Selection) -> Result<(LogReport, Truth), InspectError> {
    let mut shown = Truth::new();
    let report = inspect(Path::new(LOG), disk, selection, &mut |found| {
        assert_eq!(found.hub, HUB);
        let items = shown.entry(found.partition).or_default();
        items.extend(found.batch.events().map(|event| item(event.expect("decodes"))));
        ControlFlow::Continue(())
    })?;
    Ok((report, shown))
}

fn files(disk: &FaultyDisk, suffix: &str) -> Vec<PathBuf> {
    disk.paths().into_iter().filter(|path| path.to_string_lossy().ends_with(suffix)).collect()
}

#[test]
fn a_sound_log_is_shown_whole_and_left_as_it_was() {
    let (disk, truth) = filled();
    let (calls, trace) = (disk.calls(), disk.trace());
    let (report, shown) = look(&disk, Selection::default()).expect("inspected");
    assert_eq!(shown, truth);
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.torn_tail, None);
    assert_eq!((disk.calls(), disk.trace()), (calls, trace), "nothing was written");
    let kinds = |kind| report.files.iter().filter(|file| file.kind == kind).count();
    assert!(kinds(FileKind::Sealed) >= 2 && kinds(FileKind::Segment) == 1, "{report:?}");
    assert_eq!(report.files.len(), disk.paths().len());
    let events = |partition: usize| truth.values().nth(partition).map_or(0, Vec::len) as u64;
    let ranges: Vec<_> = report.partitions.iter().map(|part| (part.partition, part.first.0, part.end.0, part.events)).collect();
    assert_eq!(ranges, [(P0, 0, 150, events(0)), (P1, 0, 300, events(1))]);
    assert_eq!(report.files.iter().map(|file| file.events).sum::<u64>(), 450);
}

#[test]
fn a_selection_shows_what_was_asked_for_and_nothing_else() {
    let (disk, truth) = filled();
    for from in [0, 7, 100, 149, 150] {
        let from = Some(SequenceNumber(from));
        let (report, shown) = look(&disk, Selection { hub: Some(HUB), partition: Some(P0), from }).expect("inspected");
        let wanted: Vec<Item> = truth[&P0].iter().skip(from.map_or(0, |from| from.0 as usize)).cloned().collect();
        assert_eq!(shown.get(&P0).cloned().unwrap_or_default(), wanted);
        assert!(!shown.contains_key(&P1) && report.is_sound(), "{report:?}");
    }
    let (_, shown) = look(&disk, Selection { hub: Some(EventHubId(9)), ..Selection::default() }).expect("inspected");
    assert!(shown.is_empty());
}

#[test]
fn a_reader_that_breaks_off_is_shown_no_more() {
    let (disk, _) = filled();
    let mut shown = 0;
    let stop = inspect(Path::new(LOG), &disk, Selection::default(), &mut |_| {
        shown += 1;
        ControlFlow::Break(())
    });
    assert!(stop.is_ok());
    assert_eq!(shown, 1);
}

#[test]
fn damage_is_named_with_its_file_and_place_and_the_rest_is_shown() {
    let (disk, truth) = filled();
    let sealed = files(&disk, ".sealed").remove(0);
    let segment = files(&disk, ".log").remove(0);
    let length = disk.content(&sealed).len();
    let find = |path: &Path, magic: &[u8], number: usize| {
        let content = disk.content(path);
        (0..content.len()).step_by(8).filter(|at| content[*at..].starts_with(magic)).nth(number).expect("there")
    };
    let frame = find(&sealed, b"IFRM", 3);
    let group = find(&segment, b"IGRP", 2);
    let index = find(&sealed, b"IIDX", 0);
    let cases = [
        (&sealed, frame + 120, frame, Damaged::Frame, 1),
        (&sealed, frame + 20, frame, Damaged::Frame, 1),
        (&sealed, index + 40, index, Damaged::IndexBlock, 0),
        (&sealed, length - 500, length - 512, Damaged::SealedFileEnd, 0),
        (&sealed, 20, 0, Damaged::SealedFileEnd, 0),
        (&segment, group + 64 + 120, group, Damaged::Group, 1),
        (&segment, 20, 0, Damaged::SegmentHead, 0),
    ];
    for (path, flipped, at, what, lost) in cases {
        disk.damage(path, |content| content[flipped] ^= 4);
        let (report, shown) = look(&disk, Selection::default()).expect("inspected");
        let named: Vec<_> = report.damage.iter().map(|damage| (damage.path.as_path(), damage.at as usize, damage.what)).collect();
        assert_eq!(named, [(path.as_path(), at, what)]);
        assert_eq!(report.lost.len(), lost, "{what:?}: {:?}", report.lost);
        let missing: usize = truth.iter().map(|(partition, items)| items.len() - shown[partition].len()).sum();
        assert_eq!(missing as i64, report.lost.iter().map(|range| range.to.0 - range.from.0 + 1).sum::<i64>());
        assert!(!report.is_sound());
        disk.damage(path, |content| content[flipped] ^= 4);
    }
    assert!(look(&disk, Selection::default()).expect("inspected").0.is_sound());
}

#[test]
fn a_sealed_file_without_ends_is_named_and_its_events_count_as_lost() {
    let (disk, truth) = filled();
    let sealed = files(&disk, ".sealed").remove(1);
    disk.damage(&sealed, |content| {
        let at = content.len() - 1;
        content[at] ^= 1;
        content[0] ^= 1;
    });
    let (report, shown) = look(&disk, Selection::default()).expect("inspected");
    assert!(matches!(report.damage.as_slice(), [damage] if damage.what == Damaged::SealedFile && damage.path == sealed));
    let missing: usize = truth.iter().map(|(partition, items)| items.len() - shown[partition].len()).sum();
    assert_eq!(missing as i64, report.lost.iter().map(|range| range.to.0 - range.from.0 + 1).sum::<i64>());
    assert_eq!(report.lost.len(), 2, "one range a partition");
}

#[test]
fn a_torn_tail_is_no_damage() {
    let (disk, truth) = filled();
    let segment = files(&disk, ".log").remove(0);
    let content = disk.content(&segment);
    let last = (0..content.len()).step_by(512).rfind(|at| content[*at..].starts_with(b"IGRP")).expect("a group");
    disk.damage(&segment, |content| content[last + 512..last + 1024].fill(0));
    let (report, shown) = look(&disk, Selection::default()).expect("inspected");
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.torn_tail, Some((segment, last as u64)));
    assert_eq!(shown[&P0].as_slice(), &truth[&P0][..149]);
}

#[test]
fn a_sealed_file_whose_segment_is_there_does_not_count() {
    let (disk, truth) = filled();
    let segment = files(&disk, ".log").remove(0);
    let name = segment.to_string_lossy().replace(".log", "-0000000001.sealed");
    disk.create(Path::new(&name)).expect("created").write_at(b"begun", 0).expect("written");
    let (report, shown) = look(&disk, Selection::default()).expect("inspected");
    assert!(report.is_sound(), "{report:?}");
    assert!(report.files.iter().any(|file| file.kind == FileKind::Superseded && file.path == Path::new(&name)));
    assert_eq!(shown, truth);
}

#[test]
fn an_open_log_is_refused_and_a_directory_without_one_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let nothing = |path: &Path| inspect(path, &ReadOnlyDisk, Selection::default(), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(nothing(directory.path()), Err(InspectError::NoLog { .. })));
    let path = directory.path().join(LOG);
    let hubs = [hub(1, 2)];
    let (log, _) = EventLog::open_manual(&path, Arc::new(RealDisk), Config { ..small() }, manual_clock(), &hubs).expect("opens");
    let ticket = stage(&log, P0, &["a"]);
    log.commit_staged();
    drop(ticket);
    let refused = nothing(&path);
    assert!(matches!(&refused, Err(InspectError::InUse { .. })), "{refused:?}");
    let expected = drain(&mut log.reader(HUB, P0, event_log::Start::Earliest).expect("a reader"), 4096);
    log.close();
    let report = nothing(&path).expect("inspected");
    assert!(report.is_sound());
    assert_eq!(report.partitions.iter().map(|part| part.events).sum::<u64>(), expected.len() as u64);
}

#[test]
fn a_disk_for_looking_refuses_every_change() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    std::fs::write(&path, b"content").expect("written");
    let disk = ReadOnlyDisk;
    let file = disk.open(&path).expect("opened");
    let refused = [
        disk.create_directory(&path).err(),
        disk.create(&path).err(),
        disk.rename(&path, &directory.path().join("other")).err(),
        disk.remove(&path).err(),
        disk.sync_directory(directory.path()).err(),
        file.write_at(b"x", 0).err(),
        file.sync_all().err(),
        file.sync_data().err(),
    ];
    for error in refused {
        assert_eq!(error.expect("refused").kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }
    assert_eq!(std::fs::read(&path).expect("there"), b"content");
}
