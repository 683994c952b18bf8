//! Event hubs made and removed while the hub runs.

use std::time::Duration;

use model::api::{EventHubRequest, EventRequest};
use model::{Clock, EventHubName};
use reqwest::Method;
use serde_json::{Value, json};

use hubctl::client::{EventQuery, EventStart};
use hubctl::{ConnectOptions, HubClient};

use crate::support::deadline::{SOON, within};
use crate::support::hub::HubProcess;

/// A client without connections to a hub that was killed since.
fn connected(hub: &HubProcess) -> HubClient {
    let options = ConnectOptions { data_directory: Some(hub.data_dir().to_owned()), ..ConnectOptions::default() };
    options.connect(Clock::system()).expect("a client")
}

fn name(text: &str) -> EventHubName {
    text.parse().expect("a name")
}

fn event(body: &str) -> EventRequest {
    serde_json::from_value(json!({"body": body, "key": "k"})).expect("an event")
}

async fn bodies(client: &HubClient, hub: &str) -> Vec<String> {
    let query = EventQuery { hub: name(hub), start: EventStart::Earliest, partition: None, device: None, follow: false };
    let mut events = client.events(query);
    let mut bodies = Vec::new();
    while let Some(line) = within("an event", SOON, events.next()).await.expect("readable") {
        let line: Value = serde_json::from_str(&line.text).expect("JSON");
        bodies.push(line["body"].as_str().expect("text").to_owned());
    }
    bodies
}

#[tokio::test]
async fn an_event_hub_is_created_filled_watched_and_deleted_and_stays_deleted() {
    let mut hub = HubProcess::start();
    let before = connected(&hub);
    let client = &before;
    let created = client.create_event_hub(&name("audit"), &EventHubRequest::default()).await.expect("created");
    let query = EventQuery { hub: name("audit"), start: EventStart::Earliest, partition: None, device: None, follow: true };
    let mut following = client.events(query);
    client.send_events(&name("audit"), &[event("one"), event("two")]).await.expect("stored");
    for body in ["one", "two"] {
        let line = within("an event", SOON, following.next()).await.expect("readable").expect("more");
        assert!(line.text.contains(&format!("\"body\":\"{body}\"")), "{}", line.text);
    }

    hub.kill();
    hub.restart();
    let restarted = connected(&hub);
    let client = &restarted;
    assert_eq!(bodies(client, "audit").await, ["one", "two"]);
    assert_eq!(client.event_hub(&name("audit")).await.expect("there"), created);

    client.delete_event_hub(&name("audit")).await.expect("deleted");
    let ended = within("the end of the stream", SOON, async { while following.next().await.is_ok_and(|line| line.is_some()) {} });
    ended.await;
    hub.kill();
    hub.restart();
    let restarted = connected(&hub);
    let client = &restarted;
    let names: Vec<_> = client.event_hubs().await.expect("listed").into_iter().map(|hub| hub.name).collect();
    assert_eq!(names, ["events"], "a deletion survives a restart");

    let again = client.create_event_hub(&name("audit"), &EventHubRequest::default()).await.expect("created");
    assert_ne!(again.topic_id, created.topic_id);
    assert!(bodies(client, "audit").await.is_empty(), "it starts empty");
    let first = client.send_events(&name("audit"), &[event("three")]).await.expect("stored");
    assert_eq!(first.first().map(|place| place.sequence.0), Some(0));
    assert_eq!(bodies(client, "audit").await, ["three"]);
}

#[tokio::test]
async fn a_configured_event_hub_is_there_and_other_partitions_refuse_the_start() {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::not_started_at(scratch.path());
    let configuration = scratch.path().join("isthmus.toml");
    let before = std::fs::read_to_string(&configuration).expect("a configuration");
    let configure = |keys: &str| {
        std::fs::write(&configuration, format!("{before}[[event_hub]]\nname = \"audit\"\n{keys}\n")).expect("written");
    };
    configure("partitions = 2\nretention = \"1h\"");
    hub.restart();
    let shown = hub.service().must(Method::GET, "/eventHubs/audit", None, None).await;
    assert_eq!((&shown["partitions"], &shown["retentionMilliseconds"]), (&json!(2), &json!(Duration::from_secs(3600).as_millis())));
    hub.kill();
    configure("partitions = 3");
    let refused = hub.try_start(&[]).expect_err("it must not start");
    assert!(refused.log.contains("has 2 partitions for ever; it cannot have 3"), "{}", refused.log);
    assert!(!refused.status.success());
}
