//! The life of a segment after it is full: rolled, sealed, used again; and that of its events
//! until they are released, too old, too many or their hub removed.
#![allow(missing_docs)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event_log::{Config, DefineError, Disk, EventLog, Faults, Health, ReadError, Retention, Start};
use model::{EventHubId, SequenceNumber, Timestamp};
use support::{HUB, P0, P1, batch_at, bench, drain, event, hub, kept, manual_clock, open, read_all, small, stage, stage_in, start_of_time};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn what_was_sealed_reads_as_before_also_after_reopening() {
    let bench = bench(&[hub(1, 2), hub(2, 1)]);
    for number in 0..40 {
        stage(&bench.log, P0, &[&format!("a{number} {}", "x".repeat(3000))]);
        stage(&bench.log, P1, &[&format!("b{number}")]);
        stage_in(&bench.log, EventHubId(2), P0, &[&format!("c{number}")]);
        bench.log.commit_staged();
    }
    let before = (read_all(&bench.log, P0), read_all(&bench.log, P1));
    bench.seal_all();
    assert_eq!(bench.files("sealed").len(), 2 * bench.log.statistics().segments_sealed as usize, "a file a hub and segment");
    assert_eq!(bench.files("log").len(), 1);
    assert_eq!((read_all(&bench.log, P0), read_all(&bench.log, P1)), before);
    let properties = bench.log.partition(HUB, P0).expect("known");
    drop(bench.log);
    let log = open(&bench.disk, &bench.clock, &[hub(1, 2), hub(2, 1)]);
    assert_eq!((read_all(&log, P0), read_all(&log, P1)), before);
    assert_eq!(log.partition(HUB, P0).expect("known"), properties);
    assert_eq!(log.health(), Health::Healthy);
}

#[test]
fn a_segment_with_events_is_full_when_it_is_an_hour_old_and_an_empty_one_never() {
    let bench = bench(&[hub(1, 1)]);
    bench.clock.advance(seconds(10_000));
    bench.log.commit_staged();
    assert_eq!(bench.log.statistics().segments, 0, "nothing to seal");
    stage(&bench.log, P0, &["one"]);
    bench.log.commit_staged();
    bench.clock.advance(seconds(3599));
    bench.log.commit_staged();
    assert_eq!(bench.log.statistics().segments, 0);
    bench.clock.advance(seconds(1));
    assert!(!bench.log.commit_staged());
    assert_eq!(bench.log.statistics().segments, 1);
    bench.seal_all();
    assert_eq!(bench.files("sealed"), ["00000000000000000001-0000000001.sealed"]);
    assert_eq!(read_all(&bench.log, P0), [event(0, "one")]);
}

#[tokio::test]
async fn the_threads_of_an_open_log_seal_what_is_full() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let opened = EventLog::open(directory.path(), Arc::new(event_log::RealDisk), small(), manual_clock(), &[hub(1, 1)]);
    let log = opened.expect("opens").0;
    for number in 0.. {
        let durable = stage(&log, P0, &[&"x".repeat(4000)]).await.expect("durable");
        assert_eq!(durable.first().0, number);
        let statistics = log.statistics();
        if statistics.segments_sealed >= 5 {
            assert!(statistics.segments_unsealed <= 8);
            assert!(statistics.segments_recycled > 0, "{statistics:?}");
            break;
        }
    }
    log.close();
}

#[test]
fn files_go_when_their_newest_event_is_too_old_and_readers_go_on_at_the_first_one_left() {
    let bench = bench(&[kept(1, 2, Retention::Limits { time: seconds(100), bytes: None })]);
    stage(&bench.log, P1, &["early"]);
    bench.fill_segments(HUB, P0, 1);
    let mut reader = bench.log.reader(HUB, P0, Start::Earliest).expect("a reader");
    assert!(!reader.try_next(1).expect("reads").is_empty());
    bench.clock.advance(seconds(60));
    bench.fill_segments(HUB, P0, 1);
    bench.seal_all();
    assert_eq!(bench.log.keep_retention().expect("works"), 0);
    // The first segment's last group is of the start of time, the second's of a minute later.
    bench.clock.advance(seconds(41));
    assert_eq!(bench.log.keep_retention().expect("works"), 1);
    let first = bench.first(P0);
    assert!(first > 1);
    assert_eq!(bench.first(P1), 1);
    assert_eq!(reader.try_next(1).expect("no error").first().map(|batch| batch.base.0), Some(first));
    assert_eq!(read_all(&bench.log, P1), []);
    assert_eq!(bench.log.health(), Health::Healthy);
}

