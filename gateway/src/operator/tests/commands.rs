use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::check;
use crate::https::test_hub::TestHub;

#[tokio::test]
async fn a_command_is_sent_listed_and_purged() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let text = r#"{"body":"go","messageId":"m-1","contentType":"text/plain","ack":"full","properties":{"k":"v"}}"#;
    let sent = check(&hub, hub.ask("POST /devices/d/commands").body(text), 200, "").await.json();
    assert_eq!(sent, json!({"messageId": "m-1", "sequenceNumber": 1}));
    let binary = format!(r#"{{"bodyBase64":"{}"}}"#, STANDARD.encode([0xFF, 0]));
    let sent = check(&hub, hub.ask("POST /devices/d/commands").body(&binary), 200, "").await.json();
    assert_eq!(sent["sequenceNumber"], 2);
    assert!(sent["messageId"].as_str().is_some_and(|id| !id.is_empty()));

    let listed = check(&hub, hub.ask("GET /devices/d/Commands"), 200, "").await.json();
    assert_eq!(listed[0]["body"], "go");
    assert_eq!((listed[0]["ack"].as_str(), listed[0]["state"].as_str()), (Some("full"), Some("enqueued")));
    assert_eq!(listed[0]["properties"], json!({"k": "v"}));
    assert_eq!(listed[0]["expiryTime"], "2026-01-01T01:00:00Z");
    assert_eq!(listed[1]["bodyBase64"], STANDARD.encode([0xFF, 0]));

    let purged = check(&hub, hub.ask("DELETE /devices/d/commands"), 200, "").await.json();
    assert_eq!(purged, json!({"totalMessagesPurged": 2, "deviceId": "d", "moduleId": null}));
    assert_eq!(check(&hub, hub.ask("GET /devices/d/commands"), 200, "").await.json(), json!([]));
}

#[tokio::test]
async fn a_command_that_cannot_be_is_refused() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let large = format!(r#"{{"body":"{}"}}"#, "x".repeat(64 * 1024 + 1));
    let cases = [
        ("{}", 400, "IotHubFormatError"),
        (r#"{"body":1}"#, 400, "IotHubFormatError"),
        (r#"{"bodyBase64":"*"}"#, 400, "ArgumentInvalid"),
        (r#"{"body":"b","ack":"maybe"}"#, 400, "ArgumentInvalid"),
        (r#"{"body":"b","properties":{"a b":"v"}}"#, 400, "ArgumentInvalid"),
        (r#"{"body":"b","expiryTime":"2025-12-31T00:00:00Z"}"#, 403, "InvalidMessageExpiryTime"),
        (r#"{"body":"b","expiryTime":"2026-01-04T00:00:00Z"}"#, 403, "InvalidMessageExpiryTime"),
        (&large, 413, "MessageTooLarge"),
    ];
    for (body, status, code) in cases {
        check(&hub, hub.ask("POST /devices/d/commands").body(body), status, code).await;
    }
    for line in ["POST /devices/e/commands", "GET /devices/e/commands", "DELETE /devices/e/commands"] {
        check(&hub, hub.ask(line).body(r#"{"body":"b"}"#), 404, "DeviceNotFound").await;
    }
    check(&hub, hub.ask("POST /devices/d/modules/m/commands").body(r#"{"body":"b"}"#), 404, "ModuleNotFound").await;
}

#[tokio::test]
async fn the_fifty_first_command_is_refused() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    for _ in 0..50 {
        check(&hub, hub.ask("POST /devices/d/commands").body(r#"{"body":"b"}"#), 200, "").await;
    }
    check(&hub, hub.ask("POST /devices/d/commands").body(r#"{"body":"b"}"#), 403, "DeviceMaximumQueueDepthExceeded").await;
}
