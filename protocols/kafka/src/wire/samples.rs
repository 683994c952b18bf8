//! A request of every API and version, with every array filled, as clients write them.

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::Api;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// A frame without its length field.
pub(crate) fn frame(api: Api, version: i16) -> Bytes {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(api.key())
        .with_request_api_version(version)
        .with_correlation_id(7)
        .with_client_id(Some(text("sample")));
    header.encode(&mut frame, if api.is_flexible(version) { 2 } else { 1 }).expect("a header");
    frame.put_slice(&body(api, version));
    frame.freeze()
}

/// A body with every array filled.
pub(crate) fn body(api: Api, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    encode(api, version, &mut out).unwrap_or_else(|error| panic!("{api:?} {version}: {error}"));
    out.freeze()
}

fn encode(api: Api, v: i16, out: &mut BytesMut) -> Result<(), String> {
    let encoded = match api {
        Api::Produce => produce().encode(out, v),
        Api::Fetch => fetch(v).encode(out, v),
        Api::ListOffsets => list_offsets().encode(out, v),
        Api::Metadata => metadata().encode(out, v),
        Api::OffsetCommit => offset_commit().encode(out, v),
        Api::OffsetFetch if v < 8 => old_offset_fetch().encode(out, v),
        Api::OffsetFetch => offset_fetch().encode(out, v),
        Api::FindCoordinator if v < 4 => old_find_coordinator().encode(out, v),
        Api::FindCoordinator => find_coordinator().encode(out, v),
        Api::JoinGroup => join_group().encode(out, v),
        Api::Heartbeat => heartbeat().encode(out, v),
        Api::LeaveGroup if v < 3 => old_leave_group().encode(out, v),
        Api::LeaveGroup => leave_group().encode(out, v),
        Api::SyncGroup => sync_group().encode(out, v),
        Api::DescribeGroups => describe_groups().encode(out, v),
        Api::ListGroups if v < 4 => ListGroupsRequest::default().encode(out, v),
        Api::ListGroups => list_groups().encode(out, v),
        Api::SaslHandshake => sasl_handshake().encode(out, v),
        Api::ApiVersions => ApiVersionsRequest::default().encode(out, v),
        Api::CreateTopics => create_topics().encode(out, v),
        Api::DeleteTopics if v < 6 => old_delete_topics().encode(out, v),
        Api::DeleteTopics => delete_topics().encode(out, v),
        Api::DeleteRecords => delete_records().encode(out, v),
        Api::InitProducerId => InitProducerIdRequest::default().encode(out, v),
        Api::OffsetForLeaderEpoch => offset_for_leader_epoch().encode(out, v),
        Api::DescribeConfigs => describe_configs().encode(out, v),
        Api::AlterConfigs => alter_configs().encode(out, v),
        Api::SaslAuthenticate => sasl_authenticate().encode(out, v),
        Api::CreatePartitions => create_partitions().encode(out, v),
        Api::DeleteGroups => delete_groups().encode(out, v),
        Api::IncrementalAlterConfigs => incremental_alter_configs().encode(out, v),
        Api::OffsetDelete => offset_delete().encode(out, v),
        Api::DescribeCluster => DescribeClusterRequest::default().encode(out, v),
    };
    encoded.map_err(|error| error.to_string())
}

fn produce() -> ProduceRequest {
    let partition = produce_request::PartitionProduceData::default().with_index(3).with_records(Some(Bytes::from_static(b"batch")));
    let topic = produce_request::TopicProduceData::default().with_name(text("t").into()).with_partition_data(vec![partition; 2]);
    ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic; 2])
}

fn fetch(v: i16) -> FetchRequest {
    let partition = fetch_request::FetchPartition::default().with_partition(1).with_fetch_offset(9).with_partition_max_bytes(100);
    let topic = fetch_request::FetchTopic::default().with_topic(text("t").into()).with_partitions(vec![partition; 2]);
    let mut request = FetchRequest::default().with_topics(vec![topic; 2]);
    if v >= 7 {
        let forgotten = fetch_request::ForgottenTopic::default().with_topic(text("u").into()).with_partitions(vec![1, 2]);
        request.forgotten_topics_data = vec![forgotten];
    }
    request
}

fn list_offsets() -> ListOffsetsRequest {
    let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1);
    let topic = list_offsets_request::ListOffsetsTopic::default().with_name(text("t").into()).with_partitions(vec![partition; 2]);
    ListOffsetsRequest::default().with_topics(vec![topic])
}

fn metadata() -> MetadataRequest {
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(text("t").into()));
    MetadataRequest::default().with_topics(Some(vec![topic; 3]))
}

fn offset_commit() -> OffsetCommitRequest {
    let partition = offset_commit_request::OffsetCommitRequestPartition::default().with_committed_metadata(Some(text("m")));
    let topic = offset_commit_request::OffsetCommitRequestTopic::default().with_name(text("t").into()).with_partitions(vec![partition]);
    OffsetCommitRequest::default().with_group_id(text("g").into()).with_topics(vec![topic; 2])
}

fn old_offset_fetch() -> OffsetFetchRequest {
    let topic = offset_fetch_request::OffsetFetchRequestTopic::default().with_name(text("t").into()).with_partition_indexes(vec![0, 1]);
    OffsetFetchRequest::default().with_group_id(text("g").into()).with_topics(Some(vec![topic]))
}

