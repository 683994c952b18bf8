use std::time::Duration;

use bytes::Bytes;
use model::api::{FeedbackRecord, FeedbackStatus};
use model::{Identity, Message};
use twins::{Ack, CommandSettings, Config, FeedbackSettings, LockLost, LockOwner, NewCommand, OpenError, ServiceQueue, SettleError, Twins};

use crate::{Home, create, device_id, identity};

const OWNER: LockOwner = LockOwner(1);

async fn home_with_devices(names: &[&str]) -> (Home, Twins) {
    let home = Home::new();
    let twins = home.open().await;
    for name in names {
        create(&twins, name).await;
    }
    (home, twins)
}

async fn send(twins: &Twins, id: &Identity, message_id: &str, ack: Ack) {
    let mut message = Message { body: Bytes::from_static(b"x"), ..Message::default() };
    message.properties.system.message_id = Some(message_id.into());
    twins.enqueue_command(id, NewCommand { message, ack, ..NewCommand::default() }).await.expect("stored");
}

async fn complete_next(twins: &Twins, id: &Identity) {
    let held = twins.lock_commands(id, OWNER, 1).await.expect("locked").remove(0).lock;
    twins.complete_command(id, held).await.expect("held");
}

/// What of the message that comes next says: message ids and outcomes.
async fn outcomes(twins: &Twins) -> Vec<(String, FeedbackStatus)> {
    let Some(message) = twins.receive_feedback(None).await.expect("read") else { return vec![] };
    twins.complete_message(ServiceQueue::Feedback, message.lock).await.expect("held");
    message.content.into_iter().map(|record| (record.original_message_id, record.status_code)).collect()
}

#[tokio::test]
async fn a_record_says_whose_command_came_to_what_and_when() {
    let (home, twins) = home_with_devices(&["d", "d/m"]).await;
    for (name, message_id) in [("d", "to device"), ("d/m", "to module")] {
        send(&twins, &identity(name), message_id, Ack::Positive).await;
        home.advance(1);
        complete_next(&twins, &identity(name)).await;
    }
    home.advance(14);
    let message = twins.receive_feedback(None).await.expect("read").expect("formed");
    let record = |name: &str, message_id: &str, module: Option<&str>, seconds| FeedbackRecord {
        original_message_id: message_id.into(),
        description: "Success".into(),
        device_generation_id: twins.identity(&identity(name)).expect("there").generation.to_string(),
        device_id: "d".into(),
        module_id: module.map(Into::into),
        enqueued_time_utc: model::Timestamp::parse_rfc3339(&format!("2026-01-01T00:00:0{seconds}Z")).expect("a date"),
        status_code: FeedbackStatus::Success,
    };
    assert_eq!(message.content, [record("d", "to device", None, 1), record("d/m", "to module", Some("m"), 2)]);
    assert_eq!((message.sequence_number, message.delivery_count, message.enqueued_time), (1, 0, home.clock.now()));
    assert_eq!(message.expiry_time, home.clock.now().saturating_add(Duration::from_secs(3600)));
}

#[tokio::test]
async fn each_outcome_is_told_to_those_who_asked_for_it() {
    use FeedbackStatus::{DeliveryCountExceeded, Expired, Purged, Rejected, Success};
    for (ack, is_told) in [
        (Ack::None, [false; 5]),
        (Ack::Positive, [true, false, false, false, false]),
        (Ack::Negative, [false, true, true, true, true]),
        (Ack::Full, [true; 5]),
    ] {
        let (home, twins) = home_with_devices(&["d"]).await;
        let id = identity("d");
        send(&twins, &id, "completed", ack).await;
        complete_next(&twins, &id).await;
        send(&twins, &id, "rejected", ack).await;
        let held = twins.lock_commands(&id, OWNER, 1).await.expect("locked").remove(0).lock;
        twins.reject_command(&id, held).await.expect("held");
        send(&twins, &id, "abandoned", ack).await;
        for _ in 0..10 {
            let held = twins.receive_commands(&id, 1, None).await.expect("received").remove(0).lock;
            twins.abandon_command(&id, held).await.expect("held");
        }
        send(&twins, &id, "purged", ack).await;
        twins.purge_commands(&id).await.expect("purged");
        send(&twins, &id, "expired", ack).await;
        home.advance(15);
        let mut told = outcomes(&twins).await;
        home.advance(3585);
        twins.sweep_commands().await.expect("swept");
        home.advance(15);
        told.extend(outcomes(&twins).await);
        let all = [
            ("completed", Success),
            ("rejected", Rejected),
            ("abandoned", DeliveryCountExceeded),
            ("purged", Purged),
            ("expired", Expired),
        ];
        let expect: Vec<_> =
            all.into_iter().zip(is_told).filter(|(_, is_told)| *is_told).map(|((id, status), _)| (id.to_owned(), status)).collect();
        assert_eq!(told, expect, "{ack}");
    }
}

#[tokio::test]
async fn what_a_device_was_answered_has_its_feedback_after_a_crash() {
    let (home, twins) = home_with_devices(&["d"]).await;
    send(&twins, &identity("d"), "m", Ack::Full).await;
    complete_next(&twins, &identity("d")).await;
    let copy = home.crashed_copy();
    let after = copy.open().await;
    assert_eq!(after.commands(&identity("d")).await, Ok(vec![]));
    home.advance(15);
    assert_eq!(outcomes(&after).await, [("m".to_owned(), FeedbackStatus::Success)]);
}

