use axum::body::Bytes;
use futures_util::stream;
use serde_json::json;

use super::{check, hub_with_device, stored};

const BATCH: &str = "application/vnd.microsoft.iothub.json";

#[tokio::test]
async fn a_message_is_stored_with_its_properties_before_it_is_acknowledged() {
    let hub = hub_with_device().await;
    let ask = hub.ask_as("d", "POST /Messages/Events?api-version=2021-04-12").body("{\"t\":1}");
    let ask = ask
        .header("iothub-app-colour", "red")
        .header("IoTHub-MessageId", "m-1")
        .header("iothub-correlationid", "c-1")
        .header("iothub-userid", "u-1")
        .header("iothub-to", "/devices/d/messages/events")
        .header("iothub-contenttype", "application/json")
        .header("iothub-contentencoding", "utf-8")
        .header("iothub-creationtimeutc", "2025-12-31T23:59:59Z")
        .header("iothub-app-iothub-connection-device-id", "another");
    check(&hub, ask, 204, "").await;
    check(&hub, hub.ask_as("d/m", "POST /messages/events").body("of the module"), 204, "").await;
    let stored = stored(&hub).await;
    assert_eq!(stored.len(), 2);
    let first = &stored[0];
    assert_eq!((first["deviceId"].as_str(), first["body"].as_str()), (Some("d"), Some("{\"t\":1}")));
    assert_eq!(first["properties"], json!({"colour": "red"}));
    for (name, value) in [
        ("message-id", "m-1"),
        ("correlation-id", "c-1"),
        ("user-id", "u-1"),
        ("content-type", "application/json"),
        ("content-encoding", "utf-8"),
        ("iothub-creation-time-utc", "2025-12-31T23:59:59Z"),
        ("iothub-connection-device-id", "d"),
        ("iothub-message-source", "Telemetry"),
        ("iothub-enqueuedtime", "2026-01-01T00:00:00Z"),
    ] {
        assert_eq!(first["system"][name], value, "{name} in {first}");
    }
    let method = first["system"]["iothub-connection-auth-method"].to_string();
    assert!(method.contains("sas") && method.contains("device"), "{method}");
    assert_eq!((stored[1]["moduleId"].as_str(), stored[1]["body"].as_str()), (Some("m"), Some("of the module")));
}

#[tokio::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let hub = hub_with_device().await;
    let batch = |body: &str| hub.ask_as("d", "POST /messages/events").header("content-type", BATCH).body(body);
    check(
        &hub,
        batch(r#"[{"body":"b25l","properties":{"iothub-app-K":"v"}},{"body":"two","base64Encoded":false,"properties":{"iothub-messageid":"m2"}}]"#),
        204,
        "",
    )
    .await;
    let large = format!(r#"[{{"body":"b25l"}},{{"body":"{}"}}]"#, "x".repeat(256 * 1024));
    let heavy = format!(r#"[{{"body":"b25l"}},{{"body":"","properties":{{"iothub-app-":"{}"}}}}]"#, "x".repeat(1000));
    for (body, status, code) in [
        (r#"[{"body":"b25l"},{"body":"*"}]"#, 400, "ArgumentInvalid"),
        (r#"[{"body":"b25l"},{}]"#, 400, "IotHubFormatError"),
        ("b25l", 400, "IotHubFormatError"),
        ("[]", 400, "ArgumentInvalid"),
        (&heavy, 400, "ArgumentInvalid"),
        (&large, 413, "MessageTooLarge"),
    ] {
        check(&hub, batch(body), status, code).await;
    }
    let stored = stored(&hub).await;
    assert_eq!(stored.iter().map(|event| event["body"].as_str().expect("text")).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(stored[0]["properties"], json!({"K": "v"}));
    assert_eq!(stored[1]["system"]["message-id"], "m2");
}

/// A refused batch leaves nothing behind for the next request of the connection to carry along.
#[tokio::test]
async fn a_refused_batch_does_not_travel_with_the_next_message() {
    let hub = hub_with_device().await;
    let connection = hub.origin();
    let properties: String = (0..2).map(|number| format!(r#""iothub-app-{number}":"{}","#, "v".repeat(90_000))).collect();
    let properties = properties.trim_end_matches(',');
    // The second message is below the limit of the body, and over that of a message with its base64 undone.
    let fits = format!(r#"[{{"body":"b25l"}},{{"body":"","properties":{{{properties}}}}}]"#);
    assert_eq!(
        hub.answer_on(&connection, hub.ask_as("d", "POST /messages/events").header("content-type", BATCH).body(&fits)).await.status,
        204
    );
    let refused = hub.ask_as("d", "POST /messages/events").body(&"x".repeat(256 * 1024 - 8)).header("iothub-app-long", &"v".repeat(100));
    assert_eq!(hub.answer_on(&connection, refused).await.status, 413);
    assert_eq!(hub.answer_on(&connection, hub.ask_as("d", "POST /messages/events").body("next")).await.status, 204);
    assert_eq!(stored(&hub).await.len(), 3);
}

#[tokio::test]
async fn a_message_over_its_limit_is_refused_announced_or_counted_or_by_its_properties() {
    let hub = hub_with_device().await;
    let limit = 256 * 1024;
    let ask = || hub.ask_as("d", "POST /messages/events");
    check(&hub, ask().body(&"x".repeat(limit)), 204, "").await;
    check(&hub, ask().body(&"x".repeat(limit + 1)), 413, "MessageTooLarge").await;
    check(&hub, ask().body(&"x".repeat(limit)).header("iothub-app-k", "v"), 413, "MessageTooLarge").await;
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 4096])));
    check(&hub, ask().stream(endless), 413, "MessageTooLarge").await;
    assert_eq!(stored(&hub).await.len(), 1);
}

#[tokio::test]
async fn malformed_properties_are_refused() {
    let hub = hub_with_device().await;
    let ask = || hub.ask_as("d", "POST /messages/events").body("b");
    for ask in [
        ask().header_bytes("iothub-app-k", b"\xFF"),
        ask().header_bytes("iothub-app-k", b"1").header_bytes("iothub-app-k", b"2"),
        ask().header("iothub-app-", "v"),
        ask().header("iothub-messageid", &"x".repeat(129)),
        ask().header("content-encoding", "gzip"),
    ] {
        check(&hub, ask, 400, "ArgumentInvalid").await;
    }
    assert!(stored(&hub).await.is_empty());
}

#[tokio::test]
async fn a_log_that_takes_nothing_is_said_to_be_unavailable() {
    let hub = hub_with_device().await;
    let ask = || hub.ask_as("d", "POST /messages/events").body("b");
    let everything = hub.hub.log.reserve(usize::MAX).await.expect("all the room");
    tokio::time::pause();
    check(&hub, ask(), 503, "ServiceUnavailable").await;
    tokio::time::resume();
    drop(everything);
    check(&hub, ask(), 204, "").await;
    let log = hub.hub.log.clone();
    tokio::task::spawn_blocking(move || log.close()).await.expect("closed");
    check(&hub, ask(), 503, "ServiceUnavailable").await;
}
