//! Events from producers, as they were sent.
//!
//! [`stage`] checks each partition's batch and gives it its place in the log; the tickets are
//! awaited by [`Staged::settled`], while the connection stages what comes next.

use bytes::Bytes;
use event_log::{Batch, LogFailed, Origin, StageError, Ticket, WireBatchError, WireLimits};
use kafka_proto::wire::{self, RequestHeader};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use model::{EventHubId, EventHubRights, PartitionId};
use thiserror::Error;
use tokio::time::Instant;
use twins::EventHub;

use super::connection::Ending;
use super::reason::{self, TopicRefused};
use super::session::Session;
use crate::observe::{Metrics, Protocol};

/// What compressed records may hold: 32 MiB, and no more than 64 times what was sent.
const EXPANDED_BYTES_MAX: usize = 32 * 1024 * 1024;
const EXPANSION_MAX: usize = 64;
/// Where a batch says how it is compressed: the low byte of its attributes, and the bits in it.
const ATTRIBUTES_AT: usize = 22;
const CODEC_BITS: u8 = 7;

/// Why a partition's events are not taken. Nothing of them is stored.
#[derive(Debug, Error)]
pub(super) enum ProduceRefused {
    /// Neither none, one nor all replicas.
    #[error("acks is -1, 0 or 1, not {0}")]
    Acks(i16),
    /// A transaction.
    #[error("there are no transactions here")]
    Transactional,
    /// The topic.
    #[error(transparent)]
    Topic(#[from] TopicRefused),
    /// The topic has fewer partitions.
    #[error("the event hub has no such partition")]
    Partition,
    /// Nothing to store.
    #[error("no record batch for this partition")]
    NoBatch,
    /// The batch is not what it says.
    #[error(transparent)]
    Batch(#[from] WireBatchError),
    /// The log has no place for it.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The log takes nothing.
    #[error(transparent)]
    Log(#[from] LogFailed),
    /// Checking it met a defect of ours.
    #[error("checking the record batch failed")]
    Panicked,
}

/// A produce request whose batches have their places, or were refused.
#[derive(Debug)]
pub(super) struct Staged {
    is_acknowledged: bool,
    topics: Vec<(TopicName, Vec<Part>)>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Part {
    index: i32,
    /// The oldest event stored in the partition.
    log_start: i64,
    outcome: Result<Placed, ProduceRefused>,
}

#[derive(Debug)]
struct Placed {
    ticket: Ticket,
    count: u32,
    since: Instant,
}

/// Stages a request's batches in their order.
pub(super) async fn stage(session: &Session, header: &RequestHeader, request: ProduceRequest) -> Staged {
    let whole = check_request(&request);
    let mut staged = Staged { is_acknowledged: request.acks != 0, topics: Vec::new(), metrics: session.hub.metrics.clone() };
    for TopicProduceData { name, partition_data, .. } in request.topic_data {
        let topic = session.topic(&name, EventHubRights::SEND);
        let mut parts = Vec::with_capacity(partition_data.len());
        for PartitionProduceData { index, records, .. } in partition_data {
            let (outcome, log_start) = match (&whole, &topic) {
                (Some(refused), _) => (Err(refused()), -1),
                (None, Err(refused)) => (Err((*refused).into()), -1),
                (None, Ok(hub)) => (stage_partition(session, hub, index, records).await, log_start(session, hub.id, index)),
            };
            if let Err(refused) = &outcome {
                tracing::debug!(peer = %session.peer, client = header.client_id.as_deref(), topic = %name.as_str(), index, reason = %refused, "refused events");
            }
            parts.push(Part { index, log_start, outcome });
        }
        staged.topics.push((name, parts));
    }
    staged
}

/// What is wrong with all of it.
fn check_request(request: &ProduceRequest) -> Option<Box<dyn Fn() -> ProduceRefused + Send>> {
    let acks = request.acks;
    if !(-1..=1).contains(&acks) {
        return Some(Box::new(move || ProduceRefused::Acks(acks)));
    }
    if request.transactional_id.is_some() {
        return Some(Box::new(|| ProduceRefused::Transactional));
    }
    None
}

async fn stage_partition(session: &Session, hub: &EventHub, index: i32, records: Option<Bytes>) -> Result<Placed, ProduceRefused> {
    let partition = partition_of(hub, index).ok_or(ProduceRefused::Partition)?;
    let records = records.filter(|records| !records.is_empty()).ok_or(ProduceRefused::NoBatch)?;
    let bytes = records.len();
    let batch = checked(session, hub, records).await?;
    let permit = session.hub.log.reserve(batch.staged_bytes()).await?;
    let count = batch.count();
    let ticket = session.hub.log.stage(permit, hub.id, partition, batch, Origin::Kafka)?;
    session.hub.metrics.batch_received(Protocol::Kafka, count, bytes);
    Ok(Placed { ticket, count, since: Instant::now() })
}

/// The batch, if all of it is true. To look into compressed records takes long, so that is done
/// beside the runtime and by few at once.
async fn checked(session: &Session, hub: &EventHub, records: Bytes) -> Result<Batch, ProduceRefused> {
    let limits = WireLimits {
        batch_bytes_max: hub.message_bytes_max as usize,
        expanded_bytes_max: EXPANDED_BYTES_MAX,
        expansion_max: EXPANSION_MAX,
    };
    let is_compressed = records.get(ATTRIBUTES_AT).is_some_and(|attributes| attributes & CODEC_BITS != 0);
    if !is_compressed || records.len() > limits.batch_bytes_max {
        return Ok(Batch::from_wire(records, &limits)?);
    }
    let _turn = session.hub.kafka.expansion().await;
    let checking = tokio::task::spawn_blocking(move || Batch::from_wire(records, &limits));
    Ok(checking.await.map_err(|_| ProduceRefused::Panicked)??)
}

/// The partition of this number, if the event hub has it.
pub(super) fn partition_of(hub: &EventHub, index: i32) -> Option<PartitionId> {
    u32::try_from(index).ok().filter(|index| *index < hub.partitions.get()).map(PartitionId)
}

fn log_start(session: &Session, hub: EventHubId, index: i32) -> i64 {
    let partition = u32::try_from(index).ok().map(PartitionId);
    let properties = partition.and_then(|partition| session.hub.log.partition(hub, partition).ok());
    properties.map_or(-1, |properties| properties.first.0)
}

impl Staged {
    /// The frame that answers the request, once everything taken is durable. Empty for a producer
    /// that wants no answer.
    ///
    /// # Errors
    /// [`Ending::Unacknowledged`] when such a one cannot be told otherwise.
    pub(super) async fn settled(self, header: &RequestHeader) -> Result<Vec<Bytes>, Ending> {
        if !self.is_acknowledged {
            let refused = self.topics.into_iter().flat_map(|(_, parts)| parts).find_map(|part| part.outcome.err());
            self.metrics.kafka_answered(header.api.name(), refused.as_ref().map_or(reason::NONE, reason::produce));
            return refused.map_or(Ok(Vec::new()), |refused| Err(Ending::Unacknowledged(refused.to_string())));
        }
        let mut responses = Vec::with_capacity(self.topics.len());
        for (name, parts) in self.topics {
            let mut partitions = Vec::with_capacity(parts.len());
            for part in parts {
                let response = part.settled(header.version, &self.metrics).await;
                self.metrics.kafka_answered(header.api.name(), response.error_code);
                partitions.push(response);
            }
            responses.push(TopicProduceResponse::default().with_name(name).with_partition_responses(partitions));
        }
        Ok(vec![wire::response(header, &ProduceResponse::default().with_responses(responses))?])
    }
}

impl Part {
    async fn settled(self, version: i16, metrics: &Metrics) -> PartitionProduceResponse {
        let outcome = match self.outcome {
            Ok(Placed { ticket, count, since }) => match ticket.await {
                Ok(durable) => {
                    metrics.acknowledgement_took(Protocol::Kafka, since.elapsed());
                    Ok((durable.first(), count))
                }
                Err(failed) => Err(ProduceRefused::Log(failed)),
            },
            Err(refused) => Err(refused),
        };
        let mut response = PartitionProduceResponse::default().with_index(self.index).with_base_offset(-1).with_log_append_time_ms(-1);
        match outcome {
            Ok((first, count)) => {
                metrics.message_acknowledged(Protocol::Kafka, count.into());
                response.base_offset = first.0;
                if version >= 5 {
                    response.log_start_offset = self.log_start;
                }
            }
            Err(refused) => {
                response.error_code = reason::produce(&refused);
                if version >= 8 {
                    response.error_message = Some(StrBytes::from_string(refused.to_string()));
                }
            }
        }
        response
    }
}
