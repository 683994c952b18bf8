//! What the log promises, through its public API alone, on a real disk.
#![allow(missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use event_log::{Config, DefineError, EventLog, Health, LogFailed, OpenError, Origin, RealDisk, StageError, Start};
use model::{Clock, EventHubId, PartitionId, SequenceNumber};
use support::{HUB, P0, P1, batch, drain, event, hub, item, manual_clock, read_all, small, stage, start_of_time};
use tempfile::TempDir;

fn open(directory: &TempDir, clock: &Clock) -> EventLog {
    let hubs = [hub(1, 2)];
    EventLog::open(directory.path(), Arc::new(RealDisk), small(), clock.clone(), &hubs).expect("opens").0
}

#[tokio::test]
async fn a_resolved_ticket_means_the_event_is_read_back_also_after_reopening() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    let durable = stage(&log, P0, &["one", "two"]).await.expect("durable");
    assert_eq!(durable.first(), SequenceNumber(0));
    assert_eq!(stage(&log, P0, &["three"]).await.expect("durable").first(), SequenceNumber(2));
    let expected = vec![event(0, "one"), event(1, "two"), event(2, "three")];
    assert_eq!(read_all(&log, P0), expected);
    drop(log);
    let log = open(&directory, &manual_clock());
    assert_eq!(read_all(&log, P0), expected);
    assert_eq!(read_all(&log, P1), vec![]);
    assert_eq!(log.partition(HUB, P0).expect("known").next, SequenceNumber(3));
    assert_eq!(log.health(), Health::Healthy);
}

#[tokio::test]
async fn events_older_than_the_tail_come_from_disk_across_segments() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    let mut expected = Vec::new();
    for number in 0..400_i64 {
        let body = format!("{number} {}", "x".repeat(700));
        let partition = PartitionId((number % 2) as u32);
        stage(&log, partition, &[&body]).await.expect("durable");
        if number % 2 == 0 {
            expected.push(event(number / 2, &body));
        }
    }
    assert!(log.statistics().segments >= 3, "{:?}", log.statistics());
    for bytes_max in [1, 5_000, usize::MAX] {
        let mut reader = log.reader(HUB, P0, Start::Earliest).expect("a reader");
        assert_eq!(drain(&mut reader, bytes_max), expected, "{bytes_max}");
    }
    let mut reader = log.reader(HUB, P0, Start::Sequence(SequenceNumber(77))).expect("a reader");
    assert_eq!(drain(&mut reader, 4096), expected[77..]);
    log.close();
    let log = open(&directory, &manual_clock());
    assert_eq!(read_all(&log, P0), expected);
}

#[tokio::test]
async fn a_start_inside_a_batch_yields_events_from_there() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    stage(&log, P0, &["a", "b", "c"]).await.expect("durable");
    let mut reader = log.reader(HUB, P0, Start::Sequence(SequenceNumber(2))).expect("a reader");
    assert_eq!(drain(&mut reader, 1), vec![event(2, "c")]);
    let mut reader = log.reader(HUB, P0, Start::Sequence(SequenceNumber(9))).expect("a reader");
    assert_eq!(drain(&mut reader, 1), vec![]);
    assert_eq!(reader.position(), SequenceNumber(9));
}

#[tokio::test]
async fn a_start_by_time_finds_the_first_event_appended_then_or_later() {
    let directory = TempDir::new().expect("a directory");
    let clock = manual_clock();
    let log = open(&directory, &clock);
    for number in 0..300 {
        stage(&log, P0, &[&format!("{number} {}", "y".repeat(600))]).await.expect("durable");
        clock.advance(Duration::from_secs(1));
    }
    let check = |seconds: u64, first: Option<i64>| {
        let time = start_of_time().saturating_add(Duration::from_millis(seconds * 1000));
        let mut reader = log.reader(HUB, P0, Start::EnqueuedAt(time)).expect("a reader");
        let found = reader.try_next(1).expect("reads").first().map(|batch| batch.base.0);
        assert_eq!(found, first, "{seconds}");
    };
    for seconds in [0, 1, 100, 150, 298, 299] {
        check(seconds, Some(seconds as i64));
    }
    check(300, None);
}

#[tokio::test]
async fn append_time_never_decreases_also_across_a_restart_with_the_clock_set_back() {
    let directory = TempDir::new().expect("a directory");
    let clock = manual_clock();
    clock.advance(Duration::from_secs(1000));
    let log = open(&directory, &clock);
    stage(&log, P0, &["late"]).await.expect("durable");
    log.close();
    let log = open(&directory, &manual_clock());
    stage(&log, P0, &["earlier by the clock"]).await.expect("durable");
    let batches = log.reader(HUB, P0, Start::Earliest).expect("a reader").try_next(usize::MAX).expect("reads");
    let mut times: Vec<_> = batches.iter().map(|batch| batch.append_time).collect();
    let last = log.partition(HUB, P0).expect("known").last_enqueued_time;
    assert_eq!(times.last().copied(), last);
    times.dedup();
    assert!(times.is_sorted() && times.first() == Some(&clock.now()), "{times:?}");
}

#[tokio::test]
async fn a_reader_at_the_end_wakes_when_an_event_is_durable() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    let mut reader = log.reader(HUB, P1, Start::Latest).expect("a reader");
    let follower = tokio::spawn(async move { reader.next(1024).await });
    stage(&log, P0, &["elsewhere"]).await.expect("durable");
    stage(&log, P1, &["here"]).await.expect("durable");
    let batches = follower.await.expect("no panic").expect("reads");
    let items: Vec<_> = batches.iter().flat_map(|batch| batch.events()).map(|event| item(event.expect("decodes"))).collect();
    assert_eq!(items, vec![event(0, "here")]);
}