#[test]
fn the_oldest_files_go_while_the_others_hold_enough() {
    let bench = bench(&[kept(1, 1, Retention::Limits { time: Duration::MAX, bytes: Some(100_000) })]);
    bench.fill_segments(HUB, P0, 3);
    bench.seal_all();
    assert_eq!(bench.log.keep_retention().expect("works"), 1);
    let left = bench.log.partition(HUB, P0).expect("known").bytes;
    assert!((100_000..180_000).contains(&left), "{left}");
    bench.log.define(kept(1, 1, Retention::Limits { time: Duration::MAX, bytes: Some(0) })).expect("another retention");
    assert_eq!(bench.log.keep_retention().expect("works"), 2, "it takes effect at once");
    assert_eq!(bench.files("sealed"), Vec::<String>::new());
}

#[test]
fn what_is_kept_until_released_goes_only_then() {
    let bench = bench(&[kept(1, 1, Retention::Released)]);
    bench.fill_segments(HUB, P0, 2);
    bench.seal_all();
    bench.clock.advance(seconds(1_000_000));
    let next = bench.log.partition(HUB, P0).expect("known").next;
    bench.log.release(HUB, P0, SequenceNumber(1)).expect("known");
    assert_eq!(bench.log.keep_retention().expect("works"), 0);
    bench.log.release(HUB, P0, next).expect("known");
    bench.log.release(HUB, P0, SequenceNumber(0)).expect("takes nothing back");
    assert_eq!(bench.log.keep_retention().expect("works"), 2);
    assert!(bench.first(P0) > 0 && bench.first(P0) < next.0, "what is not sealed stays");
}

#[tokio::test]
async fn a_removed_hub_is_unreadable_at_once_and_its_files_go() {
    let bench = bench(&[hub(1, 1), hub(2, 1)]);
    bench.fill_segments(HUB, P0, 1);
    bench.seal_all();
    bench.fill_segments(HUB, P0, 1);
    stage_in(&bench.log, EventHubId(2), P0, &["other"]);
    bench.log.commit_staged();
    let mut reader = bench.log.reader(HUB, P0, Start::Latest).expect("a reader");
    let waiting = tokio::spawn(async move { reader.next(10).await });
    let mut behind = bench.log.reader(HUB, P0, Start::Earliest).expect("a reader");
    let grown = bench.log.grown_past(HUB, P0, SequenceNumber(1_000_000)).expect("known");
    bench.log.remove(HUB).expect("removed");
    bench.log.remove(HUB).expect("a second time");
    grown.await;
    assert!(matches!(waiting.await.expect("no panic"), Err(ReadError::Removed { hub: HUB })));
    assert!(matches!(behind.try_next(10), Err(ReadError::Removed { hub: HUB })));
    assert!(bench.log.partition(HUB, P0).is_err());
    assert!(matches!(bench.log.define(hub(1, 1)), Err(DefineError::Removed { hub: HUB })));
    bench.fill_segments(EventHubId(2), P0, 1);
    bench.seal_all();
    assert!(bench.files("sealed").iter().all(|name| name.ends_with("-0000000002.sealed")), "{:?}", bench.files("sealed"));
}

#[test]
fn segments_are_used_again_so_a_log_in_its_stride_writes_no_zeros() {
    let bench = bench(&[hub(1, 1)]);
    for _ in 0..20 {
        bench.fill_segments(HUB, P0, 1);
        bench.seal_all();
    }
    let statistics = bench.log.statistics();
    assert_eq!((statistics.segments_zeroed, statistics.segments_recycled), (2, 19), "{statistics:?}");
    assert!(bench.files("spare").len() <= 2);
}

#[test]
fn no_more_than_eight_full_segments_wait_to_be_sealed() {
    let bench = bench(&[hub(1, 1)]);
    bench.fill_segments(HUB, P0, 12);
    let statistics = bench.log.statistics();
    assert_eq!((statistics.segments_unsealed, statistics.segments_sealed), (8, 4), "with more the writer seals itself");
}

