use std::time::Duration;

use model::Timestamp;
use model::api::FileNotification;
use twins::{BeginFileUploadError, EndFileUploadError, LockLost, NewFileUpload, ServiceQueue, SettleError, Twins};

use crate::{Home, create, device_id};

fn new_upload(blob: &str) -> NewFileUpload {
    NewFileUpload { container: "uploads".into(), blob: blob.into(), lifetime: Duration::from_secs(3600), concurrent_max: 2 }
}

fn notification(home: &Home, blob: &str) -> (FileNotification, Timestamp) {
    let now = home.clock.now();
    let notification = FileNotification {
        device_id: "d".into(),
        blob_uri: format!("https://localhost/uploads/{blob}"),
        blob_name: blob.into(),
        last_updated_time: now,
        blob_size_in_bytes: 7,
        enqueued_time_utc: now,
    };
    (notification, now.saturating_add(Duration::from_secs(60)))
}

async fn home_with_device() -> (Home, Twins) {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    create(&twins, "e").await;
    (home, twins)
}

#[tokio::test]
async fn an_upload_is_under_way_until_it_ends_and_across_restarts() {
    let (home, twins) = home_with_device().await;
    let upload = twins.begin_file_upload(&device_id("d"), new_upload("d/a")).await.expect("begun");
    assert_eq!(upload.id.len(), 32);
    let twins = home.reopen(twins).await;
    assert_eq!(twins.file_upload(&upload.id).await.expect("read"), Some(upload.clone()));
    assert_eq!(twins.file_uploads().await.expect("read"), std::slice::from_ref(&upload.id));
    assert_eq!(twins.end_file_upload(&device_id("e"), &upload.id, None).await, Err(EndFileUploadError::Unknown), "another device's");
    twins.end_file_upload(&device_id("d"), &upload.id, None).await.expect("ended");
    assert_eq!(twins.file_upload(&upload.id).await.expect("read"), None);
    assert_eq!(twins.end_file_upload(&device_id("d"), &upload.id, None).await, Err(EndFileUploadError::Unknown), "a second time");
    assert_eq!(twins.receive_file_notification(None).await.expect("read"), None, "nobody was to be told");
}

#[tokio::test]
async fn a_device_has_so_many_uploads_under_way_and_time_ends_them() {
    let (home, twins) = home_with_device().await;
    let device = device_id("d");
    let first = twins.begin_file_upload(&device, new_upload("d/a")).await.expect("begun");
    twins.begin_file_upload(&device, new_upload("d/b")).await.expect("begun");
    let third = twins.begin_file_upload(&device, new_upload("d/c")).await;
    assert_eq!(third, Err(BeginFileUploadError::TooMany { max: 2 }));
    twins.begin_file_upload(&device_id("e"), new_upload("e/a")).await.expect("another device's do not count");
    home.advance(3600);
    assert_eq!(twins.file_upload(&first.id).await.expect("read"), None);
    assert_eq!(twins.end_file_upload(&device, &first.id, None).await, Err(EndFileUploadError::Unknown));
    twins.begin_file_upload(&device, new_upload("d/c")).await.expect("begun");
    let unknown = twins.begin_file_upload(&device_id("f"), new_upload("f/a")).await;
    assert!(matches!(unknown, Err(BeginFileUploadError::UnknownIdentity(_))), "{unknown:?}");
}

#[tokio::test]
async fn a_deleted_device_leaves_no_upload() {
    let (_home, twins) = home_with_device().await;
    let upload = twins.begin_file_upload(&device_id("d"), new_upload("d/a")).await.expect("begun");
    twins.delete_device(device_id("d"), twins::IfMatch::Any).await.expect("deleted");
    create(&twins, "d").await;
    assert_eq!(twins.file_upload(&upload.id).await.expect("read"), None);
}

#[tokio::test]
async fn a_notification_comes_until_it_is_completed_in_order_and_across_a_crash() {
    let (home, twins) = home_with_device().await;
    for blob in ["d/a", "d/b"] {
        let upload = twins.begin_file_upload(&device_id("d"), new_upload(blob)).await.expect("begun");
        twins.end_file_upload(&device_id("d"), &upload.id, Some(notification(&home, blob))).await.expect("ended");
    }
    let copy = home.crashed_copy();
    let kept = copy.open().await.receive_file_notification(None).await.expect("read").expect("one");
    assert_eq!(kept.content.blob_name, "d/a", "what a crash left");
    let first = twins.receive_file_notification(None).await.expect("read").expect("one");
    let second = twins.receive_file_notification(None).await.expect("read").expect("one");
    assert_eq!((first.sequence_number, first.content.clone()), (1, notification(&home, "d/a").0));
    assert_eq!(second.content.blob_name, "d/b");
    assert_eq!(twins.receive_file_notification(None).await.expect("read"), None, "both are handed out");

    twins.abandon_message(ServiceQueue::FileNotifications, first.lock).await.expect("held");
    let again = twins.receive_file_notification(None).await.expect("read").expect("one");
    assert_eq!((again.sequence_number, again.delivery_count), (1, 1));
    twins.complete_message(ServiceQueue::FileNotifications, again.lock).await.expect("held");
    assert_eq!(twins.complete_message(ServiceQueue::FileNotifications, first.lock).await, Err(SettleError::LockLost(LockLost)));
    home.advance(60);
    assert_eq!(twins.receive_file_notification(None).await.expect("read"), None, "the other has expired");
}

#[tokio::test]
async fn a_lock_on_a_notification_ends_and_a_sweep_is_not_disturbed() {
    let (home, twins) = home_with_device().await;
    let upload = twins.begin_file_upload(&device_id("d"), new_upload("d/a")).await.expect("begun");
    let (notification, _) = notification(&home, "d/a");
    let expiry = home.clock.now().saturating_add(Duration::from_secs(3600));
    twins.end_file_upload(&device_id("d"), &upload.id, Some((notification, expiry))).await.expect("ended");
    let first = twins.receive_file_notification(Some(Duration::from_secs(30))).await.expect("read").expect("one");
    home.advance(30);
    let swept = twins.sweep_commands().await.expect("swept");
    assert_eq!((swept.available.len(), swept.next), (0, Some(expiry)));
    let again = twins.receive_file_notification(None).await.expect("read").expect("to be had again");
    assert_eq!((again.sequence_number, again.delivery_count), (first.sequence_number, 0));
    let twins = home.reopen(twins).await;
    assert!(twins.receive_file_notification(None).await.expect("read").is_some(), "a restart takes it back");
}