#[tokio::test]
async fn sixty_four_records_are_a_message_at_once() {
    let (home, twins) = home_with_devices(&["d"]).await;
    let id = identity("d");
    for number in 0..65 {
        send(&twins, &id, &format!("m{number}"), Ack::Full).await;
        if number % 2 == 0 {
            complete_next(&twins, &id).await;
        }
    }
    assert_eq!(twins.receive_feedback(None).await, Ok(None));
    twins.purge_commands(&id).await.expect("purged");
    assert_eq!(outcomes(&twins).await.len(), 64);
    assert_eq!(outcomes(&twins).await, []);
    let swept = twins.sweep_commands().await.expect("swept");
    assert_eq!(swept.next, Some(home.clock.now().saturating_add(Duration::from_secs(15))));
    home.advance(15);
    twins.sweep_commands().await.expect("swept");
    assert_eq!(outcomes(&twins).await, [("m64".to_owned(), FeedbackStatus::Purged)]);
}

#[tokio::test]
async fn a_feedback_message_comes_back_until_it_was_abandoned_too_often() {
    let (home, twins) = home_with_devices(&["d"]).await;
    send(&twins, &identity("d"), "m", Ack::Full).await;
    complete_next(&twins, &identity("d")).await;
    home.advance(15);
    let first = twins.receive_feedback(None).await.expect("read").expect("formed");
    assert_eq!(twins.receive_feedback(None).await, Ok(None), "it is handed out");
    home.advance(60);
    assert_eq!(twins.complete_message(ServiceQueue::Feedback, first.lock).await, Err(SettleError::LockLost(LockLost)));
    twins.sweep_commands().await.expect("swept");
    for count in 0..10 {
        let again = twins.receive_feedback(None).await.expect("read").expect("back");
        assert_eq!((again.sequence_number, again.delivery_count, &again.content), (1, count, &first.content));
        twins.abandon_message(ServiceQueue::Feedback, again.lock).await.expect("held");
    }
    assert_eq!(twins.receive_feedback(None).await, Ok(None));
}

#[tokio::test]
async fn feedback_that_nobody_reads_expires() {
    let (home, twins) = home_with_devices(&["d"]).await;
    send(&twins, &identity("d"), "m", Ack::Full).await;
    complete_next(&twins, &identity("d")).await;
    home.advance(15);
    twins.sweep_commands().await.expect("swept");
    home.advance(3599);
    let held = twins.receive_feedback(Some(Duration::from_secs(5))).await.expect("read").expect("formed");
    home.advance(4);
    twins.sweep_commands().await.expect("swept");
    assert_eq!(twins.abandon_message(ServiceQueue::Feedback, held.lock).await, Ok(()), "an expiry counts once nobody has it");
    assert_eq!(twins.receive_feedback(None).await, Ok(None));
    assert_eq!(twins.sweep_commands().await.map(|swept| swept.next), Ok(None));
}

#[tokio::test]
async fn the_oldest_feedback_gives_way_and_keeps_no_device_waiting() {
    let feedback = FeedbackSettings { expiry: Duration::from_secs(172_800), ..FeedbackSettings::default() };
    let commands = CommandSettings { feedback, ..CommandSettings::default() };
    let home = Home { config: Config { commands, ..Config::default() }, ..Home::new() };
    let twins = home.open().await;
    create(&twins, "d").await;
    for number in 1..=1026 {
        send(&twins, &identity("d"), &format!("m{number}"), Ack::Full).await;
        assert_eq!(twins.purge_commands(&identity("d")).await, Ok(1));
        home.advance(15);
    }
    assert_eq!(outcomes(&twins).await, [("m3".to_owned(), FeedbackStatus::Purged)]);
}

#[tokio::test]
async fn a_deleted_device_takes_its_feedback_along() {
    let (home, twins) = home_with_devices(&["d", "d/m", "e"]).await;
    let settle = async |name: &str| {
        send(&twins, &identity(name), name, Ack::Full).await;
        complete_next(&twins, &identity(name)).await;
    };
    settle("d/m").await;
    home.advance(15);
    settle("d").await; // alone in a message: this one forms it
    settle("e").await;
    let alone = twins.receive_feedback(None).await.expect("read").expect("formed");
    twins.delete_device(device_id("d"), twins::IfMatch::Any).await.expect("deleted");
    assert_eq!(twins.complete_message(ServiceQueue::Feedback, alone.lock).await, Err(SettleError::LockLost(LockLost)));
    home.advance(15);
    assert_eq!(outcomes(&twins).await, [("e".to_owned(), FeedbackStatus::Success)]);
    assert_eq!(outcomes(&twins).await, []);
}

#[tokio::test]
async fn a_setting_out_of_bounds_opens_nothing() {
    let commands = CommandSettings { queue_depth: 0, ..CommandSettings::default() };
    let home = Home { config: Config { commands, ..Config::default() }, ..Home::new() };
    let opened = Twins::open(&home.database(), home.clock.clone(), home.config.clone()).await;
    assert!(matches!(&opened, Err(OpenError::Commands(fault)) if fault.setting == "queue_depth"), "{opened:?}");
    assert!(!home.database().exists());
}
