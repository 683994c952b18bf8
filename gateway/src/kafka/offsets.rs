//! Offsets by time, and by epoch of leadership.

use std::collections::HashSet;

use event_log::{ReadError, TimestampedOffset};
use kafka_proto::wire::RequestHeader;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use model::{EventHubRights, PartitionId, Timestamp};
use twins::EventHub;

use super::metadata::LEADER_EPOCH;
use super::produce::partition_of;
use super::reason::{self, TopicRefused};
use super::session::Session;

/// Behind the last event.
const LATEST: i64 = -1;
/// The oldest event, and the oldest on the broker's own disk, which is the same here.
const EARLIEST: i64 = -2;
const EARLIEST_LOCAL: i64 = -4;
/// The event with the newest timestamp.
const NEWEST_TIMESTAMP: i64 = -3;
/// No such event, no timestamp.
const NO_OFFSET: i64 = -1;

/// Finds offsets: the ends, or the first event of a time or later, by the records' timestamps.
pub(super) async fn list_offsets(session: &Session, header: &RequestHeader, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut seen = HashSet::new();
    for ListOffsetsTopic { name, partitions, .. } in request.topics {
        let hub = session.topic(&name, EventHubRights::LISTEN);
        let mut responses = Vec::with_capacity(partitions.len());
        for asked in partitions {
            let found = match &hub {
                // A search may read a lot, and a request has room for very many.
                Ok(_) if !seen.insert((name.clone(), asked.partition_index)) => Err(reason::INVALID_REQUEST),
                Ok(hub) => find(session, header, hub, &asked).await,
                Err(refused) => Err(refused.code()),
            };
            responses.push(listed(header, asked.partition_index, found));
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(name).with_partitions(responses));
    }
    ListOffsetsResponse::default().with_topics(topics)
}

/// An offset and a timestamp.
type Found = (i64, i64);

async fn find(session: &Session, header: &RequestHeader, hub: &EventHub, asked: &ListOffsetsPartition) -> Result<Found, i16> {
    let partition = partition_of(hub, asked.partition_index).ok_or(TopicRefused::Unknown.code())?;
    if header.version >= 4 && asked.current_leader_epoch > LEADER_EPOCH {
        return Err(reason::UNKNOWN_LEADER_EPOCH);
    }
    let properties = session.hub.log.partition(hub.id, partition).map_err(|_| TopicRefused::Unknown.code())?;
    match asked.timestamp {
        LATEST => Ok((properties.next.0, NO_OFFSET)),
        EARLIEST | EARLIEST_LOCAL => Ok((properties.first.0, NO_OFFSET)),
        timestamp => search(session, hub, partition, timestamp).await,
    }
}

/// Looks into stored events, which may lie on disk.
async fn search(session: &Session, hub: &EventHub, partition: PartitionId, timestamp: i64) -> Result<Found, i16> {
    let (log, hub) = (session.hub.log.clone(), hub.id);
    let search = move || match timestamp {
        NEWEST_TIMESTAMP => log.max_timestamp(hub, partition),
        _ => log.offset_for_timestamp(hub, partition, Timestamp::from_milliseconds(timestamp)),
    };
    let found: Result<Option<TimestampedOffset>, ReadError> =
        tokio::task::spawn_blocking(search).await.map_err(|_| reason::UNKNOWN_SERVER_ERROR)?;
    let found = found.map_err(|error| reason::read(&error))?;
    Ok(found.map_or((NO_OFFSET, NO_OFFSET), |found| (found.sequence.0, found.timestamp.as_milliseconds())))
}

fn listed(header: &RequestHeader, index: i32, found: Result<Found, i16>) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(index);
    let Ok((offset, timestamp)) = found else {
        return response.with_offset(NO_OFFSET).with_timestamp(NO_OFFSET).with_error_code(found.err().unwrap_or_default());
    };
    let response = response.with_offset(offset).with_timestamp(timestamp);
    if header.version >= 4 { response.with_leader_epoch(LEADER_EPOCH) } else { response }
}

/// There is one epoch, and it ends where the partition does.
pub(super) fn offset_for_leader_epoch(session: &Session, request: &OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let topic = |OffsetForLeaderTopic { topic, partitions, .. }: &OffsetForLeaderTopic| {
        let hub = session.topic(topic, EventHubRights::LISTEN);
        let partitions = partitions.iter().map(|asked| {
            let end = hub.as_deref().map_err(|refused| refused.code()).and_then(|hub| epoch_end(session, hub, asked));
            ended(asked.partition, end)
        });
        OffsetForLeaderTopicResult::default().with_topic(topic.clone()).with_partitions(partitions.collect())
    };
    OffsetForLeaderEpochResponse::default().with_topics(request.topics.iter().map(topic).collect())
}

fn epoch_end(session: &Session, hub: &EventHub, asked: &OffsetForLeaderPartition) -> Result<(i32, i64), i16> {
    let partition = partition_of(hub, asked.partition).ok_or(TopicRefused::Unknown.code())?;
    if asked.current_leader_epoch > LEADER_EPOCH {
        return Err(reason::UNKNOWN_LEADER_EPOCH);
    }
    if asked.leader_epoch != LEADER_EPOCH {
        return Ok((-1, NO_OFFSET));
    }
    let properties = session.hub.log.partition(hub.id, partition).map_err(|_| TopicRefused::Unknown.code())?;
    Ok((LEADER_EPOCH, properties.next.0))
}

fn ended(partition: i32, end: Result<(i32, i64), i16>) -> EpochEndOffset {
    let response = EpochEndOffset::default().with_partition(partition);
    match end {
        Ok((epoch, offset)) => response.with_leader_epoch(epoch).with_end_offset(offset),
        Err(code) => response.with_error_code(code),
    }
}