#[tokio::test]
async fn concurrent_appends_keep_order_and_leave_no_gap() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let log = log.clone();
            tokio::spawn(async move {
                for number in 0..50 {
                    stage(&log, P0, &[&format!("{task}:{number}")]).await.expect("durable");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let items = read_all(&log, P0);
    assert_eq!(items.len(), 1000);
    for (index, item) in items.iter().enumerate() {
        assert!(matches!(item, support::Item::Event(sequence, _) if sequence.0 == index as i64));
    }
    let statistics = log.statistics();
    assert_eq!((statistics.events, statistics.frames, statistics.staged_bytes), (1000, 1000, 0));
    assert!(statistics.groups < 1000, "groups gather: {statistics:?}");
}

#[tokio::test]
async fn closing_writes_what_is_staged_and_then_refuses() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    let tickets: Vec<_> = (0..100).map(|number| stage(&log, P0, &[&number.to_string()])).collect();
    log.close();
    log.close();
    for ticket in tickets {
        assert!(matches!(ticket.try_get(), Some(Ok(_))));
    }
    assert!(matches!(log.reserve(10).await, Err(LogFailed::Closed)));
    assert_eq!(read_all(&log, P0).len(), 100);
    assert_eq!(read_all(&open(&directory, &manual_clock()), P0).len(), 100);
}

#[tokio::test]
async fn a_second_handle_on_the_directory_is_refused_until_the_first_closes() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    let second = EventLog::open(directory.path(), Arc::new(RealDisk), small(), manual_clock(), &[]);
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    log.close();
    open(&directory, &manual_clock());
}

#[tokio::test]
async fn the_budget_bounds_what_waits_and_comes_back_in_full() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    let all = log.reserve(usize::MAX).await.expect("open");
    assert_eq!(all.bytes(), small().staged_bytes_max);
    assert!(log.try_reserve(1).expect("open").is_none());
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.reserve(1000).await.expect("open").bytes() }
    });
    let one = batch(&["x"]);
    log.stage(all, HUB, P0, one, Origin::Hub).expect("staged").await.expect("durable");
    assert_eq!(waiting.await.expect("no panic"), 1000);
    assert_eq!(log.statistics().staged_bytes, 0);
}

#[tokio::test]
async fn a_batch_that_cannot_be_stored_is_refused_with_its_reason() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    let permit = || log.try_reserve(64 * 1024).expect("open").expect("room");
    let refused = log.stage(permit(), EventHubId(9), P0, batch(&["x"]), Origin::Mqtt);
    assert!(matches!(refused, Err(StageError::UnknownPartition(_))));
    assert!(matches!(log.stage(permit(), HUB, PartitionId(2), batch(&["x"]), Origin::Mqtt), Err(StageError::UnknownPartition(_))));
    assert!(matches!(log.stage(permit(), HUB, P0, batch(&[]), Origin::Mqtt), Err(StageError::EmptyBatch)));
    let large = batch(&[&"x".repeat(40 * 1024)]);
    assert!(matches!(log.stage(permit(), HUB, P0, large, Origin::Mqtt), Err(StageError::BatchTooLarge { .. })));
    let few = log.try_reserve(10).expect("open").expect("room");
    assert!(matches!(log.stage(few, HUB, P0, batch(&["x"]), Origin::Mqtt), Err(StageError::PermitTooSmall { .. })));
    assert_eq!(log.statistics().staged_bytes, 0);
}

#[tokio::test]
async fn a_hub_defined_later_is_usable_and_its_partition_count_fixed() {
    let directory = TempDir::new().expect("a directory");
    let log = open(&directory, &manual_clock());
    log.define(hub(2, 3)).expect("new");
    log.define(hub(2, 3)).expect("the same again");
    assert!(matches!(log.define(hub(2, 4)), Err(DefineError::PartitionCount { existing: 3, requested: 4, .. })));
    assert!(matches!(log.define(hub(3, 1024)), Ok(())));
    let permit = log.try_reserve(4096).expect("open").expect("room");
    log.stage(permit, EventHubId(2), PartitionId(2), batch(&["x"]), Origin::Coap).expect("staged").await.expect("durable");
    log.close();
    let opened = EventLog::open(directory.path(), Arc::new(RealDisk), small(), manual_clock(), &[hub(1, 2)]);
    let (log, report) = opened.expect("opens");
    assert_eq!(report.undefined_hubs, vec![EventHubId(2)]);
    log.define(hub(2, 3)).expect("known from the log");
    let batches = log.reader(EventHubId(2), PartitionId(2), Start::Earliest).expect("a reader").try_next(10).expect("reads");
    assert_eq!(batches.first().map(|batch| batch.origin), Some(Origin::Coap));
}

#[test]
fn sizes_out_of_bounds_are_refused() {
    let directory = TempDir::new().expect("a directory");
    for config in [Config { segment_bytes: 100, ..small() }, Config { staged_bytes_max: 1, ..small() }] {
        let opened = EventLog::open(directory.path(), Arc::new(RealDisk), config, manual_clock(), &[]);
        assert!(matches!(opened, Err(OpenError::Config { .. })));
    }
}
