//! Consumers that wait, and those that are waited for.

use std::time::Duration;

use kafka_proto::wire::Api;
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::protocol::StrBytes;
use model::partition::PartitionCount;
use tokio::time::Instant;
use twins::NewEventHub;

use super::client::{Client, VERSION, batch, fetch};
use crate::https::test_hub::TestHub;

#[tokio::test]
async fn a_fetch_waits_for_as_many_bytes_as_it_asks_for() {
    let hub = TestHub::open().await;
    let (mut consumer, mut producer) = (Client::of(&hub, "service").await, Client::of(&hub, "owner").await);
    let (first, second) = (batch(&["a"]), batch(&["b"]));
    producer.produce(-1, 0, first.clone()).await;
    let request = fetch(0, 20_000, 1_000_000).with_min_bytes((first.len() + second.len()) as i32);
    consumer.send(Api::Fetch.key(), VERSION, &request).await;
    producer.produce(-1, 0, second.clone()).await;
    let fetched = tokio::time::timeout(Duration::from_secs(15), consumer.fetched()).await;
    let (code, watermark, records) = fetched.expect("before its own time");
    assert_eq!((code, watermark, records.len()), (0, 2, first.len() + second.len()));
}

#[tokio::test]
async fn a_fetch_learns_that_its_event_hub_is_deleted() {
    let hub = TestHub::open().await;
    let name: model::EventHubName = "audit".parse().expect("a name");
    hub.hub.event_hubs.create(NewEventHub::new(name.clone(), PartitionCount::ONE)).await.expect("an event hub");
    let mut consumer = Client::of(&hub, "service").await;
    let mut request = fetch(0, 30_000, 1_000_000);
    request.topics[0].topic = StrBytes::from_static_str("audit").into();
    consumer.send(Api::Fetch.key(), VERSION, &request).await;
    tokio::task::yield_now().await;
    hub.hub.event_hubs.delete(&name).await.expect("deleted");
    let fetched = tokio::time::timeout(Duration::from_secs(20), consumer.fetched()).await;
    assert_eq!(fetched.expect("before its own time").0, 3);
}

#[tokio::test]
async fn a_partition_named_many_times_is_read_once() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "owner").await;
    client.produce(-1, 0, batch(&["a"])).await;
    let mut request = fetch(0, 0, 1_000_000);
    let partition = request.topics[0].partitions[0].clone();
    request.topics[0].partitions = vec![partition; 10_000];
    let answer: FetchResponse = client.ask(Api::Fetch, VERSION, &request).await;
    assert_eq!(answer.responses[0].partitions.len(), 1);
}

#[tokio::test]
async fn a_fetch_of_nothing_is_answered_at_once() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "service").await;
    tokio::time::pause();
    let began = Instant::now();
    let mut request = fetch(0, 30_000, 1_000_000);
    request.topics[0].partitions.clear();
    for topics in [request.topics, Vec::new()] {
        let request = fetch(0, 30_000, 1_000_000).with_topics(topics);
        let answer: FetchResponse = client.ask(Api::Fetch, VERSION, &request).await;
        assert_eq!(answer.error_code, 0);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
