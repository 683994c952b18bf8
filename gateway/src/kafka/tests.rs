//! Connections over a pipe, by a client that writes every byte itself.

mod client;
mod durability;
mod groups;
mod memory;
mod rights;
mod waiting;

use std::time::Duration;

use bytes::Bytes;
use kafka_proto::wire::{Api, STRANGER_FRAME_BYTES_MAX};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, CreateTopicsRequest, CreateTopicsResponse, ListOffsetsRequest, ListOffsetsResponse,
    MetadataRequest, MetadataResponse,
};
use kafka_protocol::protocol::StrBytes;

use self::client::{Client, VERSION, batch, fetch, produce};
use crate::https::test_hub::TestHub;

fn end_of_partition(hub: &TestHub) -> i64 {
    let events = hub.hub.event_hubs.get("events").expect("the built-in event hub");
    hub.hub.log.partition(events.id, model::PartitionId(0)).expect("a partition").next.0
}

#[tokio::test]
async fn produce_requests_sent_ahead_are_stored_and_answered_in_their_order() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "owner").await;
    for number in 0..50 {
        client.send(Api::Produce.key(), VERSION, &produce(-1, 0, batch(&[&number.to_string(), "b"]))).await;
    }
    for number in 0..50 {
        assert_eq!(client.produced().await, (0, 2 * number));
    }
    let (code, watermark, records) = client.fetch(&fetch(99, 0, 1_000_000)).await;
    assert_eq!((code, watermark), (0, 100));
    let mut last = batch(&["49", "b"]).to_vec();
    last[..8].copy_from_slice(&98_i64.to_be_bytes());
    assert_eq!(records, last, "from the middle of a batch on, all of it, as it was sent");
}

#[tokio::test]
async fn a_producer_that_wants_no_answer_gets_none_unless_it_is_refused() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "owner").await;
    client.send(Api::Produce.key(), VERSION, &produce(0, 0, batch(&["a"]))).await;
    assert_eq!(client.produce(1, 0, batch(&["b"])).await, (0, 1), "the next answer is the next request's");
    client.send(Api::Produce.key(), VERSION, &produce(0, 99, batch(&["a"]))).await;
    client.ended().await;
}

#[tokio::test]
async fn what_is_not_a_batch_gets_its_code_and_nothing_is_stored() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "owner").await;
    let good = batch(&["a", "b"]);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = value;
        Bytes::from(bytes)
    };
    let cases = [
        ("a changed value", changed(good.len() - 2, 0), 2),
        ("a lying length", changed(11, 0xff), 2),
        ("an old format", changed(16, 1), 87),
        ("two batches", Bytes::from([&good[..], &good[..]].concat()), 87),
        ("nothing", Bytes::new(), 87),
    ];
    for (what, bytes, code) in cases {
        assert_eq!(client.produce(-1, 0, bytes).await, (code, -1), "{what}");
    }
    assert_eq!(client.produce(-1, 4, good.clone()).await, (3, -1), "a partition too many");
    assert_eq!(client.produce(-1, -1, good.clone()).await, (3, -1));
    assert_eq!(client.produce(2, 0, good.clone()).await, (21, -1), "two acknowledgements");
    assert_eq!(end_of_partition(&hub), 0);
    assert_eq!(client.produce(-1, 0, good).await, (0, 0), "and the connection goes on");
}

#[tokio::test]
async fn a_consumer_that_waits_is_woken_by_the_event_it_waits_for() {
    let hub = TestHub::open().await;
    let mut consumer = Client::of(&hub, "service").await;
    consumer.send(Api::Fetch.key(), VERSION, &fetch(0, 30_000, 1_000_000)).await;
    let mut producer = Client::of(&hub, "owner").await;
    assert_eq!(producer.produce(-1, 0, batch(&["a"])).await, (0, 0));
    let fetched = tokio::time::timeout(Duration::from_secs(20), consumer.fetched()).await;
    let (code, watermark, records) = fetched.expect("long before its own time");
    assert_eq!((code, watermark, records), (0, 1, batch(&["a"])));
}

#[tokio::test]
async fn the_first_batch_is_whole_however_little_is_asked_for() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "owner").await;
    let (first, second) = (batch(&[&"x".repeat(5000)]), batch(&["y"]));
    client.produce(-1, 0, first.clone()).await;
    client.produce(-1, 0, second.clone()).await;
    for bytes_max in [1, 100, first.len() as i32 + 10] {
        let (code, _, records) = client.fetch(&fetch(0, 0, bytes_max)).await;
        assert_eq!((code, records.len()), (0, first.len()), "{bytes_max}");
    }
    let (_, _, records) = client.fetch(&fetch(0, 0, (first.len() + second.len()) as i32)).await;
    assert_eq!(records.len(), first.len() + second.len());
}

#[tokio::test]
async fn offsets_outside_the_partition_are_out_of_range() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "owner").await;
    client.produce(-1, 0, batch(&["a", "b"])).await;
    for (offset, code) in [(-1, 1), (3, 1), (i64::MAX, 1), (2, 0), (0, 0)] {
        assert_eq!(client.fetch(&fetch(offset, 0, 1000)).await.0, code, "{offset}");
    }
    for (timestamp, offset) in [(-1, 2), (-2, 0), (1_700_000_000_000, 0), (1_800_000_000_000, -1)] {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(StrBytes::from_static_str("events").into()).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        let answer: ListOffsetsResponse = client.ask(Api::ListOffsets, 7, &request).await;
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.offset), (0, offset), "{timestamp}");
    }
}

