use std::time::Duration;

use serde_json::json;

use super::check;
use crate::https::test_hub::TestHub;

/// Sends commands and lets the device reject them: sequence numbers 1 and on.
async fn reject(hub: &TestHub, identity: &str, path: &str, bodies: &[&str]) {
    for body in bodies {
        let command = format!(r#"{{"body":"{body}","messageId":"m-{body}","properties":{{"k":"v"}}}}"#);
        check(hub, hub.ask(&format!("POST {path}")).body(&command), 200, "").await;
        let received = hub.answer(hub.ask_as(identity, "GET /messages/devicebound")).await;
        let lock = received.etag().trim_matches('"').to_owned();
        let rejected = hub.answer(hub.ask_as(identity, &format!("DELETE /messages/devicebound/{lock}?reject"))).await;
        assert_eq!(rejected.status, 204, "{rejected:?}");
    }
}

async fn hub_with_dead_letters(bodies: &[&str]) -> TestHub {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    reject(&hub, "d", "/devices/d/commands", bodies).await;
    hub
}

#[tokio::test]
async fn dead_letters_are_read_with_their_reason_a_page_at_a_time() {
    let hub = hub_with_dead_letters(&["a", "b", "c"]).await;
    let all = check(&hub, hub.ask("GET /devices/d/commands/deadLetters"), 200, "").await;
    assert_eq!(all.header("x-ms-continuation"), "");
    let first = all.json()[0].clone();
    let expected = json!({
        "messageId": "m-a", "sequenceNumber": 1, "state": "deadLettered", "deliveryCount": 0, "ack": "none",
        "enqueuedTime": "2026-01-01T00:00:00Z", "expiryTime": "2026-01-01T01:00:00Z", "properties": {"k": "v"}, "body": "a",
        "reason": "Rejected", "deadLetteredTime": "2026-01-01T00:00:00Z",
    });
    assert_eq!(first, expected);
    let numbers = |answered: &crate::https::test_hub::Answered| -> Vec<u64> {
        answered.json().as_array().expect("an array").iter().filter_map(|letter| letter["sequenceNumber"].as_u64()).collect()
    };
    let page = check(&hub, hub.ask("GET /devices/d/commands/deadLetters?top=2"), 200, "").await;
    assert_eq!((numbers(&page), page.header("x-ms-continuation")), (vec![1, 2], "2"));
    let page = check(&hub, hub.ask("GET /devices/d/commands/deadLetters?top=2&after=2"), 200, "").await;
    assert_eq!((numbers(&page), page.header("x-ms-continuation")), (vec![3], ""));
    let continued = hub.ask("GET /devices/d/commands/deadLetters?top=1").header("x-ms-continuation", "1");
    assert_eq!(numbers(&check(&hub, continued, 200, "").await), [2]);
    check(&hub, hub.ask("GET /devices/d/commands/deadLetters").header("x-ms-continuation", "x"), 400, "ArgumentInvalid").await;
}

#[tokio::test]
async fn commands_too_are_listed_a_page_at_a_time() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    for _ in 0..3 {
        check(&hub, hub.ask("POST /devices/d/commands").body(r#"{"body":"b"}"#), 200, "").await;
    }
    let page = check(&hub, hub.ask("GET /devices/d/commands?top=1&after=1"), 200, "").await;
    assert_eq!((page.json()[0]["sequenceNumber"].as_u64(), page.header("x-ms-continuation")), (Some(2), "2"));
}

#[tokio::test]
async fn one_or_all_go_back_into_the_queue_and_reach_the_device() {
    let hub = hub_with_dead_letters(&["a", "b", "c"]).await;
    let uri = "POST /devices/d/commands/deadLetters/2/redrive?expiryTime=2026-01-01T06:00:00Z";
    let one = check(&hub, hub.ask(uri), 200, "").await.json();
    assert_eq!(one, json!({"redriven": [{"messageId": "m-b", "deadLetterSequenceNumber": 2, "sequenceNumber": 4}], "remaining": 0}));
    let received = hub.answer(hub.ask_as("d", "GET /messages/devicebound")).await;
    assert_eq!((received.text(), received.header("iothub-messageid")), ("b", "m-b"));
    assert_eq!(received.header("iothub-expiry"), "2026-01-01T06:00:00Z");

    let all = check(&hub, hub.ask("POST /devices/d/commands/deadLetters/redrive"), 200, "").await.json();
    let numbers: Vec<_> = all["redriven"].as_array().expect("an array").iter().map(|item| item["sequenceNumber"].as_u64()).collect();
    assert_eq!((numbers, all["remaining"].as_u64()), (vec![Some(5), Some(6)], Some(0)));
    assert_eq!(check(&hub, hub.ask("GET /devices/d/commands/deadLetters"), 200, "").await.json(), json!([]));
}

#[tokio::test]
async fn a_device_that_waits_for_commands_gets_redriven_ones_at_once() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    hub.create_module("d", "m").await;
    for (identity, path) in [("d", "/devices/d/commands"), ("d/m", "/devices/d/modules/m/commands")] {
        reject(&hub, identity, path, &["again"]).await;
        // The answer comes long before the wait is over, or the test runs out of time.
        let waiting = hub.answer(hub.ask_as(identity, "GET /messages/devicebound?wait=300"));
        let redriving = async {
            while hub.hub.presence.polls().waiting() < 1 {
                tokio::task::yield_now().await;
            }
            assert_eq!(hub.hub.presence.polls().waiting(), 1, "{identity}");
            check(&hub, hub.ask(&format!("POST {path}/deadLetters/redrive")), 200, "").await
        };
        let (received, _) = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(waiting, redriving) }).await.expect("told");
        assert_eq!((received.status, received.text()), (200, "again"), "{identity}");
    }
}

