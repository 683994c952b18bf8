//! When a device was last heard of, as the registry tells it.

use std::time::Duration;

use super::devicebound::until_waiting;
use super::{check, hub_with_device};
use crate::https::test_hub::TestHub;

const NEVER: &str = "0001-01-01T00:00:00Z";

/// Lets time pass; gives the moment that has come.
fn later(hub: &TestHub, milliseconds: u64) -> String {
    hub.clock.advance(Duration::from_millis(milliseconds));
    hub.clock.now().to_string()
}

async fn last_activity(hub: &TestHub, identity: &str) -> String {
    let path = match identity.split_once('/') {
        None => format!("GET /devices/{identity}"),
        Some((device, module)) => format!("GET /devices/{device}/modules/{module}"),
    };
    let shown = check(hub, hub.ask(&path), 200, "").await.json();
    assert_eq!(shown["connectionState"], "Disconnected", "a request is no connection");
    assert_eq!(shown["connectionStateUpdatedTime"], NEVER);
    shown["lastActivityTime"].as_str().expect("a time").to_owned()
}

#[tokio::test]
async fn every_request_that_is_let_in_shows_as_activity_of_its_identity_at_once() {
    let hub = hub_with_device().await;
    check(&hub, hub.ask_as("d", "POST /messages/events").anonymous(), 401, "IotHubUnauthorized").await;
    assert_eq!((last_activity(&hub, "d").await.as_str(), last_activity(&hub, "d/m").await.as_str()), (NEVER, NEVER));
    for line in ["POST /messages/events", "GET /messages/devicebound", "GET /methods"] {
        let now = later(&hub, 60_000);
        check(&hub, hub.ask_as("d", line), 204, "").await;
        assert_eq!(last_activity(&hub, "d").await, now, "{line}");
        assert_eq!(last_activity(&hub, "d/m").await, NEVER, "{line}");
    }
}

#[tokio::test]
async fn one_connection_tells_of_activity_once_a_second_and_of_each_identity() {
    let hub = hub_with_device().await;
    let connection = hub.origin();
    let first = hub.clock.now().to_string();
    let send =
        async |identity: &str| assert_eq!(hub.answer_on(&connection, hub.ask_as(identity, "POST /messages/events")).await.status, 204);
    let of = async |identity: &str| last_activity(&hub, identity).await;
    send("d").await;
    let soon = later(&hub, 999);
    send("d").await;
    assert_eq!(of("d").await, first, "not exact, and cheap");
    send("d/m").await;
    assert_eq!(of("d/m").await, soon, "another identity on the same connection is news");
    send("d").await;
    assert_eq!(of("d").await, soon, "the connection remembers no more than one");
    let second = later(&hub, 1_000);
    send("d").await;
    assert_eq!(of("d").await, second);
}

#[tokio::test]
async fn what_a_waiting_request_brings_counts_when_it_comes() {
    let cases = [
        ("GET /messages/devicebound?wait=300", "POST /devices/d/commands", r#"{"body":"open"}"#),
        ("GET /methods?wait=300", "POST /twins/d/methods", r#"{"methodName":"reboot"}"#),
    ];
    for (poll, call, body) in cases {
        let hub = hub_with_device().await;
        let began = hub.clock.now().to_string();
        let calling = async {
            until_waiting(&hub, 1).await;
            assert_eq!(last_activity(&hub, "d").await, began, "{poll}");
            later(&hub, 60_000);
            hub.answer(hub.ask(call).body(body)).await;
            // Nobody answers the method.
            std::future::pending().await
        };
        tokio::select! {
            answered = check(&hub, hub.ask_as("d", poll), 200, "") => drop(answered),
            () = calling => {}
        }
        assert_eq!(last_activity(&hub, "d").await, hub.clock.now().to_string(), "{poll}");
    }
}

#[tokio::test]
async fn activity_over_https_outlives_a_restart() {
    let hub = hub_with_device().await;
    let now = hub.clock.now().to_string();
    check(&hub, hub.ask_as("d", "POST /messages/events"), 204, "").await;
    let hub = hub.reopened(|_| ()).await;
    later(&hub, 60_000);
    assert_eq!(last_activity(&hub, "d").await, now);
}