#[tokio::test]
async fn a_policy_does_what_its_rights_allow() {
    let hub = TestHub::open().await;
    let mut service = Client::of(&hub, "service").await;
    assert_eq!(service.fetch(&fetch(0, 0, 1000)).await.0, 0, "to listen");
    assert_eq!(service.produce(-1, 0, batch(&["a"])).await, (29, -1), "not to send");
    let create = |name| {
        let topic =
            CreatableTopic::default().with_name(StrBytes::from_static_str(name).into()).with_num_partitions(2).with_replication_factor(1);
        CreateTopicsRequest::default().with_topics(vec![topic])
    };
    let refused: CreateTopicsResponse = service.ask(Api::CreateTopics, 7, &create("audit")).await;
    assert_eq!(refused.topics[0].error_code, 29, "not to manage");
    assert!(hub.hub.event_hubs.get("audit").is_none());

    let mut owner = Client::of(&hub, "owner").await;
    let made: CreateTopicsResponse = owner.ask(Api::CreateTopics, 7, &create("audit")).await;
    assert_eq!((made.topics[0].error_code, made.topics[0].num_partitions), (0, 2));
    let again: CreateTopicsResponse = owner.ask(Api::CreateTopics, 7, &create("audit")).await;
    assert_eq!(again.topics[0].error_code, 36);
    let all: MetadataResponse = owner.ask(Api::Metadata, 12, &MetadataRequest::default().with_topics(None)).await;
    let names: Vec<_> = all.topics.iter().filter_map(|topic| topic.name.as_ref()).map(|name| name.to_string()).collect();
    assert_eq!(names, ["events", "audit"]);

    for (user, password) in [("$ConnectionString", "nonsense"), ("owner", "d3Jvbmc="), ("nobody", "x"), ("device", &key())] {
        let mut client = Client::stranger(&hub);
        let answer = client.authenticate(user, password).await;
        assert_eq!(answer.error_code, 58, "{user}");
        assert!(answer.error_message.is_some());
        client.ended().await;
    }
}

fn key() -> String {
    model::Secret::new(vec![7; 32]).to_base64()
}

#[tokio::test]
async fn an_unknown_version_of_the_first_question_is_answered_and_the_connection_kept() {
    let hub = TestHub::open().await;
    let mut client = Client::stranger(&hub);
    client.send_frame(&[0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff]).await;
    let (correlation_id, answer) = client.frame().await;
    assert_eq!((correlation_id, &answer[..2]), (5, &35_i16.to_be_bytes()[..]));
    let answer: ApiVersionsResponse = client.ask(Api::ApiVersions, 3, &ApiVersionsRequest::default()).await;
    assert_eq!(answer.error_code, 0);
}

#[tokio::test]
async fn strangers_and_those_who_announce_too_much_are_closed() {
    let hub = TestHub::open().await;
    let mut stranger = Client::stranger(&hub);
    stranger.send(Api::Metadata.key(), 1, &MetadataRequest::default()).await;
    stranger.ended().await;
    let mut large = Client::stranger(&hub);
    large.send_bytes(&(STRANGER_FRAME_BYTES_MAX as u32 + 1).to_be_bytes()).await;
    large.ended().await;
    let mut huge = Client::of(&hub, "owner").await;
    huge.send_bytes(&i32::MAX.to_be_bytes()).await;
    huge.ended().await;
    let mut lying = Client::of(&hub, "owner").await;
    lying.send_frame(&[0, 3, 0, 1, 0, 0, 0, 5, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]).await;
    lying.ended().await;
    let mut unknown = Client::of(&hub, "owner").await;
    unknown.send_frame(&[0, 24, 0, 0, 0, 0, 0, 5, 0xff, 0xff]).await;
    unknown.ended().await;
}

#[tokio::test]
async fn a_connection_ends_with_its_policy_though_it_waits() {
    let hub = TestHub::open().await;
    let events = "events".parse().expect("a name");
    let name: model::PolicyName = "listener".parse().expect("a name");
    let policy = hub.hub.event_hubs.create_policy(&events, name.clone(), model::EventHubRights::LISTEN).await.expect("a policy");
    let mut client = Client::stranger(&hub);
    assert_eq!(client.authenticate("listener", &policy.primary.to_base64()).await.error_code, 0);
    client.send(Api::Fetch.key(), VERSION, &fetch(0, 30_000, 1000)).await;
    hub.hub.event_hubs.delete_policy(&events, &name).await.expect("deleted");
    client.ended().await;
}

#[tokio::test]
async fn a_stopping_hub_ends_connections_that_wait() {
    let hub = TestHub::open().await;
    let mut waiting = Client::of(&hub, "owner").await;
    waiting.send(Api::Fetch.key(), VERSION, &fetch(0, 30_000, 1000)).await;
    let idle = Client::of(&hub, "owner").await;
    hub.hub.drain.begin(Duration::from_secs(10));
    waiting.ended().await;
    idle.ended().await;
}

#[tokio::test]
async fn telemetry_is_read_with_its_device_as_key() {
    let hub = TestHub::open().await;
    hub.create_device("dev-7").await;
    hub.store("dev-7", &["21.5"]).await;
    let mut client = Client::of(&hub, "service").await;
    let (code, watermark, records) = client.fetch(&fetch(0, 0, 1_000_000)).await;
    assert_eq!((code, watermark), (0, 1), "the key's partition of four is 0");
    let holds = |part: &[u8]| records.windows(part.len()).any(|window| window == part);
    assert!(holds(b"dev-7") && holds(b"21.5") && holds(b"iothub-connection-device-id"));
}