#[tokio::test]
async fn dead_letters_are_deleted_one_or_all() {
    let hub = hub_with_dead_letters(&["a", "b", "c"]).await;
    let deleted = |number: u64| json!({"totalDeadLettersDeleted": number});
    assert_eq!(check(&hub, hub.ask("DELETE /devices/d/commands/deadLetters/2"), 200, "").await.json(), deleted(1));
    check(&hub, hub.ask("DELETE /devices/d/commands/deadLetters/2"), 404, "ResourceNotFound").await;
    assert_eq!(check(&hub, hub.ask("DELETE /devices/d/commands/deadLetters"), 200, "").await.json(), deleted(2));
    assert_eq!(check(&hub, hub.ask("DELETE /devices/d/commands/deadLetters"), 200, "").await.json(), deleted(0));
}

#[tokio::test]
async fn one_is_never_taken_for_all_however_the_path_is_written() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    hub.create_module("d", "m").await;
    for (identity, path) in [("d", "/devices/d/commands"), ("d/m", "/devices/d/modules/m/commands")] {
        reject(&hub, identity, path, &["a", "b", "c"]).await;
        for sequence in ["1", "%32"] {
            let deleted = check(&hub, hub.ask(&format!("DELETE {path}/dead%4Cetters/{sequence}")), 200, "").await.json();
            assert_eq!(deleted, json!({"totalDeadLettersDeleted": 1}), "{identity} {sequence}");
        }
        check(&hub, hub.ask(&format!("DELETE {path}/deadLetters/3/")), 200, "").await;
    }
}

#[tokio::test]
async fn a_missing_sequence_number_is_never_taken_for_all() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    hub.create_module("d", "m").await;
    for (identity, path) in [("d", "/devices/d/commands"), ("d/m", "/devices/d/modules/m/commands")] {
        reject(&hub, identity, path, &["a", "b"]).await;
        for (method, rest, status, code) in [
            ("DELETE", "/", 400, "ArgumentInvalid"),
            ("DELETE", "/?api-version=1", 400, "ArgumentInvalid"),
            ("DELETE", "//", 404, "ResourceNotFound"),
            ("DELETE", "/%2F", 400, "ArgumentInvalid"),
            ("DELETE", "/redrive", 405, "MethodNotAllowed"),
            ("POST", "//redrive", 400, "ArgumentInvalid"),
            ("POST", "/redrive/", 400, "ArgumentInvalid"),
            ("POST", "/redrive/redrive", 400, "ArgumentInvalid"),
            ("POST", "/redrive/redrive/", 400, "ArgumentInvalid"),
            ("POST", "/REDRIVE/re%64rive", 400, "ArgumentInvalid"),
        ] {
            check(&hub, hub.ask(&format!("{method} {path}/deadLetters{rest}")), status, code).await;
        }
        let left = check(&hub, hub.ask(&format!("GET {path}/deadLetters/")), 200, "").await.json();
        assert_eq!(left.as_array().map(Vec::len), Some(2), "{identity}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let hub = hub_with_dead_letters(&["a"]).await;
    for (line, status, code) in [
        ("GET /devices/d/commands/deadLetters?after=x", 400, "ArgumentInvalid"),
        ("GET /devices/e/commands/deadLetters", 404, "DeviceNotFound"),
        ("GET /devices/d/modules/m/commands/deadLetters", 404, "ModuleNotFound"),
        ("GET /devices/d/commands/deadLetters/1", 405, "MethodNotAllowed"),
        ("DELETE /devices/d/commands/deadLetters/x", 400, "ArgumentInvalid"),
        ("DELETE /devices/e/commands/deadLetters", 404, "DeviceNotFound"),
        ("POST /devices/d/commands/deadLetters/x/redrive", 400, "ArgumentInvalid"),
        ("POST /devices/d/commands/deadLetters/7/redrive", 404, "ResourceNotFound"),
        ("POST /devices/e/commands/deadLetters/redrive", 404, "DeviceNotFound"),
        ("POST /devices/d/commands/deadLetters/redrive?expiryTime=soon", 400, "ArgumentInvalid"),
        ("POST /devices/d/commands/deadLetters/redrive?expiryTime=2025-12-31T00:00:00Z", 403, "InvalidMessageExpiryTime"),
        ("POST /devices/d/commands/deadLetters/redrive?expiryTime=2026-01-04T00:00:00Z", 403, "InvalidMessageExpiryTime"),
    ] {
        check(&hub, hub.ask(line), status, code).await;
    }
    let left = check(&hub, hub.ask("GET /devices/d/commands/deadLetters"), 200, "").await.json();
    assert_eq!(left.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_device_named_as_a_fixed_segment_has_dead_letters_of_its_own() {
    let hub = TestHub::open().await;
    hub.create_device("deadLetters").await;
    reject(&hub, "deadLetters", "/devices/deadLetters/commands", &["a"]).await;
    let deleted = check(&hub, hub.ask("DELETE /devices/deadLetters/commands/deadLetters"), 200, "").await.json();
    assert_eq!(deleted, json!({"totalDeadLettersDeleted": 1}));
}
