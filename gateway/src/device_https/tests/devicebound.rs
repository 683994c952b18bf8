use std::time::Duration;

use model::limits::POLLS_PER_IDENTITY_MAX;

use super::{check, hub_with_device};
use crate::https::test_hub::{Answered, TestHub};

const RECEIVE: &str = "GET /messages/devicebound";

/// Waits until so many requests do.
pub(super) async fn until_waiting(hub: &TestHub, polls: usize) {
    while hub.hub.presence.polls().waiting() < polls {
        tokio::task::yield_now().await;
    }
    // What looks before it waits goes through the store's thread.
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

async fn send(hub: &TestHub, identity: &str, body: &str) {
    let path = match identity.split_once('/') {
        None => format!("/devices/{identity}/commands"),
        Some((device, module)) => format!("/devices/{device}/modules/{module}/commands"),
    };
    check(hub, hub.ask(&format!("POST {path}")).body(body), 200, "").await;
}

/// Fetches a command that is there; gives it and its lock.
async fn received(hub: &TestHub, identity: &str) -> (Answered, String) {
    let answered = check(hub, hub.ask_as(identity, RECEIVE), 200, "").await;
    let lock = answered.etag().trim_matches('"').to_owned();
    assert_eq!(answered.etag(), format!("\"{lock}\""), "the lock is quoted");
    (answered, lock)
}

/// Who asks by `HEAD` never sees what it would be handed.
#[tokio::test]
async fn a_look_at_the_head_takes_nothing() {
    let hub = hub_with_device().await;
    send(&hub, "d", r#"{"body":"go"}"#).await;
    for path in ["/messages/devicebound", "/messages/devicebound?wait=300", "/methods", "/methods?wait=300"] {
        let refused = check(&hub, hub.ask_as("d", &format!("HEAD {path}")), 405, "MethodNotAllowed").await;
        assert!(refused.body.is_empty(), "over HTTP/2 it would break the stream: {refused:?}");
    }
    let (answered, _) = received(&hub, "d").await;
    assert_eq!(answered.body, b"go");
}

#[tokio::test]
async fn a_command_arrives_with_its_properties_and_is_gone_once_completed() {
    let hub = hub_with_device().await;
    check(&hub, hub.ask_as("d", RECEIVE), 204, "").await;
    let command = r#"{"body":"go","messageId":"m-1","correlationId":"c-1","userId":"u-1","contentType":"text/plain","contentEncoding":"utf-8","ack":"full","properties":{"Colour":"red"}}"#;
    send(&hub, "d", command).await;
    let (answered, lock) = received(&hub, "d").await;
    assert_eq!(answered.body, b"go");
    for (name, value) in [
        ("iothub-messageid", "m-1"),
        ("iothub-correlationid", "c-1"),
        ("iothub-userid", "u-1"),
        ("iothub-to", "/devices/d/messages/deviceBound"),
        ("iothub-ack", "full"),
        ("iothub-expiry", "2026-01-01T01:00:00Z"),
        ("iothub-enqueuedtime", "2026-01-01T00:00:00Z"),
        ("iothub-sequencenumber", "1"),
        ("iothub-deliverycount", "0"),
        ("iothub-contenttype", "text/plain"),
        ("iothub-contentencoding", "utf-8"),
        ("contenttype", "text/plain"),
        ("contentencoding", "utf-8"),
        ("iothub-app-colour", "red"),
        ("content-type", "application/octet-stream"),
    ] {
        assert_eq!(answered.header(name), value, "{name}");
    }
    check(&hub, hub.ask_as("d", RECEIVE), 204, "").await;
    let complete = || hub.ask_as("d", &format!("DELETE /messages/deviceBound/{lock}?api-version=1")).if_match(&lock);
    check(&hub, complete(), 204, "").await;
    check(&hub, complete(), 412, "DeviceMessageLockLost").await;
    assert_eq!(check(&hub, hub.ask("GET /devices/d/commands"), 200, "").await.json(), serde_json::json!([]));
}

#[tokio::test]
async fn an_abandoned_command_comes_again_and_a_rejected_one_does_not() {
    let hub = hub_with_device().await;
    send(&hub, "d/m", r#"{"body":"one"}"#).await;
    let (_, lock) = received(&hub, "d/m").await;
    check(&hub, hub.ask_as("d", &format!("POST /messages/devicebound/{lock}/abandon")), 412, "DeviceMessageLockLost").await;
    check(&hub, hub.ask_as("d/m", &format!("POST /Messages/De%76iceBound/{lock}/abandon")), 204, "").await;
    let (again, next_lock) = received(&hub, "d/m").await;
    assert_eq!((again.header("iothub-deliverycount"), again.body.as_slice()), ("1", &b"one"[..]));
    assert_ne!(next_lock, lock);
    check(&hub, hub.ask_as("d/m", &format!("DELETE /messages/devicebound/{next_lock}?api-version=1&reject")), 204, "").await;
    check(&hub, hub.ask_as("d/m", RECEIVE), 204, "").await;
    let letters = hub.hub.twins.dead_letters(&"d/m".parse().expect("an identity")).await.expect("dead letters");
    assert_eq!(letters.len(), 1);
}

#[tokio::test]
async fn only_who_says_so_rejects_and_a_lock_may_stand_in_its_quotes() {
    let hub = hub_with_device().await;
    for (query, letters) in [("?reject=false", 0), ("?reject=", 1), ("?Reject=true&api-version=1", 2), ("", 2)] {
        send(&hub, "d", r#"{"body":"one"}"#).await;
        let (_, lock) = received(&hub, "d").await;
        check(&hub, hub.ask_as("d", &format!("DELETE /messages/devicebound/{lock}?reject=perhaps")), 400, "ArgumentInvalid").await;
        check(&hub, hub.ask_as("d", &format!("DELETE /messages/devicebound/%22{lock}%22{query}")), 204, "").await;
        let dead = hub.hub.twins.dead_letters(&"d".parse().expect("an identity")).await.expect("dead letters");
        assert_eq!(dead.len(), letters, "{query}");
    }
}

#[tokio::test]
async fn a_lock_lasts_as_long_as_asked_for_within_bounds() {
    let hub = hub_with_device().await;
    send(&hub, "d", r#"{"body":"one"}"#).await;
    for (asked, lasts) in [(None, 60), (Some("20"), 20), (Some("1"), 5), (Some("100000"), 300)] {
        let ask = hub.ask_as("d", RECEIVE);
        let ask = match asked {
            Some(asked) => ask.header("iothub-messagelocktimeout", asked),
            None => ask,
        };
        let lock = check(&hub, ask, 200, "").await.etag().trim_matches('"').to_owned();
        hub.clock.advance(Duration::from_secs(lasts - 1));
        check(&hub, hub.ask_as("d", RECEIVE), 204, "").await;
        hub.clock.advance(Duration::from_secs(1));
        check(&hub, hub.ask_as("d", &format!("DELETE /messages/devicebound/{lock}")), 412, "DeviceMessageLockLost").await;
    }
    let (again, _) = received(&hub, "d").await;
    assert_eq!(again.header("iothub-deliverycount"), "0", "a lock that ends is not counted");
    check(&hub, hub.ask_as("d", RECEIVE).header("iothub-messagelocktimeout", "soon"), 400, "ArgumentInvalid").await;
}

#[tokio::test]
async fn what_is_no_lock_is_a_lost_one() {
    let hub = hub_with_device().await;
    for text in ["x", "%20", "00000000-0000-0000-0000-000000000000", "0", "devicebound"] {
        check(&hub, hub.ask_as("d", &format!("DELETE /messages/devicebound/{text}")), 412, "DeviceMessageLockLost").await;
        check(&hub, hub.ask_as("d", &format!("POST /messages/devicebound/{text}/abandon")), 412, "DeviceMessageLockLost").await;
    }
}

#[tokio::test]
async fn a_missing_lock_is_a_lost_one_and_settles_nothing() {
    let hub = hub_with_device().await;
    for identity in ["d", "d/m"] {
        send(&hub, identity, r#"{"body":"one"}"#).await;
        let (_, lock) = received(&hub, identity).await;
        for line in [
            "DELETE /messages/devicebound",
            "DELETE /messages/devicebound/",
            "DELETE /messages/deviceBound?reject",
            "DELETE /messages/devicebound/?api-version=1&reject",
            "POST /messages/devicebound//abandon",
            "POST /messages/deviceBound//abandon/",
        ] {
            check(&hub, hub.ask_as(identity, line), 412, "DeviceMessageLockLost").await;
            check(&hub, hub.ask_as(identity, line).anonymous(), 401, "IotHubUnauthorized").await;
        }
        check(&hub, hub.ask_as(identity, &format!("DELETE /messages/devicebound/{lock}")), 204, "").await;
    }
}

#[tokio::test]
async fn a_command_that_no_header_can_carry_does_not_block_the_next() {
    let hub = hub_with_device().await;
    send(&hub, "d", r#"{"body":"one","correlationId":"a\nb"}"#).await;
    send(&hub, "d", r#"{"body":"two","correlationId":"größe"}"#).await;
    let (answered, _) = received(&hub, "d").await;
    assert_eq!((answered.body.as_slice(), answered.headers["iothub-correlationid"].as_bytes()), (&b"two"[..], "größe".as_bytes()));
    check(&hub, hub.ask_as("d", RECEIVE), 204, "").await;
}

#[tokio::test]
async fn a_wait_is_answered_by_the_command_that_comes() {
    let hub = hub_with_device().await;
    for identity in ["d", "d/m"] {
        let sending = async {
            until_waiting(&hub, 1).await;
            send(&hub, identity, r#"{"body":"prompt"}"#).await;
        };
        let (answered, ()) = tokio::join!(hub.answer(hub.ask_as(identity, "GET /messages/devicebound?wait=300")), sending);
        assert_eq!((answered.status, answered.body.as_slice()), (200, &b"prompt"[..]), "{answered:?}");
    }
    assert_eq!(hub.hub.presence.polls().waiting(), 0);
}

#[tokio::test]
async fn a_wait_is_answered_by_a_command_that_another_reader_abandons() {
    let hub = hub_with_device().await;
    send(&hub, "d", r#"{"body":"one"}"#).await;
    let (_, lock) = received(&hub, "d").await;
    let abandoning = async {
        until_waiting(&hub, 1).await;
        check(&hub, hub.ask_as("d", &format!("POST /messages/devicebound/{lock}/abandon")), 204, "").await;
    };
    let (answered, ()) = tokio::join!(hub.answer(hub.ask_as("d", "GET /messages/devicebound?wait=300")), abandoning);
    assert_eq!(answered.status, 200, "{answered:?}");
}

#[tokio::test]
async fn one_command_answers_one_wait() {
    let hub = hub_with_device().await;
    let wait = || hub.answer(hub.ask_as("d", "GET /messages/devicebound?wait=300"));
    let sending = async {
        until_waiting(&hub, 2).await;
        send(&hub, "d", r#"{"body":"one"}"#).await;
        while hub.hub.presence.polls().waiting() > 1 {
            tokio::task::yield_now().await;
        }
        send(&hub, "d", r#"{"body":"two"}"#).await;
    };
    let (first, second, ()) = tokio::join!(wait(), wait(), sending);
    let mut bodies = [first.text(), second.text()];
    bodies.sort_unstable();
    assert_eq!(bodies, ["one", "two"]);
}

#[tokio::test]
async fn a_wait_ends_without_a_command_when_its_time_is_over_or_the_hub_stops() {
    let hub = hub_with_device().await;
    let stopping = async {
        until_waiting(&hub, 2).await;
        hub.hub.drain.begin(Duration::from_secs(10));
    };
    let wait = |line: &'static str| hub.answer(hub.ask_as("d", line));
    let (commands, methods, ()) = tokio::join!(wait("GET /messages/devicebound?wait=300"), wait("GET /methods?wait=300"), stopping);
    assert_eq!((commands.status, methods.status), (204, 204));

    let hub = hub_with_device().await;
    tokio::time::pause();
    check(&hub, hub.ask_as("d", "GET /methods?wait=300"), 204, "").await;
    check(&hub, hub.ask_as("d", "GET /messages/devicebound?wait=300"), 204, "").await;
}

#[tokio::test]
async fn waits_are_bounded_in_time_and_number() {
    let hub = hub_with_device().await;
    for wait in ["301", "-1", "soon", ""] {
        for path in ["/messages/devicebound", "/methods"] {
            check(&hub, hub.ask_as("d", &format!("GET {path}?wait={wait}")), 400, "ArgumentInvalid").await;
        }
    }
    let waiting: Vec<_> =
        (0..POLLS_PER_IDENTITY_MAX).map(|_| Box::pin(hub.answer(hub.ask_as("d", "GET /messages/devicebound?wait=300")))).collect();
    let refused = async {
        until_waiting(&hub, POLLS_PER_IDENTITY_MAX).await;
        check(&hub, hub.ask_as("d", "GET /messages/devicebound?wait=300"), 429, "ThrottlingException").await;
        check(&hub, hub.ask_as("d", RECEIVE), 204, "").await;
    };
    tokio::select! {
        biased;
        () = refused => {}
        _ = futures_util::future::select_all(waiting) => panic!("no command came"),
    }
    // Dropped, as when their callers hang up.
    assert_eq!(hub.hub.presence.polls().waiting(), 0);
}