fn offset_fetch() -> OffsetFetchRequest {
    let topic = offset_fetch_request::OffsetFetchRequestTopics::default().with_name(text("t").into()).with_partition_indexes(vec![0]);
    let group = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(text("g").into()).with_topics(Some(vec![topic]));
    OffsetFetchRequest::default().with_groups(vec![group; 2])
}

fn old_find_coordinator() -> FindCoordinatorRequest {
    FindCoordinatorRequest::default().with_key(text("g"))
}

fn find_coordinator() -> FindCoordinatorRequest {
    FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g"), text("h")])
}

fn join_group() -> JoinGroupRequest {
    let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"m"));
    JoinGroupRequest::default().with_group_id(text("g").into()).with_protocols(vec![protocol; 2])
}

fn heartbeat() -> HeartbeatRequest {
    HeartbeatRequest::default().with_group_id(text("g").into())
}

fn old_leave_group() -> LeaveGroupRequest {
    LeaveGroupRequest::default().with_group_id(text("g").into()).with_member_id(text("m"))
}

fn leave_group() -> LeaveGroupRequest {
    let member = leave_group_request::MemberIdentity::default().with_member_id(text("m"));
    LeaveGroupRequest::default().with_group_id(text("g").into()).with_members(vec![member; 2])
}

fn sync_group() -> SyncGroupRequest {
    let assignment =
        sync_group_request::SyncGroupRequestAssignment::default().with_member_id(text("m")).with_assignment(Bytes::from_static(b"a"));
    SyncGroupRequest::default().with_group_id(text("g").into()).with_assignments(vec![assignment])
}

fn describe_groups() -> DescribeGroupsRequest {
    DescribeGroupsRequest::default().with_groups(vec![text("g").into(), text("h").into()])
}

fn list_groups() -> ListGroupsRequest {
    ListGroupsRequest::default().with_states_filter(vec![text("Stable")])
}

fn sasl_handshake() -> SaslHandshakeRequest {
    SaslHandshakeRequest::default().with_mechanism(text("PLAIN"))
}

fn create_topics() -> CreateTopicsRequest {
    let assignment = create_topics_request::CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(0); 2]);
    let config = create_topics_request::CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(Some(text("1")));
    let topic = create_topics_request::CreatableTopic::default().with_name(text("t").into());
    let topic = topic.with_assignments(vec![assignment]).with_configs(vec![config; 2]);
    CreateTopicsRequest::default().with_topics(vec![topic; 2])
}

fn old_delete_topics() -> DeleteTopicsRequest {
    DeleteTopicsRequest::default().with_topic_names(vec![text("t").into(), text("u").into()])
}

fn delete_topics() -> DeleteTopicsRequest {
    let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(text("t").into()));
    DeleteTopicsRequest::default().with_topics(vec![topic; 2])
}

fn delete_records() -> DeleteRecordsRequest {
    let partition = delete_records_request::DeleteRecordsPartition::default();
    let topic = delete_records_request::DeleteRecordsTopic::default().with_name(text("t").into()).with_partitions(vec![partition; 2]);
    DeleteRecordsRequest::default().with_topics(vec![topic])
}

fn offset_for_leader_epoch() -> OffsetForLeaderEpochRequest {
    let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
    let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default().with_topic(text("t").into());
    OffsetForLeaderEpochRequest::default().with_topics(vec![topic.with_partitions(vec![partition; 2])])
}

fn describe_configs() -> DescribeConfigsRequest {
    let resource = describe_configs_request::DescribeConfigsResource::default().with_resource_name(text("t"));
    let resource = resource.with_configuration_keys(Some(vec![text("retention.ms"); 2]));
    DescribeConfigsRequest::default().with_resources(vec![resource; 2])
}

fn alter_configs() -> AlterConfigsRequest {
    let config = alter_configs_request::AlterableConfig::default().with_name(text("k")).with_value(Some(text("v")));
    let resource = alter_configs_request::AlterConfigsResource::default().with_configs(vec![config; 2]);
    AlterConfigsRequest::default().with_resources(vec![resource])
}

fn sasl_authenticate() -> SaslAuthenticateRequest {
    SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0u\0p"))
}

fn create_partitions() -> CreatePartitionsRequest {
    let assignment = create_partitions_request::CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(0)]);
    let topic = create_partitions_request::CreatePartitionsTopic::default().with_name(text("t").into());
    CreatePartitionsRequest::default().with_topics(vec![topic.with_assignments(Some(vec![assignment; 2]))])
}

fn delete_groups() -> DeleteGroupsRequest {
    DeleteGroupsRequest::default().with_groups_names(vec![text("g").into(); 2])
}

fn incremental_alter_configs() -> IncrementalAlterConfigsRequest {
    let config = incremental_alter_configs_request::AlterableConfig::default().with_name(text("k")).with_value(Some(text("v")));
    let resource = incremental_alter_configs_request::AlterConfigsResource::default().with_configs(vec![config; 2]);
    IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
}

fn offset_delete() -> OffsetDeleteRequest {
    let partition = offset_delete_request::OffsetDeleteRequestPartition::default();
    let topic = offset_delete_request::OffsetDeleteRequestTopic::default().with_name(text("t").into()).with_partitions(vec![partition; 2]);
    OffsetDeleteRequest::default().with_group_id(text("g").into()).with_topics(vec![topic])
}
