//! Consumer groups over the wire.

use kafka_proto::wire::Api;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, GroupId, HeartbeatRequest, HeartbeatResponse, InitProducerIdRequest, InitProducerIdResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::client::Client;
use crate::https::test_hub::TestHub;

fn name(text: &'static str) -> GroupId {
    GroupId(StrBytes::from_static_str(text))
}

fn commit_of(group: &'static str, topic: &'static str, partition: i32, metadata: &str) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(7)
        .with_committed_metadata(Some(StrBytes::from_string(metadata.to_owned())));
    let topic = OffsetCommitRequestTopic::default().with_name(TopicName(StrBytes::from_static_str(topic))).with_partitions(vec![partition]);
    OffsetCommitRequest::default().with_group_id(name(group)).with_generation_id_or_member_epoch(-1).with_topics(vec![topic])
}

/// Asks in every version that is served; an answer with a field that the version lacks would end
/// the connection.
macro_rules! in_every_version {
    ($client:ident, $api:expr, |$version:ident| $request:expr, $answer:ty, |$got:ident| $check:expr) => {
        for $version in $api.served().range() {
            let $got: $answer = $client.ask($api, $version, &$request).await;
            assert!($check, "version {}: {:?}", $version, $got);
        }
    };
}

#[tokio::test]
async fn every_version_that_is_served_is_answered_in_its_own_form() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "owner").await;
    let g = || name("g");
    in_every_version!(client, Api::OffsetCommit, |version| commit_of("g", "events", 0, "note"), OffsetCommitResponse, |got| {
        got.topics[0].partitions[0].error_code == 0
    });
    in_every_version!(
        client,
        Api::OffsetFetch,
        |version| if version >= 8 {
            let group = OffsetFetchRequestGroup::default().with_group_id(g()).with_topics(None);
            OffsetFetchRequest::default().with_groups(vec![group])
        } else {
            let request = OffsetFetchRequest::default().with_group_id(g());
            if version >= 2 { request.with_topics(None) } else { request }
        },
        OffsetFetchResponse,
        |got| match version {
            1 => got.topics.is_empty(),
            2..=7 => got.topics[0].partitions[0].committed_offset == 7,
            _ => got.groups[0].topics[0].partitions[0].committed_offset == 7,
        }
    );
    in_every_version!(
        client,
        Api::FindCoordinator,
        |version| if version >= 4 {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![StrBytes::from_static_str("g")])
        } else {
            FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"))
        },
        FindCoordinatorResponse,
        |got| if version >= 4 { got.coordinators[0].error_code == 0 } else { got.error_code == 0 && got.node_id.0 == 0 }
    );
    in_every_version!(client, Api::JoinGroup, |version| JoinGroupRequest::default().with_group_id(g()), JoinGroupResponse, |got| {
        got.error_code == 26
    });
    in_every_version!(client, Api::SyncGroup, |version| SyncGroupRequest::default().with_group_id(g()), SyncGroupResponse, |got| {
        got.error_code == 25
    });
    in_every_version!(client, Api::Heartbeat, |version| HeartbeatRequest::default().with_group_id(g()), HeartbeatResponse, |got| {
        got.error_code == 25
    });
    in_every_version!(client, Api::LeaveGroup, |version| LeaveGroupRequest::default().with_group_id(g()), LeaveGroupResponse, |got| {
        got.error_code == if version < 3 { 25 } else { 0 }
    });
    in_every_version!(
        client,
        Api::DescribeGroups,
        |version| DescribeGroupsRequest::default().with_groups(vec![g()]),
        DescribeGroupsResponse,
        |got| { got.groups[0].error_code == 0 && got.groups[0].group_state.as_str() == "Empty" }
    );
    in_every_version!(client, Api::ListGroups, |version| ListGroupsRequest::default(), ListGroupsResponse, |got| {
        got.groups.len() == 1 && got.groups[0].group_id == g()
    });
    in_every_version!(
        client,
        Api::InitProducerId,
        |version| InitProducerIdRequest::default().with_transactional_id(None),
        InitProducerIdResponse,
        |got| { got.error_code == 0 && got.producer_epoch == 0 }
    );
    in_every_version!(
        client,
        Api::OffsetDelete,
        |version| OffsetDeleteRequest::default().with_group_id(g()),
        OffsetDeleteResponse,
        |got| { got.error_code == 0 }
    );
    in_every_version!(
        client,
        Api::DeleteGroups,
        |version| DeleteGroupsRequest::default().with_groups_names(vec![g()]),
        DeleteGroupsResponse,
        |got| { got.results[0].error_code == if version == 0 { 0 } else { 69 } }
    );
}

