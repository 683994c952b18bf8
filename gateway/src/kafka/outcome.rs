//! Whether an answer tells of an error, for metrics: the first code in it.

use kafka_protocol::messages::{
    AlterConfigsResponse, ApiVersionsResponse, CreatePartitionsResponse, CreateTopicsResponse, DeleteGroupsResponse, DeleteRecordsResponse,
    DeleteTopicsResponse, DescribeClusterResponse, DescribeConfigsResponse, DescribeGroupsResponse, FindCoordinatorResponse,
    HeartbeatResponse, IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse, ListGroupsResponse,
    ListOffsetsResponse, MetadataResponse, OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse,
    SaslAuthenticateResponse, SaslHandshakeResponse, SyncGroupResponse,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use super::reason::NONE;

/// An answer that can be written and counted.
pub(super) trait Outcome: Encodable + HeaderVersion {
    /// The first code that is an error, or 0.
    fn error_code(&self) -> i16;
}

fn first(codes: impl Iterator<Item = i16>) -> i16 {
    codes.into_iter().find(|code| *code != NONE).unwrap_or(NONE)
}

macro_rules! outcomes {
    ($($response:ident: |$this:ident| $codes:expr;)+) => {
        $(impl Outcome for $response {
            fn error_code(&self) -> i16 {
                let $this = self;
                first($codes)
            }
        })+
    };
}

outcomes! {
    ApiVersionsResponse: |this| std::iter::once(this.error_code);
    SaslHandshakeResponse: |this| std::iter::once(this.error_code);
    SaslAuthenticateResponse: |this| std::iter::once(this.error_code);
    DescribeClusterResponse: |this| std::iter::once(this.error_code);
    MetadataResponse: |this| this.topics.iter().map(|topic| topic.error_code);
    ListOffsetsResponse: |this| this.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
    OffsetForLeaderEpochResponse: |this| this.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
    CreateTopicsResponse: |this| this.topics.iter().map(|topic| topic.error_code);
    DeleteTopicsResponse: |this| this.responses.iter().map(|topic| topic.error_code);
    CreatePartitionsResponse: |this| this.results.iter().map(|topic| topic.error_code);
    DeleteRecordsResponse: |this| this.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
    DescribeConfigsResponse: |this| this.results.iter().map(|resource| resource.error_code);
    AlterConfigsResponse: |this| this.responses.iter().map(|resource| resource.error_code);
    IncrementalAlterConfigsResponse: |this| this.responses.iter().map(|resource| resource.error_code);
    JoinGroupResponse: |this| std::iter::once(this.error_code);
    SyncGroupResponse: |this| std::iter::once(this.error_code);
    HeartbeatResponse: |this| std::iter::once(this.error_code);
    ListGroupsResponse: |this| std::iter::once(this.error_code);
    InitProducerIdResponse: |this| std::iter::once(this.error_code);
    LeaveGroupResponse: |this| std::iter::once(this.error_code).chain(this.members.iter().map(|member| member.error_code));
    FindCoordinatorResponse: |this| std::iter::once(this.error_code).chain(this.coordinators.iter().map(|found| found.error_code));
    OffsetCommitResponse: |this| this.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
    OffsetFetchResponse: |this| {
        let of_one = this.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        let of_several = this.groups.iter().flat_map(|group| {
            let partitions = group.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
            std::iter::once(group.error_code).chain(partitions)
        });
        std::iter::once(this.error_code).chain(of_one).chain(of_several)
    };
    DescribeGroupsResponse: |this| this.groups.iter().map(|group| group.error_code);
    DeleteGroupsResponse: |this| this.results.iter().map(|group| group.error_code);
    OffsetDeleteResponse: |this| {
        std::iter::once(this.error_code).chain(this.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code))
    };
}
