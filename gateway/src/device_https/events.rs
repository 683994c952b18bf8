//! Messages of a device or module: the same way as over MQTT, and 204 once the disk has them.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use event_log::AppendPermit;
use model::limits::TELEMETRY_BYTES_MAX;
use model::{MessageProperties, Timestamp};

use super::admission::Admitted;
use super::batch::{self, BatchedMessage};
use super::message_headers::PropertiesOfHeaders;
use super::reason;
use crate::https::{Answer, Payload, Refusal, Reply};
use crate::observe::Protocol;
use crate::telemetry::TelemetrySender;

/// How long a request waits for room among what is on its way to the disk.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes one message, or all those of a batch.
pub(super) async fn send(
    admitted: Admitted,
    PropertiesOfHeaders(properties): PropertiesOfHeaders,
    headers: HeaderMap,
    Payload(body): Payload<TELEMETRY_BYTES_MAX>,
) -> Answer {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let messages = if batch::is_batch(content_type) {
        Messages::Batch(batch::read(&body).map_err(|invalid| reason::batch_refused(&invalid))?)
    } else {
        Messages::One(Box::new(properties), body)
    };
    let mut sender = admitted.sender();
    let count = messages.admit(&mut sender, &admitted, admitted.hub.clock.now())?;
    let batch = sender.take_batch();
    store(&batch, &sender, &admitted, count).await?;
    admitted.keep(sender);
    Ok(Reply::no_content())
}

enum Messages {
    One(Box<MessageProperties>, Bytes),
    Batch(Vec<BatchedMessage>),
}

impl Messages {
    /// Adds each to the sender's batch, and says how many they are. When one is refused the sender
    /// is not to be used again, so that none of them goes.
    fn admit(&self, sender: &mut TelemetrySender, admitted: &Admitted, received: Timestamp) -> Result<u64, Refusal> {
        let mut admit = |properties: &MessageProperties, body: &[u8]| {
            sender.admit_with(received, properties, body).map_err(|refused| {
                admitted.hub.metrics.message_refused("invalid_message");
                reason::message_refused(&refused)
            })?;
            admitted.hub.metrics.message_received(Protocol::Https, body.len());
            Ok(1)
        };
        match self {
            Self::One(properties, body) => admit(properties, body),
            Self::Batch(messages) => messages.iter().map(|message| admit(&message.properties, &message.body)).sum(),
        }
    }
}

/// Waits until `batch` is on disk.
async fn store(batch: &event_log::Batch, sender: &TelemetrySender, admitted: &Admitted, count: u64) -> Result<(), Refusal> {
    let permit = room(sender, sender.staged_bytes(batch)).await?;
    let staged = Instant::now();
    if let Some(ticket) = sender.append(permit, batch)? {
        ticket.await?;
    }
    let metrics = &admitted.hub.metrics;
    metrics.message_acknowledged(Protocol::Https, count);
    metrics.acknowledgement_took(Protocol::Https, staged.elapsed());
    Ok(())
}

async fn room(sender: &TelemetrySender, bytes: usize) -> Result<AppendPermit, Refusal> {
    match tokio::time::timeout(ROOM_TIMEOUT, sender.log().reserve(bytes)).await {
        Ok(permit) => Ok(permit?),
        Err(_) => Err(reason::no_room()),
    }
}
