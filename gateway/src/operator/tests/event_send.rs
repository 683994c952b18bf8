use model::api::{EventItem, EventLine, EventPlace, EventsSent};
use serde_json::{Value, json};

use super::check;
use crate::https::test_hub::TestHub;

const EVENTS: &str = "POST /eventHubs/events/events";

async fn sent(hub: &TestHub, lines: &[Value]) -> Vec<EventPlace> {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let answered = check(hub, hub.ask(EVENTS).body(&body), 200, "").await;
    serde_json::from_value::<EventsSent>(answered.json()).expect("places").events
}

async fn stored(hub: &TestHub) -> Vec<EventItem> {
    let answered = hub.answer(hub.ask("GET /eventHubs/events/events?from=earliest&follow=false")).await;
    let lines = answered.text().lines();
    let read = lines.map(|line| match serde_json::from_str(line).expect(line) {
        EventLine::Event(event) => *event,
        EventLine::Gap(gap) => panic!("a gap: {gap:?}"),
    });
    read.collect()
}

#[tokio::test]
async fn an_event_is_read_back_as_it_was_sent_and_where_the_answer_says() {
    let hub = TestHub::open().await;
    let event = json!({"body": "hot", "key": "sensor-1", "messageId": "m1", "contentType": "text/plain",
        "properties": {"colour": "rød", "none": null, "iothub-connection-device-id": "somebody-else"}});
    // The key's partition of four, as the official clients compute it.
    let [place] = sent(&hub, &[event]).await.try_into().expect("one place");
    assert_eq!((place.partition.0, place.sequence.0), (2, 0));
    let [stored] = stored(&hub).await.try_into().expect("one event");
    assert_eq!((stored.partition, stored.sequence), (place.partition, place.sequence));
    let stored = serde_json::to_value(&stored).expect("JSON");
    assert_eq!((&stored["body"], &stored["deviceId"]), (&json!("hot"), &Value::Null));
    assert_eq!(stored["properties"], json!({"colour": "rød", "none": null}));
    assert_eq!(stored["system"], json!({"message-id": "m1", "content-type": "text/plain"}));
}

#[tokio::test]
async fn a_partition_counts_before_a_key_and_without_either_it_goes_round() {
    let hub = TestHub::open().await;
    let partitions = |places: &[EventPlace]| places.iter().map(|place| (place.partition.0, place.sequence.0)).collect::<Vec<_>>();
    let mixed = [
        json!({"body": "a", "partition": 3, "key": "sensor-1"}),
        json!({"body": "b"}),
        json!({"bodyBase64": "/wA=", "key": "sensor-1"}),
        json!({"body": "c", "partition": 3}),
        json!({"body": ""}),
    ];
    assert_eq!(partitions(&sent(&hub, &mixed).await), [(3, 0), (0, 0), (2, 0), (3, 1), (0, 1)], "a request stays together");
    assert_eq!(partitions(&sent(&hub, &[json!({"body": "d"})]).await), [(1, 0)], "and the next goes on");
    let raw = stored(&hub).await.into_iter().find(|event| event.partition.0 == 2).expect("there");
    assert_eq!(serde_json::to_value(raw).expect("JSON")["bodyBase64"], "/wA=");
}

#[tokio::test]
async fn many_events_are_several_batches_and_keep_their_order() {
    let hub = TestHub::open().await;
    let lines: Vec<Value> = (0..300).map(|number| json!({"body": format!("{number}-{}", "x".repeat(2000)), "partition": 1})).collect();
    let places = sent(&hub, &lines).await;
    assert_eq!(places.iter().map(|place| place.sequence.0).collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());
    let stored = stored(&hub).await;
    for (number, event) in stored.iter().enumerate() {
        let event = serde_json::to_value(event).expect("JSON");
        assert!(event["body"].as_str().is_some_and(|body| body.starts_with(&format!("{number}-"))), "{number}");
    }
    assert_eq!(stored.len(), 300);
}

#[tokio::test]
async fn a_line_that_cannot_be_stored_is_named_and_none_is_stored() {
    let hub = TestHub::open().await;
    check(&hub, hub.ask("PATCH /eventHubs/events").body(r#"{"messageBytesMax":1024}"#), 200, "").await;
    let good = r#"{"body":"good"}"#;
    let large = json!({"body": "x".repeat(1020), "properties": {"abc": "de"}}).to_string();
    let long = json!({"body": "x", "messageId": "m".repeat(129)}).to_string();
    for (bad, status, code) in [
        ("{", 400, "IotHubFormatError"),
        ("{}", 400, "IotHubFormatError"),
        (r#"{"body":1}"#, 400, "IotHubFormatError"),
        (r#"{"bodyBase64":"*"}"#, 400, "ArgumentInvalid"),
        (r#"{"body":"b","partition":4}"#, 400, "ArgumentInvalid"),
        (&long, 400, "ArgumentInvalid"),
        (&large, 413, "MessageTooLarge"),
    ] {
        let answered = check(&hub, hub.ask(EVENTS).body(&format!("{good}\n\n{bad}\n{good}\n")), status, code).await;
        assert!(answered.text().contains("line 3: "), "{}", answered.text());
    }
    let empty = check(&hub, hub.ask(EVENTS).body("\n \n"), 400, "ArgumentInvalid").await;
    assert!(empty.text().contains("no event"));
    check(&hub, hub.ask("POST /eventHubs/none/events").body(good), 404, "ResourceNotFound").await;
    check(&hub, hub.ask(EVENTS).body(&"x".repeat(9 << 20)), 413, "MessageTooLarge").await;
    assert!(stored(&hub).await.is_empty());
}
