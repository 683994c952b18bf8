//! What consumers, members and strangers may hold of the hub's memory.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use kafka_proto::wire::{Api, STRANGER_FRAME_BYTES_MAX};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, GroupId, JoinGroupRequest, JoinGroupResponse, ListGroupsRequest, ListGroupsResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use model::PartitionId;
use tokio::time::Instant;

use super::client::{Client, VERSION, batch, fetch, produce};
use crate::https::test_hub::TestHub;
use crate::kafka::budget::{Budgets, Free};

/// A waiting fetch of one partition of `events`.
const PARKED_FETCH: usize = "events".len() + 2 * 256;

/// Lets every task run until the budgets stand like this.
async fn settled(budgets: &Budgets, expected: Free) {
    for _ in 0..100_000 {
        if budgets.free() == expected {
            return;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(budgets.free(), expected);
}

#[tokio::test]
async fn a_thousand_idle_consumers_take_little_and_wake_for_events_only() {
    const CONSUMERS: usize = 1000;
    let hub = TestHub::open().await;
    let budgets = &hub.hub.kafka;
    let all = budgets.free();
    let mut producer = Client::of(&hub, "owner").await;
    tokio::time::pause();
    let mut idle = Vec::new();
    for _ in 0..CONSUMERS {
        let mut consumer = Client::of(&hub, "service").await;
        consumer.send(Api::Fetch.key(), VERSION, &fetch(0, 30_000, 1_000_000)).await;
        idle.push(consumer);
    }
    settled(budgets, Free { decoded: all.decoded - CONSUMERS * PARKED_FETCH, ..all }).await;
    let wakes = |idle: &[Client]| idle.iter().map(Client::wakes).sum::<usize>();
    let before = wakes(&idle);
    tokio::time::advance(Duration::from_secs(10)).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(wakes(&idle), before, "nobody was woken for nothing");

    tokio::time::resume();
    assert_eq!(producer.produce(-1, 0, batch(&["a"])).await, (0, 0));
    for consumer in &mut idle {
        assert_eq!(consumer.fetched().await, (0, 1, batch(&["a"])));
    }
    settled(budgets, all).await;
}

#[tokio::test]
async fn what_waits_gives_back_what_its_request_took() {
    let hub = TestHub::open().await;
    let budgets = &hub.hub.kafka;
    let all = budgets.free();
    let mut consumer = Client::of(&hub, "service").await;
    let mut request = fetch(0, 30_000, 1_000_000);
    let partition = request.topics[0].partitions[0].clone();
    request.topics[0].partitions = vec![partition; 10_000];
    consumer.send(Api::Fetch.key(), VERSION, &request).await;
    settled(budgets, Free { decoded: all.decoded - PARKED_FETCH, ..all }).await;

    tokio::time::pause();
    let mut member = Client::of(&hub, "service").await;
    member.send(Api::JoinGroup.key(), 3, &join("g", 100_000)).await;
    let has_joined = || hub.hub.groups.overview().iter().any(|(_, view)| !view.members.is_empty());
    while !has_joined() {
        tokio::task::yield_now().await;
    }
    assert_eq!(budgets.free(), Free { decoded: all.decoded - PARKED_FETCH, ..all }, "a join waits for others");
    let joined: JoinGroupResponse = member.answer(3).await;
    assert_eq!(joined.error_code, 0);
    consumer.hang_up().await;
    settled(budgets, all).await;
}

/// A member tells so many bytes about itself.
fn join(group: &'static str, bytes: usize) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("range")).with_metadata(vec![7; bytes].into());
    JoinGroupRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str(group)))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol])
}

#[tokio::test]
async fn large_answers_wait_for_room_and_small_ones_go_on() {
    let hub = TestHub::open().await;
    let budgets = &hub.hub.kafka;
    let mut client = Client::of(&hub, "service").await;
    let joined: JoinGroupResponse = client.ask(Api::JoinGroup, 3, &join("g", 100_000)).await;
    let sync = SyncGroupRequest::default().with_group_id(GroupId(StrBytes::from_static_str("g"))).with_member_id(joined.member_id);
    let synced: SyncGroupResponse = client.ask(Api::SyncGroup, 0, &sync.with_generation_id(joined.generation_id)).await;
    assert_eq!(synced.error_code, 0);
    let all = budgets.free();
    let taken = budgets.answer(usize::MAX).now_or_never().expect("all there is");
    let listed: ListGroupsResponse = client.ask(Api::ListGroups, 0, &ListGroupsRequest::default()).await;
    assert_eq!(listed.groups.len(), 1);

    let describe = DescribeGroupsRequest::default().with_groups(vec![GroupId(StrBytes::from_static_str("g"))]);
    client.send(Api::DescribeGroups.key(), 0, &describe).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer::<DescribeGroupsResponse>(0).now_or_never(), None);
    drop(taken);
    let described: DescribeGroupsResponse = client.answer(0).await;
    assert_eq!(described.groups[0].members[0].member_metadata.len(), 100_000);
    settled(budgets, all).await;
}

