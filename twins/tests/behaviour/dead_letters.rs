use std::time::Duration;

use bytes::Bytes;
use model::api::CommandState;
use model::{Identity, Message};
use twins::{CommandReadError, CommandSettings, Config, DeadLetters, LockLost, LockOwner, NewCommand, RedriveError, SettleError, Twins};

use crate::{Home, create, identity};

async fn home_with_queue(commands: CommandSettings) -> (Home, Twins, Identity) {
    let home = Home { config: Config { commands, ..Config::default() }, ..Home::new() };
    let twins = home.open().await;
    create(&twins, "d").await;
    (home, twins, identity("d"))
}

async fn send(twins: &Twins, id: &Identity, body: impl Into<Bytes>) -> u64 {
    let command = NewCommand { message: Message { body: body.into(), ..Message::default() }, ..NewCommand::default() };
    twins.enqueue_command(id, command).await.expect("stored").sequence_number
}

/// Sends and rejects.
async fn dead_letter(twins: &Twins, id: &Identity, body: impl Into<Bytes>) -> u64 {
    let sequence = send(twins, id, body).await;
    let held = twins.lock_commands(id, LockOwner(1), 1).await.expect("locked").remove(0).lock;
    twins.reject_command(id, held).await.expect("held");
    sequence
}

#[tokio::test]
async fn a_dead_letter_goes_back_as_it_was_sent_under_a_new_number() {
    let (home, twins, id) = home_with_queue(CommandSettings::default()).await;
    let mut message = Message { body: Bytes::from_static(b"\xff\x00"), ..Message::default() };
    message.properties.system.message_id = Some("m".into());
    message.properties.system.content_type = Some("a/b".into());
    message.properties.application = vec![("colour".into(), Some("red".into())), ("flag".into(), None)];
    let new = NewCommand { message, ack: twins::Ack::Full, ..NewCommand::default() };
    twins.enqueue_command(&id, new).await.expect("stored");
    let before = twins.lock_commands(&id, LockOwner(1), 1).await.expect("locked").remove(0);
    twins.reject_command(&id, before.lock).await.expect("held");
    home.advance(100);
    let expiry = home.clock.now().saturating_add(Duration::from_secs(500));
    let redriven = twins.redrive_dead_letters(&id, DeadLetters::One(1), Some(expiry)).await.expect("there");
    assert_eq!((redriven.redriven[0].message_id.as_str(), redriven.redriven[0].sequence_number, redriven.remaining), ("m", 2, 0));
    let twins = home.reopen(twins).await;
    assert_eq!(twins.dead_letters(&id).await, Ok(vec![]));
    let after = twins.lock_commands(&id, LockOwner(1), 1).await.expect("locked").remove(0);
    let mut expect = before.message;
    expect.properties.system.expiry = Some(expiry);
    assert_eq!((after.message, after.sequence_number, after.delivery_count, after.enqueued_time), (expect, 2, 0, home.clock.now()));
}

#[tokio::test]
async fn a_dead_letter_pushed_out_by_what_expired_meanwhile_is_unknown() {
    let settings = CommandSettings { dead_letters_max: 1, expiry_default: Duration::from_secs(60), ..CommandSettings::default() };
    let (home, twins, id) = home_with_queue(settings).await;
    let sequence = dead_letter(&twins, &id, "old").await;
    send(&twins, &id, "new").await;
    home.advance(61);
    let redriven = twins.redrive_dead_letters(&id, DeadLetters::One(sequence), None).await;
    assert_eq!(redriven, Err(RedriveError::UnknownDeadLetter { sequence }));
    assert_eq!(twins.dead_letters(&id).await.expect("read").len(), 1, "the one that expired");
}

#[tokio::test]
async fn what_the_queue_has_no_room_for_stays_dead() {
    let (_home, twins, id) = home_with_queue(CommandSettings { queue_depth: 3, ..CommandSettings::default() }).await;
    for _ in 0..4 {
        dead_letter(&twins, &id, "x").await;
    }
    send(&twins, &id, "y").await;
    let redriven = twins.redrive_dead_letters(&id, DeadLetters::All, None).await.expect("there");
    let moved: Vec<_> = redriven.redriven.iter().map(|item| (item.dead_letter_sequence_number, item.sequence_number)).collect();
    assert_eq!((moved, redriven.remaining), (vec![(1, 6), (2, 7)], 2));
    let redriven = twins.redrive_dead_letters(&id, DeadLetters::One(4), None).await.expect("there");
    assert_eq!((redriven.redriven.len(), redriven.remaining), (0, 1));
    let left: Vec<_> = twins.dead_letters(&id).await.expect("read").iter().map(|letter| letter.command.sequence_number).collect();
    assert_eq!(left, [3, 4]);
}

#[tokio::test]
async fn a_redrive_that_breaks_a_rule_changes_nothing() {
    let (home, twins, id) = home_with_queue(CommandSettings::default()).await;
    dead_letter(&twins, &id, "x").await;
    let expiry = home.clock.now();
    let unknown = Err(RedriveError::UnknownDeadLetter { sequence: 2 });
    assert_eq!(twins.redrive_dead_letters(&id, DeadLetters::One(2), None).await, unknown);
    assert_eq!(twins.redrive_dead_letters(&id, DeadLetters::All, Some(expiry)).await, Err(RedriveError::InvalidExpiry { expiry }));
    let nobody = twins.redrive_dead_letters(&identity("nobody"), DeadLetters::All, None).await;
    assert!(matches!(nobody, Err(RedriveError::UnknownIdentity(_))), "{nobody:?}");
    assert_eq!((twins.commands(&id).await, twins.dead_letters(&id).await.map(|letters| letters.len())), (Ok(vec![]), Ok(1)));
}