#[tokio::test]
async fn of_a_partition_committed_many_times_over_the_last_counts() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "service").await;
    let mut request = commit_of("g", "events", 0, &"x".repeat(30));
    let partition = request.topics[0].partitions[0].clone();
    request.topics[0].partitions = (0..20_000).map(|offset| partition.clone().with_committed_offset(offset)).collect();
    let answer: OffsetCommitResponse = client.ask(Api::OffsetCommit, 8, &request).await;
    assert!(answer.topics[0].partitions.iter().all(|partition| partition.error_code == 0), "{:?}", answer.topics[0].partitions[0]);
    let group = kafka_proto::group::GroupId::new("g").expect("a group id");
    let offsets: Vec<_> = hub.hub.groups.offsets(&group).iter().map(|(_, committed)| committed.offset.0).collect();
    assert_eq!(offsets, [19_999]);
}

#[tokio::test]
async fn a_member_joins_over_two_requests_and_reads_its_assignment() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "service").await;
    let protocol =
        kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("range"));
    let join = JoinGroupRequest::default()
        .with_group_id(name("g"))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let refused: JoinGroupResponse = client.ask(Api::JoinGroup, 9, &join).await;
    assert_eq!((refused.error_code, refused.generation_id), (79, -1));
    let joined: JoinGroupResponse = client.ask(Api::JoinGroup, 9, &join.with_member_id(refused.member_id.clone())).await;
    assert_eq!((joined.error_code, joined.generation_id, &joined.leader), (0, 1, &refused.member_id));
    let sync = SyncGroupRequest::default().with_group_id(name("g")).with_generation_id(1).with_member_id(refused.member_id);
    let synced: SyncGroupResponse = client.ask(Api::SyncGroup, 5, &sync).await;
    assert_eq!((synced.error_code, synced.protocol_name.as_deref()), (0, Some("range")));
}

#[tokio::test]
async fn what_cannot_be_is_refused_for_each_partition_with_its_code() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "service").await;
    let long = "x".repeat(1025);
    let cases = [("events", 0, "", 0), ("none", 0, "", 3), ("events", 4, "", 3), ("events", -1, "", 3), ("events", 0, &*long, 12)];
    for (topic, partition, metadata, code) in cases {
        let answer: OffsetCommitResponse = client.ask(Api::OffsetCommit, 8, &commit_of("g", topic, partition, metadata)).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, code, "{topic} {partition}");
    }
    let deleted: DeleteGroupsResponse =
        client.ask(Api::DeleteGroups, 2, &DeleteGroupsRequest::default().with_groups_names(vec![name("g")])).await;
    assert_eq!(deleted.results[0].error_code, 30, "to listen is not to manage");
    let produced: InitProducerIdResponse =
        client.ask(Api::InitProducerId, 4, &InitProducerIdRequest::default().with_transactional_id(None)).await;
    assert_eq!((produced.error_code, produced.producer_id.0), (31, -1));
    let mut owner = Client::of(&hub, "owner").await;
    let id = TransactionalId(StrBytes::from_static_str("t"));
    let refused: InitProducerIdResponse =
        owner.ask(Api::InitProducerId, 4, &InitProducerIdRequest::default().with_transactional_id(Some(id))).await;
    assert_eq!(refused.error_code, 53);
    let find = FindCoordinatorRequest::default().with_key_type(1).with_key(StrBytes::from_static_str("t"));
    let refused: FindCoordinatorResponse = owner.ask(Api::FindCoordinator, 3, &find).await;
    assert_eq!((refused.error_code, refused.node_id.0), (53, -1));
}
