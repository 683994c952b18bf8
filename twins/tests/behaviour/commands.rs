use std::time::Duration;

use bytes::Bytes;
use model::api::CommandState;
use model::{Identity, Message, MessageProperties};
use twins::{Ack, DeadLetterReason, EnqueueError, LockOwner, LockedCommand, NewCommand, QueueFull, SettleError, Twins};

use crate::{Home, create, identity};

const ONE: LockOwner = LockOwner(1);
const TWO: LockOwner = LockOwner(2);

fn command(body: &str) -> NewCommand {
    NewCommand { message: Message { body: Bytes::from(body.to_owned()), ..Message::default() }, ..NewCommand::default() }
}

async fn home_with_queue() -> (Home, Twins, Identity) {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    (home, twins, identity("d"))
}

async fn send(twins: &Twins, id: &Identity, body: &str) -> u64 {
    twins.enqueue_command(id, command(body)).await.expect("stored").sequence_number
}

async fn lock(twins: &Twins, id: &Identity, owner: LockOwner, limit: usize) -> Vec<LockedCommand> {
    twins.lock_commands(id, owner, limit).await.expect("locked")
}

fn sequences(commands: &[LockedCommand]) -> Vec<u64> {
    commands.iter().map(|command| command.sequence_number).collect()
}

#[tokio::test]
async fn a_command_arrives_as_it_was_sent() {
    let (home, twins, id) = home_with_queue().await;
    let mut properties = MessageProperties::default();
    properties.system.message_id = Some("m 1".into());
    properties.system.correlation_id = Some("ü".into());
    properties.system.content_type = Some("application/json".into());
    properties.application = vec![("colour".into(), Some("red".into())), ("flag".into(), None), ("empty".into(), Some(String::new()))];
    let message = Message { properties: properties.clone(), body: Bytes::from_static(b"\xff\x00body") };
    let enqueued = twins
        .enqueue_command(&id, NewCommand { message: message.clone(), expiry: None, ack: Ack::Full, input: None })
        .await
        .expect("stored");
    assert_eq!((enqueued.message_id.as_str(), enqueued.sequence_number), ("m 1", 1));
    let twins = home.reopen(twins).await;
    let received = lock(&twins, &id, ONE, 10).await.remove(0);
    properties.system.to = Some("/devices/d/messages/deviceBound".into());
    properties.system.ack = Some("full".into());
    properties.system.expiry = Some(home.clock.now().saturating_add(Duration::from_secs(3600)));
    assert_eq!(received.message, Message { properties, ..message });
    assert_eq!((received.delivery_count, received.enqueued_time), (0, home.clock.now()));
}

#[tokio::test]
async fn commands_keep_their_order_and_their_places() {
    let (home, twins, id) = home_with_queue().await;
    for body in ["a", "b", "c"] {
        send(&twins, &id, body).await;
    }
    let first = lock(&twins, &id, ONE, 2).await;
    assert_eq!(sequences(&first), [1, 2]);
    assert_eq!(sequences(&lock(&twins, &id, TWO, 9).await), [3], "what is handed out is invisible to others");
    let states: Vec<_> = twins.commands(&id).await.expect("listed").iter().map(|item| item.state).collect();
    assert_eq!(states, [CommandState::Invisible; 3]);
    twins.complete_command(&id, first[0].lock).await.expect("held");
    twins.abandon_command(&id, first[1].lock).await.expect("held");
    let again = lock(&twins, &id, ONE, 9).await;
    assert_eq!((sequences(&again), again[0].delivery_count), (vec![2], 1));
    twins.release_locks(&id, ONE).await;
    twins.release_locks(&id, TWO).await;
    let after_release = lock(&twins, &id, TWO, 9).await;
    let counts: Vec<_> = after_release.iter().map(|command| command.delivery_count).collect();
    assert_eq!((sequences(&after_release), counts), (vec![2, 3], vec![1, 0]), "a release does not count");
    let twins = home.reopen(twins).await;
    assert_eq!(sequences(&lock(&twins, &id, ONE, 9).await), [2, 3], "a restart takes every command back");
}

#[tokio::test]
async fn a_settled_or_released_lock_is_lost() {
    let (_home, twins, id) = home_with_queue().await;
    send(&twins, &id, "a").await;
    let held = lock(&twins, &id, ONE, 1).await.remove(0).lock;
    twins.release_locks(&id, ONE).await;
    assert_eq!(twins.complete_command(&id, held).await, Err(SettleError::LockLost(twins::LockLost)));
    let held = lock(&twins, &id, ONE, 1).await.remove(0).lock;
    twins.complete_command(&id, held).await.expect("held");
    assert_eq!(twins.complete_command(&id, held).await, Err(SettleError::LockLost(twins::LockLost)));
    assert_eq!(twins.complete_command(&identity("nobody"), held).await, Err(SettleError::LockLost(twins::LockLost)));
}