#[test]
fn a_torn_group_in_a_file_used_again_never_shows_an_event_of_its_earlier_use() {
    for lost_block in 0..9 {
        let bench = bench(&[hub(1, 1)]);
        bench.fill_segments(HUB, P0, 2);
        bench.seal_all();
        bench.fill_segments(HUB, P0, 1);
        assert!(bench.log.statistics().segments_recycled > 0);
        // The file of the earlier use, whose groups lay at the same places.
        stage(&bench.log, P0, &["y".repeat(4000).as_str()]);
        bench.log.commit_staged();
        let expected = read_all(&bench.log, P0);
        let active = bench.disk.paths().into_iter().rfind(|path| path.extension().is_some_and(|name| name == "log")).expect("a segment");
        let content = bench.disk.content(&active);
        let last = last_group(&content);
        drop(bench.log);
        // As if one block of the last group had kept what was there before: another group's bytes.
        bench.disk.damage(&active, |content| {
            let (at, from) = (last + lost_block * 512, 4096 + lost_block * 512);
            content.copy_within(from..from + 512, at);
        });
        let log = open(&bench.disk, &bench.clock, &[hub(1, 1)]);
        let read = read_all(&log, P0);
        assert!(read == expected || read == expected[..expected.len() - 1], "block {lost_block}");
        assert_eq!(log.health(), Health::Healthy);
    }
}

/// Where the last group of the segment's own epoch begins.
fn last_group(content: &[u8]) -> usize {
    let epoch = &content[32..40];
    let is_group = |at: &usize| content[*at..].starts_with(b"IGRP") && &content[at + 24..at + 32] == epoch;
    (4096..content.len()).step_by(512).rfind(is_group).expect("a group")
}

#[test]
fn offsets_are_found_by_record_timestamp_in_sealed_files_and_segments_alike() {
    let bench = bench(&[hub(1, 2)]);
    // Two steps forward, one back: the producer's clock is its own.
    let at = |number: i64| Timestamp::from_milliseconds(1_000 + number * 10 - (number % 3) * 15);
    let count = 90;
    for number in 0..count {
        let body = "z".repeat(1500);
        support::stage_batch(&bench.log, HUB, P0, batch_at(&[(at(number), &body)]));
        bench.log.commit_staged();
        if number % 10 == 0 {
            bench.log.seal_oldest().expect("sealed");
        }
    }
    assert!(bench.log.statistics().segments_sealed > 0 && bench.log.statistics().segments_unsealed == 0);
    for log in [bench.log.clone(), {
        bench.log.close();
        open(&bench.disk, &bench.clock, &[hub(1, 2)])
    }] {
        for time in (900..2_000).step_by(7).map(Timestamp::from_milliseconds) {
            let expected = (0..count).find(|number| at(*number) >= time).map(|number| (SequenceNumber(number), at(number)));
            let found = log.offset_for_timestamp(HUB, P0, time).expect("reads");
            assert_eq!(found.map(|found| (found.sequence, found.timestamp)), expected, "{time}");
        }
        let latest = (0..count).rev().max_by_key(|number| at(*number)).expect("some");
        let found = log.max_timestamp(HUB, P0).expect("reads").expect("some");
        assert_eq!((found.sequence, found.timestamp), (SequenceNumber(latest), at(latest)));
        assert_eq!(log.max_timestamp(HUB, P1).expect("reads"), None);
    }
}

#[test]
fn a_start_by_append_time_is_found_in_sealed_files() {
    let bench = bench(&[hub(1, 1)]);
    for number in 0..120 {
        stage(&bench.log, P0, &[&format!("{number} {}", "y".repeat(1000))]);
        bench.log.commit_staged();
        bench.clock.advance(seconds(1));
    }
    bench.seal_all();
    for second in 0..=120_u64 {
        let mut reader = bench.log.reader(HUB, P0, Start::EnqueuedAt(start_of_time().saturating_add(seconds(second)))).expect("a reader");
        let found = reader.try_next(1).expect("reads").first().map(|batch| batch.base.0);
        assert_eq!(found, (second < 120).then_some(second as i64));
    }
}

