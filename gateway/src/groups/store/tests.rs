use std::path::Path;
use std::sync::Arc;

use event_log::{Config, Disk, EventHubDefinition, Faults, FaultyDisk, LogFailed};

use super::*;
use crate::groups::internal_event_hub;

const OTHER: EventHubId = EventHubId(1);

fn open_log(disk: &FaultyDisk, clock: &Clock) -> EventLog {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let config = Config { segment_bytes: 64 * 1024, staged_bytes_max: 64 * 1024, ..Config::default() };
    let hubs = [internal_event_hub(), EventHubDefinition { id: OTHER, ..internal_event_hub() }];
    EventLog::open_manual(Path::new("log"), disk, config, clock.clone(), &hubs).expect("opens").0
}

fn open(log: &EventLog) -> Store {
    Store::open(log.clone(), Clock::manual(Timestamp::NEVER), 1024 * 1024).expect("opens")
}

fn key() -> OffsetKey {
    OffsetKey { group: GroupId::new("g").expect("a group id"), hub: OTHER, partition: PartitionId(0) }
}

async fn stage(store: &Store, offset: i64) -> Result<Ticket, StoreError> {
    let metadata = "n".repeat(1000).into();
    let committed = Committed { offset: SequenceNumber(offset), leader_epoch: -1, metadata, time: Timestamp::NEVER };
    let prepared = store.prepare(vec![Change::Offset(key(), Some(committed))]).await?;
    store.stage(prepared)
}

fn seen(store: &Store) -> Option<i64> {
    let listed = store.offsets(&key().group).first().map(|(_, committed)| committed.offset.0);
    assert_eq!(listed, store.offset(&key()).map(|committed| committed.offset.0));
    listed
}

#[tokio::test]
async fn what_a_full_disk_refused_never_was_and_what_comes_later_counts() {
    let disk = FaultyDisk::new(1);
    let log = open_log(&disk, &Clock::manual(Timestamp::NEVER));
    let store = open(&log);
    disk.set_faults(Faults { capacity: Some(0), ..Faults::default() });
    let mut stored = 0;
    loop {
        let tickets = [stage(&store, stored + 1).await.expect("staged"), stage(&store, stored + 2).await.expect("staged")];
        assert_eq!(seen(&store), Some(stored).filter(|stored| *stored > 0), "not durable yet");
        assert!(log.commit_staged());
        match tickets[1].try_get() {
            Some(Ok(_)) => stored += 2,
            outcome => {
                assert!(matches!(outcome, Some(Err(LogFailed::Full { .. }))), "{outcome:?}");
                break;
            }
        }
    }
    assert_eq!(seen(&store), Some(stored), "what was refused is taken back");
    assert!(stage(&store, -1).await.is_err());
    disk.set_faults(Faults::default());
    log.commit_staged();
    stage(&store, 7_000).await.expect("room again");
    assert_eq!(seen(&store), Some(stored));
    log.commit_staged();
    assert_eq!(seen(&store), Some(7_000));
    assert!(store.settled().pending.is_empty());
    assert_eq!(seen(&open(&log)), Some(7_000), "and so says the log");
}

#[tokio::test]
async fn producer_ids_go_on_far_behind_where_damage_took_all_that_tells_of_them() {
    let (disk, clock) = (FaultyDisk::new(1), Clock::manual(Timestamp::from_milliseconds(0)));
    let log = open_log(&disk, &clock);
    let batch = batch_of(&[Change::ProducerIds(0)], clock.now());
    let permit = log.try_reserve(batch.staged_bytes()).expect("open").expect("room");
    log.stage(permit, OTHER, PARTITION, batch, Origin::Hub).expect("staged");
    log.commit_staged();
    clock.advance(std::time::Duration::from_secs(3600));
    log.commit_staged();
    assert!(log.seal_oldest().expect("sealed"), "what the other event hub has is safe");
    let store = open(&log);
    let prepared = store.prepare(vec![Change::ProducerIds(1000)]).await.expect("room");
    store.stage(prepared).expect("staged");
    log.commit_staged();
    drop((store, log));
    let segments = disk.paths().into_iter().filter(|path| path.extension().is_some_and(|name| name == "log" || name == "spare"));
    segments.for_each(|path| disk.damage(&path, |content| content.fill(0)));
    let store = open(&open_log(&disk, &clock));
    assert!(store.next_producer_id() >= 1000, "{}", store.next_producer_id());
}