#[tokio::test]
async fn a_completed_command_never_comes_back_and_its_number_is_not_used_again() {
    let (home, twins, id) = home_with_queue().await;
    send(&twins, &id, "a").await;
    let held = lock(&twins, &id, ONE, 1).await.remove(0).lock;
    twins.complete_command(&id, held).await.expect("held");
    let twins = home.reopen(twins).await;
    assert_eq!(lock(&twins, &id, ONE, 9).await, []);
    assert_eq!(send(&twins, &id, "b").await, 2);
}

#[tokio::test]
async fn what_is_not_completed_is_dead_lettered_with_its_reason() {
    let (home, twins, id) = home_with_queue().await;
    send(&twins, &id, "rejected").await;
    let held = lock(&twins, &id, ONE, 1).await.remove(0).lock;
    twins.reject_command(&id, held).await.expect("held");
    send(&twins, &id, "abandoned").await;
    for _ in 0..10 {
        let held = lock(&twins, &id, ONE, 1).await.remove(0).lock;
        twins.abandon_command(&id, held).await.expect("held");
    }
    send(&twins, &id, "expired").await;
    home.advance(3600);
    assert_eq!(twins.twin(&id).await.expect("there").cloud_to_device_message_count, 0);
    assert_eq!(lock(&twins, &id, ONE, 9).await, []);
    let twins = home.reopen(twins).await;
    let reasons: Vec<_> = twins.dead_letters(&id).await.expect("read").iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [DeadLetterReason::Rejected, DeadLetterReason::DeliveryCountExceeded, DeadLetterReason::Expired]);
}

#[tokio::test]
async fn an_expiry_that_passes_while_handed_out_does_not_take_the_command_away() {
    let (home, twins, id) = home_with_queue().await;
    send(&twins, &id, "a").await;
    let held = lock(&twins, &id, ONE, 1).await.remove(0).lock;
    home.advance(7200);
    assert_eq!(twins.complete_command(&id, held).await, Ok(()));
    assert_eq!(twins.dead_letters(&id).await.expect("read"), []);
}

#[tokio::test]
async fn the_queue_is_bounded_and_expired_commands_make_room() {
    let (home, twins, id) = home_with_queue().await;
    for number in 1..=50 {
        assert_eq!(send(&twins, &id, "x").await, number);
    }
    assert_eq!(twins.enqueue_command(&id, command("x")).await, Err(EnqueueError::QueueFull(QueueFull { depth: 50 })));
    home.advance(3600);
    assert_eq!(send(&twins, &id, "x").await, 51, "a refused command uses up no number");
    assert_eq!(twins.dead_letters(&id).await.expect("read").len(), 50);
    assert_eq!(twins.purge_commands(&id).await, Ok(1));
    assert_eq!(twins.commands(&id).await, Ok(vec![]));
    for _ in 0..2 {
        for _ in 0..50 {
            send(&twins, &id, "x").await;
        }
        home.advance(3600);
    }
    assert_eq!(twins.commands(&id).await, Ok(vec![]));
    let letters = twins.dead_letters(&id).await.expect("read");
    assert_eq!((letters.len(), letters[0].command.sequence_number), (100, 52), "the oldest dead letters go");
}

#[tokio::test]
async fn a_command_that_breaks_a_rule_is_refused() {
    let (home, twins, id) = home_with_queue().await;
    let check = async |change: &dyn Fn(&mut NewCommand), expect: EnqueueError| {
        let mut new = command("x");
        change(&mut new);
        assert_eq!(twins.enqueue_command(&id, new).await, Err(expect));
    };
    let now = home.clock.now();
    let late = now.saturating_add(Duration::from_secs(2 * 24 * 3600 + 1));
    check(&|new| new.message.body = vec![0; 65_537].into(), EnqueueError::TooLarge { bytes: 65_537 }).await;
    check(&|new| new.expiry = Some(now), EnqueueError::InvalidExpiry { expiry: now }).await;
    check(&|new| new.expiry = Some(late), EnqueueError::InvalidExpiry { expiry: late }).await;
    let long = |new: &mut NewCommand| new.message.properties.system.message_id = Some("m".repeat(129));
    check(&long, EnqueueError::MessageIdTooLong { bytes: 129 }).await;
    for (name, value) in [("a b", "x"), ("a", "x y"), ("é", "x"), ("", "x"), ("$.mid", "x"), ("iothub-ack", "x")] {
        let property = |new: &mut NewCommand| new.message.properties.application = vec![(name.into(), Some(value.into()))];
        check(&property, EnqueueError::InvalidProperty { name: name.into() }).await;
    }
    assert!(twins.enqueue_command(&identity("nobody"), command("x")).await.is_err());
    assert_eq!(twins.commands(&id).await, Ok(vec![]));
    assert_eq!(send(&twins, &id, "x").await, 1);
}
