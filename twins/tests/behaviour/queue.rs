use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde_json::json;
use twins::{Config, IfMatch, StoreError};

use crate::{Home, create, identity, tags};

/// Holds the database's write lock, so that the writer stands still.
fn block_writes(home: &Home) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(home.database()).expect("opens");
    connection.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    connection
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_and_loses_nobody() {
    for config in [Config { queue_entries_max: 2, ..Config::default() }, Config { queue_bytes_max: 64, ..Config::default() }] {
        let home = Home { config, ..Home::new() };
        let twins = home.open().await;
        create(&twins, "d").await;
        let blocked = block_writes(&home);
        let finished = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..200)
            .map(|number| {
                let (twins, finished) = (twins.clone(), Arc::clone(&finished));
                tokio::spawn(async move {
                    let patch = Bytes::from(format!(r#"{{"key{number}":"some text to fill the queue with"}}"#));
                    let outcome = twins.patch_reported(&identity("d"), patch, None).await;
                    finished.fetch_add(1, Ordering::SeqCst);
                    outcome
                })
            })
            .collect();
        // Everyone who can has gone as far as they can.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(finished.load(Ordering::SeqCst), 0, "nobody is answered before a commit");
        blocked.execute_batch("ROLLBACK").expect("released");
        for caller in callers {
            caller.await.expect("no panic").expect("accepted");
        }
        let reported = twins.twin(&identity("d")).await.expect("there").properties.reported.expect("reported");
        assert_eq!(reported["$version"], 201);
    }
}

#[tokio::test]
async fn a_reader_sees_the_last_commit_while_a_write_is_under_way() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    twins.patch_twin(&identity("d"), tags(json!({"a": 1})), IfMatch::Any).await.expect("changed");
    let _blocked = block_writes(&home);
    let twin = twins.twin(&identity("d")).await.expect("reading goes on");
    assert_eq!(twin.tags.expect("tags")["a"], 1);
}

#[tokio::test]
async fn a_failed_transaction_is_told_to_its_callers_and_changes_nothing() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    // Somebody else's table stands where ours was.
    let other = rusqlite::Connection::open(home.database()).expect("opens");
    other.execute_batch("ALTER TABLE twins RENAME TO moved").expect("renamed");
    let failed = twins.patch_reported(&identity("d"), Bytes::from("{}"), None).await;
    assert!(matches!(failed, Err(twins::ReportedError::Store(StoreError::Transaction(_)))), "{failed:?}");
    other.execute_batch("ALTER TABLE moved RENAME TO twins").expect("renamed");
    assert_eq!(twins.patch_reported(&identity("d"), Bytes::from("{}"), None).await, Ok(2), "a failure that is not of IO passes");
    assert_eq!(twins.health(), Ok(()));
}
