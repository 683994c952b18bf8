//! Every operation, asked as a client asks.

use crate::https::test_hub::{Answered, Ask, TestHub};

mod access;
mod commands;
mod event_hubs;
mod event_send;
mod events;
mod feedback;
mod methods;
mod registry;
mod trust;
mod twins;

/// Asks, and requires this status and error name; the error's body must name it too.
async fn check(hub: &TestHub, ask: Ask, status: u16, code: &str) -> Answered {
    let answered = hub.answer(ask).await;
    assert_eq!((answered.status, answered.code()), (status, code), "{answered:?}");
    if status != 204 {
        assert_eq!(answered.headers.get("content-type").map(|value| value.as_bytes()), Some(&b"application/json; charset=utf-8"[..]));
    }
    if status >= 400 && code != "BulkRegistryOperationFailure" {
        let body = answered.json();
        let message = body.get("Message").and_then(|message| message.as_str()).expect("a message");
        let names_it = message.starts_with(&format!("ErrorCode:{code};")) || message.starts_with("{\"errorCode\":");
        assert!(names_it, "{message}");
        assert!(body.get("ExceptionMessage").is_some_and(serde_json::Value::is_string), "{body}");
    }
    answered
}
