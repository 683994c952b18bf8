//! What a device or module asks over HTTPS, asked as a client asks.

use crate::https::test_hub::{Answered, Ask, TestHub};

mod activity;
mod admission;
mod devicebound;
mod events;
mod methods;

/// Asks, and requires this status and error name.
async fn check(hub: &TestHub, ask: Ask, status: u16, code: &str) -> Answered {
    let answered = hub.answer(ask).await;
    assert_eq!((answered.status, answered.code()), (status, code), "{answered:?}");
    if status == 204 {
        assert!(answered.body.is_empty(), "{answered:?}");
    }
    answered
}

#[tokio::test]
async fn a_method_that_a_resource_does_not_take_is_refused_with_those_that_it_takes() {
    let hub = hub_with_device().await;
    for (path, allowed) in [
        ("/messages/events", "POST"),
        ("/messages/devicebound", "GET,DELETE"),
        ("/messages/devicebound/x", "DELETE"),
        ("/messages/devicebound/x/abandon", "POST"),
        ("/methods", "GET"),
        ("/methods/1", "POST"),
        ("/files", "POST"),
        ("/files/notifications", "POST"),
        ("/files/notifications/1", "POST"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let answered = hub.answer(hub.ask_as("d", &format!("{method} {path}"))).await;
            let takes = allowed.split(',').any(|allowed| allowed == method);
            assert_eq!(answered.status != 405, takes, "{method} {path}: {answered:?}");
            assert_eq!(answered.header("allow"), if takes { "" } else { allowed }, "{method} {path}");
        }
    }
}

/// A hub with the device `d` and its module `m`.
async fn hub_with_device() -> TestHub {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    hub.create_module("d", "m").await;
    hub
}

/// What is stored in the event hub `events`, as lines of JSON.
async fn stored(hub: &TestHub) -> Vec<serde_json::Value> {
    let answered = check(hub, hub.ask("GET /eventHubs/events/events?from=earliest&follow=false"), 200, "").await;
    answered.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}
