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
