use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use model::api::{EventItem, EventLine};
use serde_json::json;

use crate::https::test_hub::TestHub;

fn events(lines: &[u8]) -> Vec<EventItem> {
    let lines = std::str::from_utf8(lines).expect("text").lines();
    let read = lines.map(|line| match serde_json::from_str(line).expect(line) {
        EventLine::Event(event) => *event,
        EventLine::Gap(gap) => panic!("a gap: {gap:?}"),
    });
    read.collect()
}

async fn read(hub: &TestHub, query: &str) -> Vec<EventItem> {
    let answered = hub.answer(hub.ask(&format!("GET /eventHubs/events/events?{query}"))).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(answered.headers.get("content-type").map(|value| value.as_bytes()), Some(&b"application/x-ndjson"[..]));
    events(&answered.body)
}

fn bodies(events: &[EventItem]) -> Vec<String> {
    let text = |event: &EventItem| json!(event.body)["body"].as_str().expect("text").to_owned();
    events.iter().map(text).collect()
}

async fn hub_with_events() -> TestHub {
    let hub = TestHub::open().await;
    for (device, stored) in [("a", ["a0", "a1", "a2"]), ("b", ["b0", "b1", "b2"]), ("c", ["c0", "c1", "c2"])] {
        hub.create_device(device).await;
        hub.store(device, &stored).await;
        hub.clock.advance(Duration::from_secs(1));
    }
    hub
}

#[tokio::test]
async fn what_is_stored_is_read_in_the_order_of_each_device() {
    let hub = hub_with_events().await;
    let all = read(&hub, "from=earliest&follow=false").await;
    for device in ["a", "b", "c"] {
        let of_device: Vec<_> = all.iter().filter(|event| event.device_id.as_deref() == Some(device)).cloned().collect();
        assert_eq!(bodies(&of_device), [format!("{device}0"), format!("{device}1"), format!("{device}2")]);
        assert_eq!(bodies(&read(&hub, &format!("from=earliest&follow=false&device={device}")).await), bodies(&of_device));
    }
    assert_eq!(all.len(), 9);
    assert_eq!(read(&hub, "from=earliest&count=4").await.len(), 4);
    assert!(read(&hub, "from=latest&follow=false").await.is_empty());
    assert!(read(&hub, "count=0").await.is_empty());
}

#[tokio::test]
async fn a_stream_begins_at_a_time_and_resumes_at_positions() {
    let hub = hub_with_events().await;
    let later = read(&hub, "from=2026-01-01T00:00:02Z&follow=false").await;
    assert_eq!(bodies(&later), ["c0", "c1", "c2"]);
    assert!(read(&hub, "from=2030-01-01T00:00:00Z&follow=false").await.is_empty(), "a time to come has no events");
    let first = later.first().expect("an event");
    let (partition, next) = (first.partition, first.sequence.plus(2));
    let resumed = read(&hub, &format!("from=latest&position={partition}:{next}&follow=false")).await;
    assert_eq!(bodies(&resumed), ["c2"]);
    let one = read(&hub, &format!("from={next}&partition={partition}&follow=false")).await;
    assert_eq!(bodies(&one), ["c2"]);
}

/// Flips one bit of the stored event with this body.
fn damage(directory: &Path, body: &str) {
    for entry in fs::read_dir(directory.join("log")).expect("a log") {
        let path = entry.expect("a file").path();
        let mut bytes = fs::read(&path).expect("readable");
        if let Some(place) = bytes.windows(body.len()).position(|window| window == body.as_bytes()) {
            bytes[place] ^= 1;
            return fs::write(&path, bytes).expect("writable");
        }
    }
    panic!("{body} is not stored");
}

#[tokio::test]
async fn events_lost_to_damage_are_a_line_of_their_own() {
    let hub = TestHub::open().await;
    for device in ["a", "b"] {
        hub.create_device(device).await;
    }
    hub.store("a", &["a-first"]).await;
    hub.store("a", &["a-second", "a-third"]).await;
    hub.store("b", &["b-first"]).await;
    let partition = read(&hub, "from=earliest&follow=false&device=a").await.first().expect("an event").partition;
    let hub = hub.reopened(|directory| damage(directory, "a-second")).await;
    let query = format!("from=earliest&follow=false&partition={partition}&device=a");
    let answered = hub.answer(hub.ask(&format!("GET /eventHubs/events/events?{query}"))).await;
    let lines: Vec<serde_json::Value> = answered.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines[0]["body"], "a-first");
    assert_eq!(lines[1], json!({"hub": "events", "partition": partition, "gap": [1, 2]}));
    assert_eq!(lines.len(), 2);
}

async fn following(hub: &TestHub, query: &str) -> impl futures_util::Stream<Item = Vec<EventItem>> + Unpin {
    let response = hub.send(hub.ask(&format!("GET /eventHubs/events/events?{query}"))).await;
    assert_eq!(response.status().as_u16(), 200);
    let body: Body = response.into_body();
    Box::pin(body.into_data_stream().map(|chunk| events(&chunk.expect("unbroken"))))
}

#[tokio::test]
async fn a_follower_sees_what_arrives_and_ends_with_the_hub() {
    let hub = hub_with_events().await;
    let mut tail = following(&hub, "from=latest").await;
    for (device, body) in [("a", "a3"), ("c", "c3"), ("a", "a4")] {
        let stored = [body];
        let (seen, ()) = tokio::join!(tail.next(), hub.store(device, &stored));
        assert_eq!(bodies(&seen.expect("an event")), [body]);
    }
    hub.hub.drain.begin(Duration::from_secs(1));
    assert!(tail.next().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_when_its_operator_is_admitted_no_more() {
    let hub = hub_with_events().await;
    let mut tail = following(&hub, "from=latest").await;
    hub.clock.advance(Duration::from_secs(3600));
    tokio::time::pause();
    assert!(tail.next().await.is_none());
}
