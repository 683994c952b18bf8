//! A disk without room: what is refused, what goes on, and going on when there is room again.
#![allow(missing_docs)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event_log::{Disk, EventLog, Faults, FaultyDisk, Health, LogFailed, Retention};
use support::{HUB, P0, bench, hub, kept, manual_clock, open, read_all, small, stage};

#[test]
fn a_full_disk_refuses_gives_the_numbers_again_and_goes_on_by_itself_when_there_is_room() {
    let bench = bench(&[hub(1, 1)]);
    bench.disk.set_faults(Faults { capacity: Some(100 * 1024), ..Faults::default() });
    let mut durable = 0;
    let refused = loop {
        let ticket = stage(&bench.log, P0, &["x".repeat(4000).as_str()]);
        bench.log.commit_staged();
        match ticket.try_get().expect("resolved") {
            Ok(_) => durable += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogFailed::Full { .. }), "{refused}");
    assert!(matches!(bench.log.health(), Health::Full { .. }));
    assert!(matches!(bench.log.try_reserve(1), Err(LogFailed::Full { .. })));
    assert_eq!(read_all(&bench.log, P0).len(), durable);
    assert_eq!(bench.log.statistics().staged_bytes, 0);
    assert_eq!(bench.files("log").len(), 1, "what could not be prepared takes no room from others");
    assert!(!bench.log.commit_staged(), "still full");
    bench.disk.set_faults(Faults::default());
    bench.log.commit_staged();
    assert_eq!(bench.log.health(), Health::Healthy);
    let ticket = stage(&bench.log, P0, &["later"]);
    bench.log.commit_staged();
    assert_eq!(ticket.try_get().expect("resolved").expect("durable").first().0, durable as i64);
    drop(bench.log);
    assert_eq!(read_all(&open(&bench.disk, &bench.clock, &[hub(1, 1)]), P0).len(), durable + 1);
}

#[test]
fn retention_goes_on_while_the_disk_is_full_and_makes_room() {
    let bench = bench(&[kept(1, 1, Retention::Limits { time: Duration::from_secs(10), bytes: None })]);
    bench.fill_segments(HUB, P0, 4);
    bench.seal_all();
    let used: u64 = bench.disk.paths().iter().map(|path| bench.disk.content(path).len() as u64).sum();
    bench.disk.set_faults(Faults { capacity: Some(used), ..Faults::default() });
    while bench.log.try_reserve(1).is_ok() {
        stage(&bench.log, P0, &["x".repeat(4000).as_str()]);
        bench.log.commit_staged();
    }
    bench.clock.advance(Duration::from_secs(11));
    assert_eq!(bench.log.keep_retention().expect("works"), 4);
    bench.log.commit_staged();
    assert_eq!(bench.log.health(), Health::Healthy);
    bench.fill_segments(HUB, P0, 1);
}

#[tokio::test]
async fn a_log_with_threads_tries_again_by_itself_after_a_full_disk() {
    let disk = FaultyDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = EventLog::open(Path::new("log"), shared, small(), manual_clock(), &[hub(1, 1)]).expect("opens").0;
    disk.set_faults(Faults { capacity: Some(100 * 1024), ..Faults::default() });
    while stage(&log, P0, &["x".repeat(4000).as_str()]).await.is_ok() {}
    assert!(matches!(log.reserve(1).await, Err(LogFailed::Full { .. })));
    disk.set_faults(Faults::default());
    while log.reserve(1).await.is_err() {
        tokio::task::yield_now().await;
    }
    stage(&log, P0, &["later"]).await.expect("durable");
    assert_eq!(log.health(), Health::Healthy);
}
