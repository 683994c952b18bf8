use std::time::Duration;

use serde_json::json;

use super::check;
use crate::https::test_hub::{Answered, TestHub};

const FEEDBACK: &str = "/messages/serviceBound/feedback";

/// Lets a device complete or reject a command whose sender wants to know.
async fn settle(hub: &TestHub, identity: &str, message_id: &str, settlement: &str) {
    let path = match identity.split_once('/') {
        None => format!("/devices/{identity}/commands"),
        Some((device, module)) => format!("/devices/{device}/modules/{module}/commands"),
    };
    let command = format!(r#"{{"body":"go","messageId":"{message_id}","ack":"full"}}"#);
    check(hub, hub.ask(&format!("POST {path}")).body(&command), 200, "").await;
    let received = hub.answer(hub.ask_as(identity, "GET /messages/devicebound")).await;
    let lock = received.etag().trim_matches('"').to_owned();
    let settled = hub.answer(hub.ask_as(identity, &format!("DELETE /messages/devicebound/{lock}{settlement}"))).await;
    assert_eq!(settled.status, 204, "{settled:?}");
}

async fn receive(hub: &TestHub) -> (Answered, String) {
    let received = hub.answer(hub.ask(&format!("GET {FEEDBACK}"))).await;
    assert_eq!(received.status, 200, "{received:?}");
    let lock = received.etag().trim_matches('"').to_owned();
    (received, lock)
}

async fn generation(hub: &TestHub, path: &str) -> String {
    let identity = hub.answer(hub.ask(&format!("GET {path}"))).await.json();
    identity["generationId"].as_str().expect("a generation").to_owned()
}

#[tokio::test]
async fn the_sender_is_told_what_became_of_commands_once() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    hub.create_module("d", "m").await;
    settle(&hub, "d", "m-1", "").await;
    hub.clock.advance(Duration::from_millis(1500));
    settle(&hub, "d/m", "m-2", "?reject").await;
    check(&hub, hub.ask(&format!("GET {FEEDBACK}")), 204, "").await;

    hub.clock.advance(Duration::from_secs(15));
    let refused = hub.answer(hub.ask(&format!("HEAD {FEEDBACK}"))).await;
    assert_eq!((refused.status, refused.header("allow"), refused.body.len()), (405, "GET,DELETE", 0), "{refused:?}");
    let (received, lock) = receive(&hub).await;
    let record = |id: &str, status: &str, description: &str, generation: String, time: &str| {
        json!({"originalMessageId": id, "description": description, "deviceGenerationId": generation, "deviceId": "d",
            "enqueuedTimeUtc": time, "statusCode": status})
    };
    let first = record("m-1", "Success", "Success", generation(&hub, "/devices/d").await, "2026-01-01T00:00:00Z");
    let rejected_by = generation(&hub, "/devices/d/modules/m").await;
    let mut second = record("m-2", "Rejected", "Message rejected", rejected_by, "2026-01-01T00:00:01.500Z");
    second["moduleId"] = json!("m");
    assert_eq!(received.json(), json!([first, second]));
    for (name, value) in [
        ("content-type", "application/vnd.microsoft.iothub.feedback.json"),
        ("iothub-sequencenumber", "1"),
        ("iothub-deliverycount", "0"),
        ("iothub-enqueuedtime", "2026-01-01T00:00:16.500Z"),
        ("iothub-expiry", "2026-01-01T01:00:16.500Z"),
        ("iothub-userid", "localhost"),
    ] {
        assert_eq!(received.header(name), value, "{name}");
    }
    assert!(!received.header("iothub-messageid").is_empty());

    check(&hub, hub.ask(&format!("GET {FEEDBACK}")), 204, "").await;
    for line in [format!("DELETE {FEEDBACK}"), format!("DELETE {FEEDBACK}/"), format!("POST {FEEDBACK}//abandon")] {
        check(&hub, hub.ask(&line), 412, "DeviceMessageLockLost").await;
    }
    check(&hub, hub.ask(&format!("DELETE {FEEDBACK}/{lock}")), 204, "").await;
    check(&hub, hub.ask(&format!("DELETE {FEEDBACK}/{lock}")), 412, "DeviceMessageLockLost").await;
    hub.clock.advance(Duration::from_secs(61));
    check(&hub, hub.ask(&format!("GET {FEEDBACK}")), 204, "").await;
}

#[tokio::test]
async fn feedback_that_was_abandoned_or_whose_lock_has_ended_is_told_again() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    settle(&hub, "d", "m-1", "").await;
    hub.clock.advance(Duration::from_secs(15));

    let (_, lock) = receive(&hub).await;
    check(&hub, hub.ask(&format!("POST {FEEDBACK}/{lock}/abandon")), 204, "").await;
    check(&hub, hub.ask(&format!("POST {FEEDBACK}/{lock}/abandon")), 412, "DeviceMessageLockLost").await;
    let short = hub.answer(hub.ask(&format!("GET {FEEDBACK}")).header("iothub-messagelocktimeout", "5")).await;
    assert_eq!((short.status, short.header("iothub-deliverycount")), (200, "1"));
    hub.clock.advance(Duration::from_secs(6));
    check(&hub, hub.ask(&format!("DELETE {FEEDBACK}/{}", short.etag().trim_matches('"'))), 412, "DeviceMessageLockLost").await;
    let (again, lock) = receive(&hub).await;
    assert_eq!((again.header("iothub-deliverycount"), again.header("iothub-sequencenumber")), ("1", "1"));
    check(&hub, hub.ask(&format!("DELETE {FEEDBACK}/{lock}")), 204, "").await;
}

#[tokio::test]
async fn what_is_no_lock_or_no_time_is_refused() {
    let hub = TestHub::open().await;
    for queue in [FEEDBACK, "/messages/serviceBound/fileNotifications"] {
        for lock in ["x", "00000000-0000-0000-0000-000000000000", "%20"] {
            check(&hub, hub.ask(&format!("DELETE {queue}/{lock}")), 412, "DeviceMessageLockLost").await;
            check(&hub, hub.ask(&format!("POST {queue}/{lock}/abandon")), 412, "DeviceMessageLockLost").await;
        }
        for seconds in ["", "soon", "-1", "1.5"] {
            let ask = hub.ask(&format!("GET {queue}")).header("iothub-messagelocktimeout", seconds);
            check(&hub, ask, 400, "ArgumentInvalid").await;
        }
    }
}
