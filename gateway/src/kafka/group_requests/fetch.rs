//! OffsetFetch: what a group has committed.

use std::collections::{BTreeMap, HashSet};

use kafka_proto::group::GroupId;
use kafka_proto::wire::RequestHeader;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use model::{EventHubRights, PartitionId};

use super::{named, text};
use crate::groups::Committed;
use crate::kafka::reason::{NONE, TopicRefused};
use crate::kafka::session::Session;

/// A group has committed nothing.
const NO_OFFSET: i64 = -1;
const NO_EPOCH: i32 = -1;

/// Partitions of a topic, by name, as a request asks for them.
type Asked<'a> = Vec<(&'a TopicName, &'a [i32])>;
/// What is found in them.
type Found = Vec<(TopicName, Vec<Partition>)>;

struct Partition {
    index: i32,
    outcome: Result<Option<Committed>, i16>,
}

/// Version 8 asks for several groups at once, those before for one.
pub(in crate::kafka) fn fetch(session: &Session, header: &RequestHeader, request: &OffsetFetchRequest) -> OffsetFetchResponse {
    if header.version >= 8 {
        let group = |group: &OffsetFetchRequestGroup| {
            let asked = group.topics.as_ref().map(|topics| topics.iter().map(|topic| (&topic.name, &*topic.partition_indexes)).collect());
            let response = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
            match named(session, &group.group_id, EventHubRights::LISTEN) {
                Ok(id) => response.with_topics(found(session, &id, asked).into_iter().map(topic_of_several).collect()),
                Err(code) => response.with_error_code(code),
            }
        };
        // Each once, however often it is named: a few bytes ask for all its offsets.
        let mut seen = HashSet::new();
        let groups = request.groups.iter().filter(|group| seen.insert(&group.group_id));
        return OffsetFetchResponse::default().with_groups(groups.map(group).collect());
    }
    let asked = request.topics.as_ref().map(|topics| topics.iter().map(|topic| (&topic.name, &*topic.partition_indexes)).collect());
    let topic = |found| topic_of_one(header, found);
    match named(session, &request.group_id, EventHubRights::LISTEN) {
        Ok(id) => OffsetFetchResponse::default().with_topics(found(session, &id, asked).into_iter().map(topic).collect()),
        // Version 1 has codes for partitions only.
        Err(code) if header.version == 1 => {
            OffsetFetchResponse::default().with_topics(refused(asked.unwrap_or_default(), code).into_iter().map(topic).collect())
        }
        Err(code) => OffsetFetchResponse::default().with_error_code(code),
    }
}

fn found(session: &Session, group: &GroupId, asked: Option<Asked<'_>>) -> Found {
    let Some(asked) = asked else { return all(session, group) };
    let mut seen = HashSet::new();
    let topic = |(name, indexes)| {
        let (name, indexes): (&TopicName, &[i32]) = (name, indexes);
        let hub = session.topic(name, EventHubRights::LISTEN);
        let outcome = |index: i32| match &hub {
            Ok(hub) => Ok(u32::try_from(index).ok().and_then(|index| session.hub.groups.offset(group, hub.id, PartitionId(index)))),
            Err(TopicRefused::Unknown) => Ok(None),
            Err(refused @ TopicRefused::Unauthorized { .. }) => Err(refused.code()),
        };
        let indexes = indexes.iter().filter(|index| seen.insert((name, **index)));
        (name.clone(), indexes.map(|index| Partition { index: *index, outcome: outcome(*index) }).collect())
    };
    asked.into_iter().map(topic).collect()
}

/// Everything the group has committed in event hubs that the peer may listen to.
fn all(session: &Session, group: &GroupId) -> Found {
    let hubs = session.hub.event_hubs.list();
    let mut found: BTreeMap<&str, Vec<Partition>> = BTreeMap::new();
    for (key, committed) in session.hub.groups.offsets(group) {
        let Some(hub) = hubs.iter().find(|hub| hub.id == key.hub) else { continue };
        if session.grant.allows(hub.name.as_str(), EventHubRights::LISTEN) {
            let partition = Partition { index: i32::try_from(key.partition.0).unwrap_or(i32::MAX), outcome: Ok(Some(committed)) };
            found.entry(hub.name.as_str()).or_default().push(partition);
        }
    }
    found.into_iter().map(|(name, partitions)| (TopicName(text(name)), partitions)).collect()
}

fn refused(asked: Asked<'_>, code: i16) -> Found {
    let partitions = |indexes: &[i32]| indexes.iter().map(|index| Partition { index: *index, outcome: Err(code) }).collect();
    asked.into_iter().map(|(name, indexes)| (name.clone(), partitions(indexes))).collect()
}

impl Partition {
    fn code(&self) -> i16 {
        self.outcome.as_ref().err().copied().unwrap_or(NONE)
    }

    /// Offset, leader epoch and note.
    fn position(&self) -> (i64, i32, Option<StrBytes>) {
        match &self.outcome {
            Ok(Some(committed)) => (committed.offset.0, committed.leader_epoch, Some(text(&committed.metadata))),
            Ok(None) | Err(_) => (NO_OFFSET, NO_EPOCH, Some(StrBytes::default())),
        }
    }
}

fn topic_of_several((name, partitions): (TopicName, Vec<Partition>)) -> OffsetFetchResponseTopics {
    let partition = |partition: &Partition| {
        let (offset, epoch, metadata) = partition.position();
        OffsetFetchResponsePartitions::default()
            .with_partition_index(partition.index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(metadata)
            .with_error_code(partition.code())
    };
    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.iter().map(partition).collect())
}

fn topic_of_one(header: &RequestHeader, (name, partitions): (TopicName, Vec<Partition>)) -> OffsetFetchResponseTopic {
    let partition = |partition: &Partition| {
        let (offset, epoch, metadata) = partition.position();
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(if header.version >= 5 { epoch } else { NO_EPOCH })
            .with_metadata(metadata)
            .with_error_code(partition.code())
    };
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.iter().map(partition).collect())
}
