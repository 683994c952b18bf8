use serde_json::{Value, json};

use super::check;
use crate::https::test_hub::{HOST, TestHub};

#[tokio::test]
async fn event_hubs_are_listed_and_unknown_ones_named() {
    let hub = TestHub::open().await;
    let all = check(&hub, hub.ask("GET /EventHubs"), 200, "").await.json();
    let mut events = all[0].clone();
    let topic_id = events.as_object_mut().expect("an object").remove("topicId").expect("an id");
    let lengths: Vec<_> = topic_id.as_str().expect("text").split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    let defaults = json!({"name": "events", "partitions": 4, "retentionMilliseconds": 604_800_000, "retentionBytes": null,
        "messageBytesMax": 1_048_576, "createdTime": "2026-01-01T00:00:00Z"});
    assert_eq!((all.as_array().map(Vec::len), events), (Some(1), defaults));
    assert_eq!(check(&hub, hub.ask("GET /eventhubs/events"), 200, "").await.json(), all[0]);
    for (line, status, code) in [
        ("GET /eventhubs/none", 404, "ResourceNotFound"),
        ("GET /eventhubs/none/partitions", 404, "ResourceNotFound"),
        ("GET /eventhubs/none/events", 404, "ResourceNotFound"),
        ("GET /eventhubs/-/events", 400, "ArgumentInvalid"),
        ("GET /eventhubs/events/events?partition=4", 400, "ArgumentInvalid"),
        ("GET /eventhubs/events/events?from=first", 400, "ArgumentInvalid"),
    ] {
        check(&hub, hub.ask(line), status, code).await;
    }
    let reader = hub.token(HOST, Some("reader"));
    check(&hub, hub.ask("GET /eventhubs/events/events").authorization(&reader), 401, "IotHubUnauthorizedAccess").await;
}

