//! OffsetCommit.

use std::collections::BTreeMap;

use kafka_proto::group::{Caller, GroupId};
use kafka_proto::wire::RequestHeader;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use model::{EventHubRights, PartitionId, SequenceNumber};
use twins::EventHub;

use super::{named, reason};
use crate::groups::{NewOffset, OFFSET_METADATA_BYTES_MAX};
use crate::kafka::reason::{NONE, TopicRefused};
use crate::kafka::session::Session;

/// Every partition is judged for itself; those that pass are committed together.
pub(in crate::kafka) async fn commit(session: &Session, header: &RequestHeader, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let mut judged = Vec::new();
    for topic in &request.topics {
        let hub = session.topic(&topic.name, EventHubRights::LISTEN).map_err(TopicRefused::code);
        let judge = |partition| hub.as_deref().map_err(|code| *code).and_then(|hub| admitted(header, hub, partition));
        judged.push(topic.partitions.iter().map(judge).collect::<Vec<_>>());
    }
    let group = match named(session, &request.group_id, EventHubRights::LISTEN) {
        Ok(group) => group,
        Err(code) => return answered(&request, &judged, code),
    };
    // Of a partition that is named several times the last counts.
    let offsets = judged.iter().flatten().filter_map(|offset| offset.clone().ok());
    let offsets: BTreeMap<_, _> = offsets.map(|offset| ((offset.hub, offset.partition), offset)).collect();
    let code = store(session, &group, &request, offsets.into_values().collect()).await;
    answered(&request, &judged, code)
}

async fn store(session: &Session, group: &GroupId, request: &OffsetCommitRequest, offsets: Vec<NewOffset>) -> i16 {
    let caller = Caller {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
    };
    match session.hub.groups.commit(group, &caller, offsets).await {
        Ok(()) => NONE,
        Err(error) => {
            tracing::debug!(%group, member = caller.member_id, %error, "offsets were not committed");
            reason::commit(&error)
        }
    }
}

fn admitted(header: &RequestHeader, hub: &EventHub, partition: &OffsetCommitRequestPartition) -> Result<NewOffset, i16> {
    let index = u32::try_from(partition.partition_index).ok().filter(|index| *index < hub.partitions.get());
    let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
    if metadata.len() > OFFSET_METADATA_BYTES_MAX {
        return Err(reason::OFFSET_METADATA_TOO_LARGE);
    }
    Ok(NewOffset {
        hub: hub.id,
        partition: PartitionId(index.ok_or(reason::UNKNOWN_TOPIC_OR_PARTITION)?),
        offset: SequenceNumber(partition.committed_offset),
        leader_epoch: if header.version >= 6 { partition.committed_leader_epoch } else { -1 },
        metadata: metadata.into(),
    })
}

/// `code` is what became of the partitions that passed.
fn answered(request: &OffsetCommitRequest, judged: &[Vec<Result<NewOffset, i16>>], code: i16) -> OffsetCommitResponse {
    let partition = |(partition, judged): (&OffsetCommitRequestPartition, &Result<NewOffset, i16>)| {
        let code = judged.as_ref().err().copied().unwrap_or(code);
        OffsetCommitResponsePartition::default().with_partition_index(partition.partition_index).with_error_code(code)
    };
    let topics = request.topics.iter().zip(judged).map(|(topic, judged)| {
        let partitions = topic.partitions.iter().zip(judged).map(partition).collect();
        OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
