use serde_json::{Value, json};

use super::check;
use crate::https::test_hub::TestHub;

fn texts<'a>(items: &'a Value, field: &str) -> Vec<&'a str> {
    items.as_array().expect("an array").iter().map(|item| item[field].as_str().expect("text")).collect()
}

#[tokio::test]
async fn a_device_is_created_read_updated_and_deleted() {
    let hub = TestHub::open().await;
    let created = check(&hub, hub.ask("PUT /devices/d-1?api-version=2021-04-12").body(r#"{"deviceId":"d-1"}"#), 200, "").await;
    let device = created.json();
    let etag = device["etag"].as_str().expect("an etag").to_owned();
    assert_eq!(created.etag(), format!("\"{etag}\""));
    assert_eq!((device["status"].as_str(), device["connectionState"].as_str()), (Some("enabled"), Some("Disconnected")));
    assert_eq!(device["lastActivityTime"], "0001-01-01T00:00:00Z");
    assert!(device["authentication"]["symmetricKey"]["primaryKey"].as_str().is_some_and(|key| !key.is_empty()), "keys are made");

    check(&hub, hub.ask("PUT /devices/d-1").body("{}"), 409, "DeviceAlreadyExists").await;
    check(&hub, hub.ask("PUT /devices/d-1").if_match("\"other\"").body("{}"), 412, "PreconditionFailed").await;
    let update = r#"{"deviceId":"d-1","status":"disabled","statusReason":"lost","lastActivityTime":"0001-01-01T00:00:00Z"}"#;
    let updated = check(&hub, hub.ask("PUT /devices/d-1").if_match(&etag).body(update), 200, "").await;
    assert_eq!(updated.json()["status"], "disabled");
    let shown = check(&hub, hub.ask("GET /Devices/d-1"), 200, "").await;
    assert_eq!(shown.json(), updated.json());

    check(&hub, hub.ask("DELETE /devices/d-1").if_match(&etag), 412, "PreconditionFailed").await;
    check(&hub, hub.ask("DELETE /devices/d-1").if_match("\"*\""), 204, "").await;
    check(&hub, hub.ask("GET /devices/d-1"), 404, "DeviceNotFound").await;
    check(&hub, hub.ask("DELETE /devices/d-1"), 404, "DeviceNotFound").await;
    check(&hub, hub.ask("PUT /devices/d-1").if_match("*").body("{}"), 404, "DeviceNotFound").await;
}

#[tokio::test]
async fn what_is_no_device_is_refused_and_nothing_is_stored() {
    let hub = TestHub::open().await;
    let cases = [
        ("PUT /devices/d%20x", "{}", "ArgumentInvalid"),
        ("PUT /devices/a%2Fb", "{}", "ArgumentInvalid"),
        ("PUT /devices/%FF", "{}", "ArgumentInvalid"),
        ("PUT /devices/d", r#"{"deviceId":"other"}"#, "ArgumentInvalid"),
        ("PUT /devices/d", "", "IotHubFormatError"),
        ("PUT /devices/d", "{", "IotHubFormatError"),
        ("PUT /devices/d", r#"{"status":"asleep"}"#, "IotHubFormatError"),
        ("PUT /devices/d", r#"{"status":"enabled","status":"enabled"}"#, "IotHubFormatError"),
        ("PUT /devices/d", r#"{"authentication":{"type":"selfSigned"}}"#, "ArgumentInvalid"),
        ("PUT /devices/d", r#"{"authentication":{"type":"selfSigned","x509Thumbprint":{"primaryThumbprint":"zz"}}}"#, "ArgumentInvalid"),
        ("PUT /devices/d", r#"{"authentication":{"type":"sas","symmetricKey":{"primaryKey":"*","secondaryKey":"*"}}}"#, "ArgumentInvalid"),
    ];
    for (line, body, code) in cases {
        check(&hub, hub.ask(line).body(body), 400, code).await;
    }
    check(&hub, hub.ask("PUT /devices/d").body(&format!("{{\"x\":\"{}\"}}", "y".repeat(600_000))), 413, "MessageTooLarge").await;
    assert_eq!(check(&hub, hub.ask("GET /devices"), 200, "").await.json(), json!([]));
}

#[tokio::test]
async fn a_listing_is_as_long_as_asked_for() {
    let hub = TestHub::open().await;
    for id in ["c", "a", "query"] {
        hub.create_device(id).await;
    }
    let all = check(&hub, hub.ask("GET /devices/?top=0"), 200, "").await.json();
    assert_eq!(texts(&all, "deviceId").len(), 3);
    assert_eq!(texts(&check(&hub, hub.ask("GET /devices?top=2"), 200, "").await.json(), "deviceId").len(), 2);
    check(&hub, hub.ask("GET /devices/query"), 200, "").await;
    let counts = check(&hub, hub.ask("GET /statistics/devices"), 200, "").await.json();
    assert_eq!(counts, json!({"totalDeviceCount": 3, "enabledDeviceCount": 3, "disabledDeviceCount": 0}));
    let connected = check(&hub, hub.ask("GET /Statistics/Service"), 200, "").await.json();
    assert_eq!(connected, json!({"connectedDeviceCount": 0}));
}

#[tokio::test]
async fn a_long_listing_goes_on_where_its_last_page_ended() {
    let hub = TestHub::open().await;
    for id in ["c", "a", "b"] {
        hub.create_device(id).await;
    }
    let first = check(&hub, hub.ask("GET /devices?top=2"), 200, "").await;
    assert_eq!(texts(&first.json(), "deviceId"), ["a", "b"]);
    let continuation = first.headers["x-ms-continuation"].to_str().expect("text").to_owned();
    let last = check(&hub, hub.ask("GET /devices?top=2").header("x-ms-continuation", &continuation), 200, "").await;
    assert_eq!(texts(&last.json(), "deviceId"), ["c"]);
    assert!(!last.headers.contains_key("x-ms-continuation"));
    check(&hub, hub.ask("GET /devices").header("x-ms-continuation", "a b"), 400, "ArgumentInvalid").await;
}

#[tokio::test]
async fn a_module_lives_and_dies_with_its_device() {
    let hub = TestHub::open().await;
    check(&hub, hub.ask("PUT /devices/d/modules/m").body("{}"), 404, "DeviceNotFound").await;
    check(&hub, hub.ask("GET /devices/d/modules"), 404, "DeviceNotFound").await;
    hub.create_device("d").await;
    check(&hub, hub.ask("GET /devices/d/modules/m"), 404, "ModuleNotFound").await;
    let body = r#"{"deviceId":"d","moduleId":"m","managedBy":"me"}"#;
    let created = check(&hub, hub.ask("PUT /devices/d/Modules/m").body(body), 201, "").await;
    assert_eq!(created.json()["managedBy"], "me");
    check(&hub, hub.ask("PUT /devices/d/modules/m").body(body), 409, "ModuleAlreadyExistsOnDevice").await;
    check(&hub, hub.ask("PUT /devices/d/modules/M").body(body), 400, "ArgumentInvalid").await;
    check(&hub, hub.ask("PUT /devices/d/modules/m").if_match("x").body(body), 412, "PreconditionFailed").await;
    check(&hub, hub.ask("PUT /devices/d/modules/m").if_match(created.etag()).body("{}"), 200, "").await;
    let modules = check(&hub, hub.ask("GET /devices/d/modules"), 200, "").await.json();
    assert_eq!(texts(&modules, "moduleId"), ["m"]);
    check(&hub, hub.ask("DELETE /devices/d/modules/m").if_match("\"*\""), 204, "").await;
    check(&hub, hub.ask("DELETE /devices/d/modules/m"), 404, "ModuleNotFound").await;
}

#[tokio::test]
async fn a_bulk_request_says_what_was_refused() {
    let hub = TestHub::open().await;
    let two = r#"[{"id":"a","importMode":"create"},{"id":"b","importMode":"Create","tags":{"t":1}}]"#;
    let done = check(&hub, hub.ask("POST /devices").body(two), 200, "").await.json();
    assert_eq!(done, json!({"isSuccessful": true, "errors": [], "warnings": []}));
    let mixed = r#"[{"id":"a","importMode":"create"},{"id":"b","importMode":"Delete"}]"#;
    let partly = check(&hub, hub.ask("POST /devices").body(mixed), 400, "BulkRegistryOperationFailure").await.json();
    assert_eq!(partly["isSuccessful"], false);
    assert_eq!(texts(&partly["errors"], "errorCode"), ["DeviceAlreadyExists"]);
    check(&hub, hub.ask("GET /devices/b"), 404, "DeviceNotFound").await;
    check(&hub, hub.ask("POST /devices").body(r#"[{"id":"a"},{"id":"a"}]"#), 400, "ArgumentInvalid").await;
    check(&hub, hub.ask("POST /devices").body(r#"{"id":"a"}"#), 400, "IotHubFormatError").await;
}

#[tokio::test]
async fn whoever_is_disabled_or_deleted_is_told_to_leave() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let changes = [
        hub.ask("PUT /devices/d").if_match("*").body(r#"{"status":"disabled"}"#),
        hub.ask("POST /devices").body(r#"[{"id":"d","importMode":"update","status":"enabled"}]"#),
        hub.ask("DELETE /devices/d"),
    ];
    for change in changes {
        let seat = hub.hub.presence.enter(&"d".parse().expect("an id")).await;
        assert!(hub.answer(change).await.status < 300);
        let facts = std::future::poll_fn(|cx| seat.poll_facts(cx)).await;
        assert!(facts.grants_changed());
    }
}