#[tokio::test]
async fn a_fetch_for_which_there_is_no_room_is_answered_empty_in_its_time() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "owner").await;
    client.produce(-1, 0, batch(&["a"])).await;
    let taken: Vec<_> = std::iter::from_fn(|| hub.hub.kafka.fetched(usize::MAX).now_or_never()).collect();
    tokio::time::pause();
    let began = Instant::now();
    for (offset, wait, expected) in [(0, 0, (0, 1, Bytes::new())), (0, 700, (0, 1, Bytes::new())), (5, 0, (1, 1, Bytes::new()))] {
        assert_eq!(client.fetch(&fetch(offset, wait, 1000)).await, expected, "{offset}");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    drop(taken);
    assert_eq!(client.fetch(&fetch(0, 700, 1000)).await, (0, 1, batch(&["a"])));
}

#[tokio::test]
async fn silent_strangers_keep_nobody_from_logging_in() {
    let hub = TestHub::open().await;
    let all = hub.hub.kafka.free();
    let mut silent = Vec::new();
    for _ in 0..1000 {
        let mut stranger = Client::stranger(&hub);
        stranger.send_bytes(&(STRANGER_FRAME_BYTES_MAX as u32).to_be_bytes()).await;
        silent.push(stranger);
        tokio::task::yield_now().await;
    }
    let mut client = Client::of(&hub, "service").await;
    assert_eq!(client.fetch(&fetch(0, 0, 1000)).await.0, 0);
    assert!(silent.iter().all(|stranger| !stranger.served.is_finished()), "they are still there");
    assert_eq!(hub.hub.kafka.free(), all);
}

#[tokio::test]
async fn a_consumer_that_reads_nothing_keeps_its_share_only_and_is_closed() {
    let hub = TestHub::open().await;
    let mut producer = Client::of(&hub, "owner").await;
    let large = batch(&[&"x".repeat(200_000)]);
    for _ in 0..3 {
        producer.produce(-1, 0, large.clone()).await;
    }
    let budgets = &hub.hub.kafka;
    let all = budgets.free().fetched;
    let began = Instant::now();
    let mut stuck = Client::of(&hub, "service").await;
    stuck.send(Api::Fetch.key(), VERSION, &fetch(0, 0, 1_000_000)).await;
    while budgets.free().fetched == all {
        tokio::task::yield_now().await;
    }
    // More requests change nothing: none is carried out before the first is answered.
    for _ in 0..10 {
        stuck.send(Api::Fetch.key(), VERSION, &fetch(0, 0, 1_000_000)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(all - budgets.free().fetched, 3 * large.len(), "as much as waits to be read");
    let (code, _, records) = producer.fetch(&fetch(0, 0, 1_000_000)).await;
    assert_eq!((code, records.len()), (0, 3 * large.len()), "others read on");
    assert_eq!(producer.produce(-1, 0, batch(&["a"])).await, (0, 3), "and send");

    tokio::time::pause();
    stuck.served.await.expect("no panic");
    assert!(began.elapsed() >= Duration::from_secs(60), "it was given time");
    assert_eq!(budgets.free().fetched, all, "nothing is kept");
    let events = hub.hub.event_hubs.get("events").expect("the built-in event hub");
    assert_eq!(hub.hub.log.partition(events.id, PartitionId(0)).expect("a partition").next.0, 4);
}

#[tokio::test]
async fn who_leaves_answers_unread_and_asks_for_more_keeps_no_producer_waiting() {
    const STUCK: usize = 64;
    let hub = TestHub::open().await;
    let mut producer = Client::of(&hub, "owner").await;
    let large = batch(&[&"x".repeat(200_000)]);
    producer.produce(-1, 0, large.clone()).await;
    let budgets = &hub.hub.kafka;
    let all = budgets.free();
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        let mut consumer = Client::of(&hub, "owner").await;
        consumer.send(Api::Fetch.key(), VERSION, &fetch(0, 0, 1_000_000)).await;
        stuck.push(tokio::spawn(async move {
            // The second never comes to its turn.
            for api in [Api::Produce, Api::Metadata] {
                let mut frame = vec![0; 2 * model::limits::EVENT_BYTES_MAX];
                frame[..2].copy_from_slice(&api.key().to_be_bytes());
                consumer.send_frame(&frame).await;
            }
        }));
    }
    while all.fetched - budgets.free().fetched != STUCK * large.len() {
        tokio::task::yield_now().await;
    }
    assert_eq!(producer.produce(-1, 0, large.clone()).await, (0, 1));
    assert!(stuck.iter().all(|sending| !sending.is_finished()), "no answer was read, and no request after it");
    assert_eq!(budgets.free().requests, all.requests);
}

#[tokio::test]
async fn a_producer_that_reads_no_answer_gives_back_what_is_durable() {
    let hub = TestHub::open().await;
    let budgets = &hub.hub.kafka;
    let all = budgets.free();
    let mut producer = Client::narrow(&hub, "owner").await;
    let large = batch(&[&"x".repeat(100_000)]);
    for _ in 0..3 {
        producer.send(Api::Produce.key(), VERSION, &produce(-1, 0, large.clone())).await;
    }
    while super::end_of_partition(&hub) < 3 || all.requests != budgets.free().requests {
        tokio::task::yield_now().await;
    }
    let answers = all.decoded - budgets.free().decoded;
    assert!((1..1000).contains(&answers), "three answers are left of it: {answers}");
    for offset in 0..3 {
        assert_eq!(producer.produced().await, (0, offset));
    }
    settled(budgets, all).await;
}
