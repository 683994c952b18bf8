//! Events sent to an event hub by an application: one JSON object a line. Ours.
//!
//! All lines are read and checked before anything is stored; the answer says where each event
//! lies, once all of them are on disk. Should the log fail in between, some may be stored: delivery
//! is at least once, as everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event_log::{Batch, BatchBuilder, Origin, Record};
use model::api::{ErrorCode, EventBody, EventPlace, EventRequest, EventsSent};
use model::limits::{MESSAGE_ID_BYTES_MAX, SEND_BODY_BYTES_MAX};
use model::{MessageProperties, PartitionId, SequenceNumber, SystemProperties, Timestamp};
use twins::EventHub;

use super::event_hubs::named;
use crate::event_codec::EncodedProperties;
use crate::https::{Answer, Payload, Refusal, Reply, RequestPath};
use crate::hub::Hub;

/// Bytes after which a batch is closed: it stays far below a commit group, and a reader of one
/// event need not take a large batch for it.
const BATCH_BYTES: usize = 256 * 1024;

pub(super) async fn send(
    Extension(hub): Extension<Arc<Hub>>,
    Extension(path): Extension<RequestPath>,
    Payload(body): Payload<SEND_BODY_BYTES_MAX>,
) -> Answer {
    let event_hub = named(&hub, &path)?;
    let events = read(&body, &event_hub)?;
    let places = append(&hub, &event_hub, &events).await?;
    Reply::OK.json(&EventsSent { events: places })
}

/// An event that may be stored as it is.
struct ReadyEvent {
    partition: Option<PartitionId>,
    key: Option<String>,
    properties: EncodedProperties,
    body: Vec<u8>,
}

fn read(body: &Bytes, event_hub: &EventHub) -> Result<Vec<ReadyEvent>, Refusal> {
    let lines = body.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let events =
        lines.map(|(index, line)| ready(line, event_hub).map_err(|(code, text)| Refusal::new(code, format!("line {}: {text}", index + 1))));
    let events: Vec<_> = events.collect::<Result<_, _>>()?;
    if events.is_empty() {
        return Err(Refusal::new(ErrorCode::ArgumentInvalid, "there is no event in the body; each is a JSON object on a line of its own"));
    }
    Ok(events)
}

fn ready(line: &[u8], event_hub: &EventHub) -> Result<ReadyEvent, (ErrorCode, String)> {
    let event: EventRequest = serde_json::from_slice(line).map_err(|error| (ErrorCode::IotHubFormatError, error.to_string()))?;
    if let Some(partition) = event.partition.filter(|partition| partition.0 >= event_hub.partitions.get()) {
        let text =
            format!("the event hub {} has {} partitions, counted from 0, and no {partition}", event_hub.name, event_hub.partitions.get());
        return Err((ErrorCode::ArgumentInvalid, text));
    }
    for (name, id) in [("messageId", &event.message_id), ("correlationId", &event.correlation_id)] {
        if id.as_ref().is_some_and(|id| id.len() > MESSAGE_ID_BYTES_MAX) {
            return Err((ErrorCode::ArgumentInvalid, format!("{name} may have at most {MESSAGE_ID_BYTES_MAX} bytes")));
        }
    }
    let body = match event.body {
        EventBody::Text(text) => text.into_bytes(),
        EventBody::Base64(text) => {
            STANDARD.decode(text).map_err(|_| (ErrorCode::ArgumentInvalid, "bodyBase64 is not base64".to_owned()))?
        }
    };
    let properties = EncodedProperties::new(&MessageProperties {
        system: SystemProperties {
            message_id: event.message_id,
            correlation_id: event.correlation_id,
            content_type: event.content_type,
            content_encoding: event.content_encoding,
            ..SystemProperties::default()
        },
        application: event.properties.into_iter().collect(),
    });
    let size = body.len() + properties.counted_bytes + event.key.as_ref().map_or(0, String::len);
    if size > event_hub.message_bytes_max as usize {
        let text = format!(
            "an event of the event hub {} may have at most {} bytes, this one has {size} with key and properties",
            event_hub.name, event_hub.message_bytes_max
        );
        return Err((ErrorCode::MessageTooLarge, text));
    }
    Ok(ReadyEvent { partition: event.partition, key: event.key, properties, body })
}

/// Stores `events` and gives the place of each.
async fn append(hub: &Hub, event_hub: &EventHub, events: &[ReadyEvent]) -> Result<Vec<EventPlace>, Refusal> {
    let mut staged = Vec::new();
    for (partition, events) in shared_out(hub, event_hub, events) {
        for (batch, indexes) in batches(&events, hub.clock.now()) {
            let permit = hub.log.reserve(batch.staged_bytes()).await?;
            let ticket = hub.log.stage(permit, event_hub.id, partition, batch, Origin::Https)?;
            staged.push((ticket, partition, indexes));
        }
    }
    let mut places = vec![None; events.len()];
    for (ticket, partition, indexes) in staged {
        let first = ticket.await?.first();
        for (sequence, index) in (first.0..).map(SequenceNumber).zip(indexes) {
            if let Some(place) = places.get_mut(index) {
                *place = Some(EventPlace { partition, sequence });
            }
        }
    }
    Ok(places.into_iter().flatten().collect())
}

/// An event and which of the request's it is.
type Numbered<'a> = (usize, &'a ReadyEvent);

/// The events of each partition in their order. Those that name neither partition nor key stay
/// together, in the partition whose turn it is.
fn shared_out<'a>(hub: &Hub, event_hub: &EventHub, events: &'a [ReadyEvent]) -> BTreeMap<PartitionId, Vec<Numbered<'a>>> {
    let mut turn = None;
    let mut of_partitions: BTreeMap<PartitionId, Vec<Numbered<'a>>> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        let partition = match (event.partition, &event.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => event_hub.partitions.partition_of_key(key.as_bytes()),
            (None, None) => *turn.get_or_insert_with(|| hub.event_hubs.next_partition(event_hub)),
        };
        of_partitions.entry(partition).or_default().push((index, event));
    }
    of_partitions
}

/// The events in as many batches as they take, with their numbers.
fn batches(events: &[Numbered<'_>], now: Timestamp) -> Vec<(Batch, Vec<usize>)> {
    let mut builder = BatchBuilder::new(now);
    let mut held = Vec::new();
    let mut made = Vec::new();
    for (index, event) in events {
        builder.push(Record {
            timestamp: now,
            key: event.key.as_ref().map(String::as_bytes),
            value: Some(&event.body),
            headers: &[&event.properties.headers],
        });
        held.push(*index);
        if builder.bytes() >= BATCH_BYTES {
            made.push((builder.finish(), std::mem::take(&mut held)));
        }
    }
    if !builder.is_empty() {
        made.push((builder.finish(), held));
    }
    made
}