#[tokio::test]
async fn an_event_hub_is_created_changed_and_deleted() {
    let hub = TestHub::open().await;
    let settings = json!({"partitions": 2, "retentionMilliseconds": 3_600_000, "retentionBytes": 10 << 20, "messageBytesMax": 4096});
    let created = check(&hub, hub.ask("PUT /eventHubs/Audit").body(&settings.to_string()), 201, "").await.json();
    for (key, value) in settings.as_object().expect("an object") {
        assert_eq!(&created[key], value, "{key}");
    }
    check(&hub, hub.ask("PUT /eventHubs/Audit").body("{}"), 409, "ResourceConflict").await;
    check(&hub, hub.ask("PUT /eventHubs/audit").body("{}"), 201, "").await;

    let change = r#"{"partitions":2,"retentionBytes":null,"messageBytesMax":2048}"#;
    let changed = check(&hub, hub.ask("PATCH /eventHubs/Audit").body(change), 200, "").await.json();
    assert_eq!((&changed["retentionBytes"], &changed["messageBytesMax"]), (&Value::Null, &json!(2048)));
    assert_eq!(changed["retentionMilliseconds"], 3_600_000, "what is not named stays");
    assert_eq!(check(&hub, hub.ask("GET /eventHubs/Audit"), 200, "").await.json(), changed);
    let eight = check(&hub, hub.ask("PATCH /eventHubs/Audit").body(r#"{"partitions":8}"#), 400, "ArgumentInvalid").await;
    assert!(eight.text().contains("has 2 partitions for ever; it cannot have 8"), "{}", eight.text());

    check(&hub, hub.ask("DELETE /eventHubs/Audit"), 204, "").await;
    for line in ["GET /eventHubs/Audit", "DELETE /eventHubs/Audit", "GET /eventHubs/Audit/partitions"] {
        check(&hub, hub.ask(line), 404, "ResourceNotFound").await;
    }
    let built_in = check(&hub, hub.ask("DELETE /eventHubs/events"), 409, "ResourceConflict").await;
    assert!(built_in.text().contains("built in"));
    let names: Vec<_> = hub.hub.event_hubs.list().iter().map(|hub| hub.name.to_string()).collect();
    assert_eq!(names, ["events", "audit"]);
}

#[tokio::test]
async fn what_an_event_hub_cannot_be_is_refused() {
    let hub = TestHub::open().await;
    for (body, code) in [
        ("", "IotHubFormatError"),
        (r#"{"partitions":0}"#, "IotHubFormatError"),
        (r#"{"partitions":1025}"#, "IotHubFormatError"),
        (r#"{"retention":"7d"}"#, "IotHubFormatError"),
        (r#"{"retentionMilliseconds":59999}"#, "ArgumentInvalid"),
        (r#"{"retentionMilliseconds":18446744073709551615}"#, "ArgumentInvalid"),
        (r#"{"retentionBytes":1}"#, "ArgumentInvalid"),
        (r#"{"messageBytesMax":1048577}"#, "ArgumentInvalid"),
    ] {
        check(&hub, hub.ask("PUT /eventHubs/a").body(body), 400, code).await;
        check(&hub, hub.ask("PATCH /eventHubs/events").body(body), 400, code).await;
    }
    for name in ["$system", "__consumer_offsets", "-a", "a%2Fb", "%C3%A9"] {
        check(&hub, hub.ask(&format!("PUT /eventHubs/{name}")).body("{}"), 400, "ArgumentInvalid").await;
    }
    check(&hub, hub.ask("PATCH /eventHubs/none").body("{}"), 404, "ResourceNotFound").await;
    assert_eq!(hub.hub.event_hubs.list().len(), 1);
}

#[tokio::test]
async fn partitions_say_where_they_stand() {
    let hub = TestHub::open().await;
    hub.create_device("a").await;
    hub.store("a", &["one", "two"]).await;
    let partitions = check(&hub, hub.ask("GET /eventHubs/events/partitions"), 200, "").await.json();
    let partitions = partitions.as_array().expect("a list");
    assert_eq!(partitions.len(), 4);
    let (used, empty): (Vec<&Value>, _) = partitions.iter().partition(|partition| partition["events"] != 0);
    let [used] = used.as_slice() else { panic!("{partitions:?}") };
    assert_eq!((&used["firstSequence"], &used["lastSequence"], &used["nextSequence"]), (&json!(0), &json!(1), &json!(2)));
    assert_eq!((&used["events"], &used["lastEnqueuedTime"]), (&json!(2), &json!("2026-01-01T00:00:00Z")));
    assert!(used["bytes"].as_u64().is_some_and(|bytes| bytes > 6));
    let nothing = json!({"partition": empty[0]["partition"], "firstSequence": null, "lastSequence": null, "nextSequence": 0,
        "lastEnqueuedTime": null, "events": 0, "bytes": 0});
    assert_eq!(empty[0], &nothing);
}

#[tokio::test]
async fn a_policy_of_an_event_hub_is_created_shown_and_deleted() {
    let hub = TestHub::open().await;
    let body = r#"{"rights":["send","Listen"]}"#;
    let created = check(&hub, hub.ask("PUT /eventHubs/events/policies/Site-1").body(body), 201, "").await.json();
    assert_eq!((&created["name"], &created["rights"]), (&json!("Site-1"), &json!(["send", "listen"])));
    assert_ne!(created["primaryKey"], created["secondaryKey"]);
    check(&hub, hub.ask("PUT /eventHubs/events/policies/Site-1").body(body), 409, "ResourceConflict").await;
    assert_eq!(check(&hub, hub.ask("GET /eventHubs/events/policies/Site-1"), 200, "").await.json(), created);
    assert_eq!(check(&hub, hub.ask("GET /eventHubs/events/policies"), 200, "").await.json(), json!([created]));
    for (line, body, status, code) in [
        ("PUT /eventHubs/events/policies/p", r#"{"rights":[]}"#, 400, "ArgumentInvalid"),
        ("PUT /eventHubs/events/policies/p", r#"{"rights":["own"]}"#, 400, "IotHubFormatError"),
        ("PUT /eventHubs/events/policies/a;b", r#"{"rights":["send"]}"#, 400, "ArgumentInvalid"),
        ("PUT /eventHubs/none/policies/p", r#"{"rights":["send"]}"#, 404, "ResourceNotFound"),
        ("GET /eventHubs/events/policies/p", "", 404, "ResourceNotFound"),
        ("DELETE /eventHubs/events/policies/p", "", 404, "ResourceNotFound"),
    ] {
        check(&hub, hub.ask(line).body(body), status, code).await;
    }
    check(&hub, hub.ask("DELETE /eventHubs/events/policies/Site-1"), 204, "").await;
    assert_eq!(check(&hub, hub.ask("GET /eventHubs/events/policies"), 200, "").await.json(), json!([]));
}
