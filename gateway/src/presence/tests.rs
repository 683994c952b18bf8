use std::future::poll_fn;

use bytes::Bytes;
use model::limits::POLLS_PER_IDENTITY_MAX;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::methods::{CallFailed, MethodAnswer};

fn identity(text: &str) -> Identity {
    text.parse().expect("an identity")
}

#[tokio::test]
async fn the_newer_connection_wins_and_waits_for_the_older_to_leave() {
    let presence = Presence::default();
    let older = presence.enter(&identity("d")).await;
    let leaving = tokio::spawn(async move {
        let facts = poll_fn(|cx| older.poll_facts(cx)).await;
        assert!(facts.taken_over());
        older.id
    });
    let newer = presence.enter(&identity("d")).await;
    let older = leaving.await.expect("the older connection left");
    assert!(older < newer.id);
    assert!(presence.is_connected(&identity("d")));
    drop(newer);
    assert!(!presence.is_connected(&identity("d")));
}

#[tokio::test]
async fn a_device_and_its_module_are_connected_side_by_side() {
    let presence = Presence::default();
    let _device = presence.enter(&identity("d")).await;
    let module = presence.enter(&identity("d/m")).await;
    assert_eq!(presence.connected_count(), 2);
    presence.recheck(&identity("d"));
    assert!(poll_fn(|cx| module.poll_facts(cx)).await.grants_changed());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_identity_learns_that_it_came_though_it_went_again() {
    let presence = Presence::default();
    let wait = |patience| {
        let presence = presence.clone();
        tokio::spawn(async move { presence.returns(&identity("d"), tokio::time::sleep(patience)).await })
    };
    let (long, longer) = (Duration::from_secs(60), Duration::from_secs(120));
    assert!(!wait(long).await.expect("no panic"), "nobody came");
    let (first, second) = (wait(longer), wait(longer));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(first.await.expect("no panic"), "the second to wait came after a connection that the first missed");
    drop(presence.enter(&identity("d")).await);
    tokio::time::sleep(longer).await;
    assert!(second.await.expect("no panic"));
    assert!(presence.awaited().is_empty());
}

fn call() -> (DeviceCall, oneshot::Receiver<Result<MethodAnswer, CallFailed>>) {
    let (answer, answered) = oneshot::channel();
    (DeviceCall { name: "m".to_owned(), payload: Bytes::new(), answer }, answered)
}

/// Calls in the background; the call is on its way when this returns.
async fn calling(
    presence: &Presence,
    patience: Duration,
) -> (JoinHandle<Result<(), Unreached>>, oneshot::Receiver<Result<MethodAnswer, CallFailed>>) {
    let (presence, (call, answered)) = (presence.clone(), call());
    let waiting = tokio::spawn(async move { presence.call(&identity("d"), call, patience).await });
    tokio::task::yield_now().await;
    (waiting, answered)
}

fn methods_poll(presence: &Presence) -> polls::OpenPoll {
    presence.polls().enter(&identity("d"), Wanted::Methods).expect("room")
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_waiting_caller_reaches_the_device_once_it_takes_methods() {
    let presence = Presence::default();
    let mut seat = presence.enter(&identity("d")).await;
    let (waiting, _answered) = calling(&presence, LONG).await;
    seat.set_takes_methods(true);
    assert_eq!(waiting.await.expect("no panic"), Ok(()));
    assert!(matches!(poll_fn(|cx| seat.poll_signal(cx)).await, Signal::Call(_)));
    let (elsewhere, _answered) = call();
    assert_eq!(presence.call(&identity("e"), elsewhere, Duration::ZERO).await, Err(Unreached::NotOnline));
}

#[tokio::test]
async fn a_call_reaches_one_poll_only_and_waits_for_it_if_it_must() {
    let presence = Presence::default();
    let (first, second) = (methods_poll(&presence), methods_poll(&presence));
    let (NextCall::ToCome(to_first), NextCall::ToCome(mut to_second)) = (first.next_call(), second.next_call()) else {
        panic!("nobody has called yet")
    };
    let (waiting, _answered) = calling(&presence, Duration::ZERO).await;
    assert_eq!(waiting.await.expect("no panic"), Ok(()));
    assert_eq!(to_first.await.expect("a call").name, "m");
    assert!(to_second.try_recv().is_err());
    drop((first, second, to_second));

    let (waiting, _answered) = calling(&presence, LONG).await;
    assert!(matches!(methods_poll(&presence).next_call(), NextCall::Here(_)));
    assert_eq!(waiting.await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn between_two_polls_an_identity_is_waited_for_and_not_for_ever() {
    let presence = Presence::default();
    drop(methods_poll(&presence));
    let start = Instant::now();
    let (waiting, _answered) = calling(&presence, Duration::ZERO).await;
    assert!(matches!(methods_poll(&presence).next_call(), NextCall::Here(_)));
    assert_eq!(waiting.await.expect("no panic"), Ok(()));

    let (waiting, _answered) = calling(&presence, Duration::ZERO).await;
    assert_eq!(waiting.await.expect("no panic"), Err(Unreached::NotOnline));
    assert_eq!(start.elapsed(), polls::GRACE);
    let (late, _answered) = call();
    assert_eq!(presence.call(&identity("d"), late, Duration::ZERO).await, Err(Unreached::NotOnline));
    assert_eq!(start.elapsed(), polls::GRACE);
}

#[tokio::test]
async fn a_call_whose_caller_hung_up_is_handed_to_nobody() {
    let presence = Presence::default();
    let (waiting, _answered) = calling(&presence, LONG).await;
    waiting.abort();
    assert!(waiting.await.expect_err("aborted").is_cancelled());
    assert!(matches!(methods_poll(&presence).next_call(), NextCall::ToCome(_)));
}

#[tokio::test]
async fn a_connection_that_takes_methods_goes_before_a_poll() {
    let presence = Presence::default();
    let poll = methods_poll(&presence);
    let NextCall::ToCome(mut to_poll) = poll.next_call() else { panic!("nobody has called yet") };
    let mut seat = presence.enter(&identity("d")).await;
    seat.set_takes_methods(true);
    let (waiting, _answered) = calling(&presence, Duration::ZERO).await;
    assert_eq!(waiting.await.expect("no panic"), Ok(()));
    assert!(matches!(poll_fn(|cx| seat.poll_signal(cx)).await, Signal::Call(_)));
    assert!(to_poll.try_recv().is_err());
}

#[tokio::test]
async fn polls_of_one_identity_are_bounded_and_each_kind_for_itself() {
    let presence = Presence::default();
    let enter = |wanted| presence.polls().enter(&identity("d"), wanted);
    let commands: Vec<_> = (0..POLLS_PER_IDENTITY_MAX).map(|_| enter(Wanted::Commands).expect("room")).collect();
    assert_eq!(enter(Wanted::Commands).err(), Some(TooManyPolls::OfIdentity));
    let methods = enter(Wanted::Methods).expect("room");
    assert_eq!(presence.polls().waiting(), POLLS_PER_IDENTITY_MAX + 1);
    drop((commands, methods));
    assert_eq!(presence.polls().waiting(), 0);
    enter(Wanted::Commands).expect("room again");
}

#[tokio::test]
async fn an_answer_is_taken_once_and_only_while_somebody_waits() {
    let polls = Presence::default().polls().clone();
    let d = identity("d");
    let (answer, answered) = oneshot::channel();
    let id = polls.expect_answer(&d, answer).expect("room");
    assert!(polls.awaited(&identity("e"), id).is_none(), "another device's");
    let shown: CallId = id.to_string().parse().expect("an id");
    assert!(polls.awaited(&d, shown).is_some());
    assert!(polls.awaited(&d, id).is_none(), "taken");
    drop(answered);
    let (answer, answered) = oneshot::channel();
    let id = polls.expect_answer(&d, answer).expect("room");
    drop(answered);
    assert!(polls.awaited(&d, id).is_none(), "the caller has gone");
    for text in ["", "1", "-0000000000000000000000000000001", "g0000000000000000000000000000000"] {
        assert!(text.parse::<CallId>().is_err(), "{text}");
    }
}
