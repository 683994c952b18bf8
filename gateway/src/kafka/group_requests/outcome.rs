//! Which code an answer about groups counts under.

use kafka_protocol::messages::{
    DeleteGroupsResponse, DescribeGroupsResponse, FindCoordinatorResponse, HeartbeatResponse, InitProducerIdResponse, JoinGroupResponse,
    LeaveGroupResponse, ListGroupsResponse, OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse, SyncGroupResponse,
};

use crate::kafka::outcome::{Outcome, first};

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
