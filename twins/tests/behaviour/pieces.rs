//! What is done to long queues leaves room for others, and may end at any point.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use model::api::FeedbackStatus;
use model::{Identity, Message};
use twins::{Ack, CommandSettings, Config, DeadLetters, NewCommand, Twins};

use crate::{Home, create, identity};

/// Rows that go in one transaction.
const ROWS: u64 = 128;

async fn home_with_queue() -> (Home, Twins, Identity) {
    let commands = CommandSettings { queue_depth: 400, dead_letters_max: 400, ..CommandSettings::default() };
    let home = Home { config: Config { commands, ..Config::default() }, ..Home::new() };
    let twins = home.open().await;
    create(&twins, "d").await;
    (home, twins, identity("d"))
}

async fn send(twins: &Twins, id: &Identity, commands: u64, bytes: usize) {
    for _ in 0..commands {
        let message = Message { body: Bytes::from(vec![b'x'; bytes]), ..Message::default() };
        let command = NewCommand { message, ack: Ack::Negative, ..NewCommand::default() };
        twins.enqueue_command(id, command).await.expect("stored");
    }
}

/// Sends, and lets it expire.
async fn dead_letters(home: &Home, twins: &Twins, id: &Identity, letters: u64, bytes: usize) {
    send(twins, id, letters, bytes).await;
    home.advance(3600);
    let mut expired = 0;
    while expired < letters {
        expired += twins.sweep_commands().await.expect("swept").expired;
    }
}

async fn waiting(twins: &Twins, id: &Identity) -> Vec<u64> {
    twins.commands(id).await.expect("read").iter().map(|item| item.sequence_number).collect()
}

async fn dead(twins: &Twins, id: &Identity) -> Vec<u64> {
    let mut letters = Vec::new();
    let mut page = twins.dead_letter_page(id, None, 1000).await.expect("read");
    letters.append(&mut page.items);
    while let Some(after) = page.next {
        page = twins.dead_letter_page(id, Some(after), 1000).await.expect("read");
        letters.append(&mut page.items);
    }
    letters.iter().map(|letter| letter.command.sequence_number).collect()
}