#[tokio::test]
async fn dead_letters_are_deleted_one_by_one_or_all() {
    let (_home, twins, id) = home_with_queue(CommandSettings::default()).await;
    for _ in 0..4 {
        dead_letter(&twins, &id, "x").await;
    }
    assert_eq!(twins.delete_dead_letters(&id, DeadLetters::One(2)).await, Ok(1));
    assert_eq!(twins.delete_dead_letters(&id, DeadLetters::One(2)).await, Ok(0));
    assert_eq!(twins.delete_dead_letters(&id, DeadLetters::All).await, Ok(3));
    let nobody = twins.delete_dead_letters(&identity("nobody"), DeadLetters::All).await;
    assert!(matches!(nobody, Err(CommandReadError::UnknownIdentity(_))), "{nobody:?}");
}

#[tokio::test]
async fn listings_come_in_pages_of_so_many_and_so_much() {
    let (_home, twins, id) =
        home_with_queue(CommandSettings { queue_depth: 200, dead_letters_max: 200, ..CommandSettings::default() }).await;
    let large = || vec![b'x'; 64 * 1024 - 100];
    for _ in 0..70 {
        dead_letter(&twins, &id, large()).await;
    }
    for _ in 0..30 {
        dead_letter(&twins, &id, "").await;
    }
    for _ in 0..70 {
        send(&twins, &id, large()).await;
    }
    // 64 of the large ones are 4 MiB.
    for limit in [7, 30, 1000] {
        let (mut after, mut sizes, mut seen) = (None, vec![], vec![]);
        while sizes.is_empty() || after.is_some() {
            let page = twins.command_page(&id, after, limit).await.expect("read");
            sizes.push(page.items.len());
            seen.extend(page.items.iter().map(|item| item.sequence_number));
            after = page.next;
        }
        assert_eq!(seen, (101..=170).collect::<Vec<_>>());
        assert_eq!((sizes[0], sizes.len()), (limit.min(64), 70_usize.div_ceil(limit.min(64))));
    }
    let page = async |after, limit| {
        let page = twins.dead_letter_page(&id, after, limit).await.expect("read");
        (page.items.iter().map(|letter| letter.command.sequence_number).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(page(None, 1000).await, ((1..=64).collect(), Some(64)));
    assert_eq!(page(Some(64), 1000).await, ((65..=100).collect(), None));
    assert_eq!(page(Some(64), 3).await, (vec![65, 66, 67], Some(67)));
    assert_eq!(page(Some(97), 3).await, (vec![98, 99, 100], None));
    assert_eq!(page(Some(100), 3).await, (vec![], None));
    let nobody = twins.dead_letter_page(&identity("nobody"), None, 9).await;
    assert!(matches!(nobody, Err(CommandReadError::UnknownIdentity(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_reader_that_polls_has_its_command_until_the_lock_ends() {
    let (home, twins, id) = home_with_queue(CommandSettings::default()).await;
    send(&twins, &id, "x").await;
    for (asked, seconds) in [(None, 60), (Some(1), 5), (Some(90), 90), (Some(301), 300)] {
        let held = twins.receive_commands(&id, 9, asked.map(Duration::from_secs)).await.expect("received").remove(0);
        home.advance(seconds - 1);
        let listed = twins.commands(&id).await.expect("listed").remove(0);
        assert_eq!(
            (listed.state, listed.locked_until),
            (CommandState::Invisible, Some(home.clock.now().saturating_add(Duration::from_secs(1))))
        );
        assert_eq!(twins.receive_commands(&id, 9, None).await, Ok(vec![]));
        assert_eq!(twins.sweep_commands().await.map(|swept| swept.available), Ok(vec![]));
        home.advance(1);
        assert_eq!(*twins.command_deadline().borrow(), Some(home.clock.now()), "the end of a lock is a deadline");
        assert_eq!(twins.complete_command(&id, held.lock).await, Err(SettleError::LockLost(LockLost)));
        assert_eq!(twins.sweep_commands().await.map(|swept| swept.available), Ok(vec![id.clone()]), "who waits for it is told");
        let listed = twins.commands(&id).await.expect("listed").remove(0);
        assert_eq!((listed.state, listed.locked_until, listed.delivery_count), (CommandState::Enqueued, None, 0));
    }
}

#[tokio::test]
async fn a_sweep_takes_what_is_due_in_turns_and_then_rests() {
    let (home, twins, _) =
        home_with_queue(CommandSettings { queue_depth: 1000, dead_letters_max: 1000, ..CommandSettings::default() }).await;
    let id = identity("d");
    for _ in 0..600 {
        send(&twins, &id, "x").await;
    }
    home.advance(3600);
    let first = twins.sweep_commands().await.expect("swept");
    assert_eq!((first.expired, first.next), (512, Some(home.clock.now())));
    let second = twins.sweep_commands().await.expect("swept");
    assert_eq!((second.expired, second.next), (88, None));
    assert_eq!(twins.dead_letters(&id).await.map(|letters| letters.len()), Ok(600));
}