#[tokio::test]
async fn growth_is_awaited_without_polling_and_ends_with_the_log() {
    let bench = bench(&[hub(1, 1)]);
    stage(&bench.log, P0, &["one"]);
    bench.log.commit_staged();
    bench.log.grown_past(HUB, P0, SequenceNumber(0)).expect("known").await;
    let grown = tokio::spawn(bench.log.grown_past(HUB, P0, SequenceNumber(1)).expect("known"));
    let closed = tokio::spawn(bench.log.grown_past(HUB, P0, SequenceNumber(99)).expect("known"));
    tokio::task::yield_now().await;
    assert!(!grown.is_finished());
    stage(&bench.log, P0, &["two"]);
    bench.log.commit_staged();
    grown.await.expect("resolves");
    bench.log.close();
    closed.await.expect("resolves");
    assert!(bench.log.grown_past(HUB, P1, SequenceNumber(0)).is_err());
}

#[test]
fn a_reader_in_the_midst_of_a_file_that_retention_takes_goes_on_behind_it() {
    let bench = bench(&[kept(1, 1, Retention::Limits { time: seconds(10), bytes: None })]);
    bench.fill_segments(HUB, P0, 2);
    bench.seal_all();
    let mut reader = bench.log.reader(HUB, P0, Start::Earliest).expect("a reader");
    reader.try_next(1).expect("reads");
    reader.try_next(1).expect("reads");
    bench.clock.advance(seconds(11));
    assert_eq!(bench.log.keep_retention().expect("works"), 2);
    let first = bench.first(P0);
    let items = drain(&mut reader, 1);
    assert!(matches!(items.first(), Some(support::Item::Event(sequence, _)) if sequence.0 == first), "{:.80?}", items.first());
    assert_eq!(bench.log.health(), Health::Healthy);
}

#[test]
fn a_config_of_another_size_uses_no_spare_of_the_old_one() {
    let bench = bench(&[hub(1, 1)]);
    bench.fill_segments(HUB, P0, 3);
    bench.seal_all();
    assert_eq!(bench.files("spare").len(), 2);
    let expected = read_all(&bench.log, P0);
    bench.log.close();
    let disk: Arc<dyn Disk> = Arc::new(bench.disk.clone());
    let config = Config { segment_bytes: 128 * 1024, ..small() };
    let log = EventLog::open_manual(Path::new("log"), disk, config, bench.clock.clone(), &[hub(1, 1)]).expect("opens").0;
    assert_eq!(bench.files("spare"), Vec::<String>::new());
    assert_eq!(read_all(&log, P0), expected);
}

#[test]
fn a_seek_by_time_finds_no_gap_where_its_segment_was_sealed_before_the_first_read() {
    let bench = bench(&[hub(1, 1)]);
    for number in 0..3 {
        stage(&bench.log, P0, &[&format!("early {number}")]);
        bench.log.commit_staged();
    }
    bench.clock.advance(seconds(3600));
    bench.log.commit_staged();
    let time = start_of_time().saturating_add(seconds(3600));
    // More than the tail holds.
    for _ in 0..4 {
        stage(&bench.log, P0, &["x".repeat(4000).as_str()]);
        bench.log.commit_staged();
    }
    let mut reader = bench.log.reader(HUB, P0, Start::EnqueuedAt(time)).expect("a reader");
    bench.seal_all();
    assert_eq!(drain(&mut reader, 1), read_all(&bench.log, P0)[3..]);
    assert_eq!(bench.log.health(), Health::Healthy);
}

#[test]
fn a_file_that_cannot_be_removed_keeps_no_other_event_hubs_files() {
    let limits = Retention::Limits { time: seconds(10), bytes: None };
    let bench = bench(&[kept(1, 1, limits), kept(2, 1, limits)]);
    stage_in(&bench.log, EventHubId(2), P0, &["other"]);
    bench.fill_segments(HUB, P0, 1);
    bench.seal_all();
    bench.clock.advance(seconds(11));
    bench.disk.set_faults(Faults { fail_call: Some(bench.disk.calls() + 1), ..Faults::default() });
    bench.log.keep_retention().expect_err("the first file stays");
    assert_eq!(bench.files("sealed"), ["00000000000000000001-0000000001.sealed"]);
    assert_eq!(bench.log.keep_retention().expect("works again"), 1);
    assert_eq!(bench.files("sealed"), Vec::<String>::new());
}