/// Lets it hand the writer its first piece; what is asked of the writer next comes behind that.
async fn begin(work: &mut (impl Future + Unpin)) {
    tokio::select! {
        biased;
        _ = work => panic!("it takes more than one piece"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn others_get_between_the_pieces_of_a_redrive() {
    let (home, twins, id) = home_with_queue().await;
    dead_letters(&home, &twins, &id, 300, 1).await;
    let mut redrive = Box::pin(twins.redrive_dead_letters(&id, DeadLetters::All, None));
    begin(&mut redrive).await;
    assert_eq!(waiting(&twins, &id).await, (301..=300 + ROWS).collect::<Vec<_>>());
    assert_eq!(dead(&twins, &id).await, (ROWS + 1..=300).collect::<Vec<_>>());
    send(&twins, &id, 1, 1).await;
    let redriven = redrive.await.expect("there");
    assert_eq!((redriven.redriven.len(), redriven.remaining), (300, 0));
    let numbers: Vec<_> = redriven.redriven.iter().map(|item| (item.dead_letter_sequence_number, item.sequence_number)).collect();
    // The new command has a number in between.
    let expect = (1..=300).map(|old| (old, 300 + old + u64::from(old > ROWS)));
    assert_eq!(numbers, expect.collect::<Vec<_>>());
    assert_eq!((waiting(&twins, &id).await, dead(&twins, &id).await), ((301..=601).collect(), vec![]));
}

#[tokio::test]
async fn a_crash_between_the_pieces_leaves_each_message_in_one_place() {
    let (home, twins, id) = home_with_queue().await;
    dead_letters(&home, &twins, &id, 300, 1).await;
    let mut redrive = Box::pin(twins.redrive_dead_letters(&id, DeadLetters::All, None));
    begin(&mut redrive).await;
    assert_eq!(waiting(&twins, &id).await.len() as u64, ROWS, "the first piece is on disk");
    drop(redrive);
    let copy = home.crashed_copy();
    let after = copy.open().await;
    assert_eq!(waiting(&after, &id).await, (301..=300 + ROWS).collect::<Vec<_>>());
    assert_eq!(dead(&after, &id).await, (ROWS + 1..=300).collect::<Vec<_>>());
    let rest = after.redrive_dead_letters(&id, DeadLetters::All, None).await.expect("there");
    assert_eq!((rest.redriven.len() as u64, rest.remaining), (300 - ROWS, 0));
    assert_eq!((waiting(&after, &id).await, dead(&after, &id).await), ((301..=600).collect(), vec![]));
}

#[tokio::test]
async fn a_redrive_of_many_ends_where_the_queue_does() {
    let (home, twins, id) = home_with_queue().await;
    dead_letters(&home, &twins, &id, 300, 1).await;
    send(&twins, &id, 200, 1).await;
    let redriven = twins.redrive_dead_letters(&id, DeadLetters::All, None).await.expect("there");
    assert_eq!((redriven.redriven.len(), redriven.remaining), (200, 100));
    assert_eq!(dead(&twins, &id).await, (201..=300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_piece_is_bounded_in_bytes() {
    let (home, twins, id) = home_with_queue().await;
    dead_letters(&home, &twins, &id, 40, 60_000).await;
    let mut redrive = Box::pin(twins.redrive_dead_letters(&id, DeadLetters::All, None));
    begin(&mut redrive).await;
    assert_eq!(waiting(&twins, &id).await, (41..=57).collect::<Vec<_>>(), "17 are 1 MiB");
    assert_eq!(redrive.await.expect("there").redriven.len(), 40);
}

#[tokio::test]
async fn a_sweep_is_bounded_in_bytes() {
    let (home, twins, id) = home_with_queue().await;
    send(&twins, &id, 40, 60_000).await;
    home.advance(3600);
    for (expired, is_last) in [(17, false), (17, false), (6, true)] {
        let swept = twins.sweep_commands().await.expect("swept");
        let is_done = swept.next != Some(home.clock.now());
        assert_eq!((swept.expired, is_done), (expired, is_last));
    }
}

/// Of a redrive that goes on what dies meanwhile is not part, or it would overtake others.
#[tokio::test]
async fn what_dies_during_a_redrive_stays_dead() {
    let (home, twins, id) = home_with_queue().await;
    dead_letters(&home, &twins, &id, 129, 1).await;
    let expiry = home.clock.now().saturating_add(Duration::from_secs(60));
    let message = Message { body: Bytes::from_static(b"x"), ..Message::default() };
    twins.enqueue_command(&id, NewCommand { message, expiry: Some(expiry), ..NewCommand::default() }).await.expect("stored");
    let mut redrive = Box::pin(twins.redrive_dead_letters(&id, DeadLetters::All, None));
    begin(&mut redrive).await;
    assert_eq!(waiting(&twins, &id).await.len(), 129);
    home.advance(60);
    let redriven = redrive.await.expect("there");
    assert_eq!((redriven.redriven.len(), redriven.remaining), (129, 0));
    assert_eq!(dead(&twins, &id).await, [130]);
}

#[tokio::test]
async fn others_get_between_the_pieces_of_a_purge() {
    let (home, twins, id) = home_with_queue().await;
    send(&twins, &id, 300, 1).await;
    twins.receive_commands(&id, 3, None).await.expect("handed out");
    let mut purge = Box::pin(twins.purge_commands(&id));
    begin(&mut purge).await;
    assert_eq!(waiting(&twins, &id).await, (ROWS + 1..=300).collect::<Vec<_>>());
    send(&twins, &id, 2, 1).await;
    assert_eq!(purge.await, Ok(300));
    assert_eq!(waiting(&twins, &id).await, [301, 302], "what was sent meanwhile stays");
    home.advance(15);
    let mut told = 0;
    while let Some(message) = twins.receive_feedback(None).await.expect("read") {
        assert!(message.content.iter().all(|record| record.status_code == FeedbackStatus::Purged));
        told += message.content.len();
    }
    assert_eq!(told, 300, "each is told of once");
}

#[tokio::test]
async fn others_get_between_the_pieces_of_a_deletion() {
    let (home, twins, id) = home_with_queue().await;
    dead_letters(&home, &twins, &id, 300, 1).await;
    let mut delete = Box::pin(twins.delete_dead_letters(&id, DeadLetters::All));
    begin(&mut delete).await;
    assert_eq!(waiting(&twins, &id).await, [0_u64; 0]);
    assert_eq!(dead(&twins, &id).await, (ROWS + 1..=300).collect::<Vec<_>>());
    assert_eq!(delete.await, Ok(300));
    assert_eq!(dead(&twins, &id).await, [0_u64; 0]);
}
