use bytes::Bytes;
use serde_json::json;
use twins::{IfMatch, NewCommand, OpenError, StoreError, TwinWriteError, Twins};

use crate::{Home, create, desired, identity, tags};

#[tokio::test]
async fn everything_answered_is_there_after_a_crash() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    create(&twins, "d/m").await;
    let (device, module) = (identity("d"), identity("d/m"));
    for number in 0..50 {
        twins.patch_reported(&device, Bytes::from(format!(r#"{{"n":{number}}}"#)), None).await.expect("changed");
        twins.patch_twin(&module, desired(json!({"n": number})), IfMatch::Any).await.expect("changed");
        if number < 20 {
            twins.enqueue_command(&device, NewCommand::default()).await.expect("stored");
        }
        if number % 10 == 0 {
            let copy = home.crashed_copy();
            let after = copy.open().await;
            assert_eq!(after.twin(&device).await, twins.twin(&device).await);
            assert_eq!(after.twin(&module).await, twins.twin(&module).await);
            assert_eq!(after.commands(&device).await, twins.commands(&device).await);
            let (before, after) = (twins.identity(&device).expect("there"), after.identity(&device).expect("there"));
            assert_eq!((&before.generation, &before.credentials), (&after.generation, &after.credentials));
        }
    }
}

#[tokio::test]
async fn versions_are_not_used_again_after_a_restart() {
    let home = Home::new();
    let mut twins = home.open().await;
    create(&twins, "d").await;
    let mut last = (2, 1, 1);
    for _ in 0..3 {
        let changed = twins.patch_twin(&identity("d"), desired(json!({})), IfMatch::Any).await.expect("changed");
        let reported = twins.patch_reported(&identity("d"), Bytes::from("{}"), None).await.expect("changed");
        let desired = changed.desired.expect("a notice").version;
        let now = (changed.twin.version, desired, reported);
        assert!(now.0 > last.0 && now.1 > last.1 && now.2 > last.2, "{now:?} after {last:?}");
        last = now;
        twins = home.reopen(twins).await;
    }
}

#[tokio::test]
async fn a_closed_store_refuses_and_says_so() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    assert_eq!(twins.health(), Ok(()));
    twins.close().await;
    assert_eq!(twins.health(), Err(StoreError::Closed));
    let refused = twins.patch_twin(&identity("d"), tags(json!({})), IfMatch::Any).await;
    assert_eq!(refused, Err(TwinWriteError::Store(StoreError::Closed)));
    assert_eq!(twins.device(&crate::device_id("d")).await, Err(StoreError::Closed));
    twins.close().await;
}

#[tokio::test]
async fn what_is_not_a_database_is_not_opened() {
    let home = Home::new();
    std::fs::write(home.database(), vec![b'x'; 8192]).expect("written");
    let opened = Twins::open(&home.database(), home.clock.clone(), home.config.clone()).await;
    assert!(matches!(opened, Err(OpenError::Migrate(_))), "{opened:?}");
    assert_eq!(std::fs::read(home.database()).expect("still there"), vec![b'x'; 8192]);
}
