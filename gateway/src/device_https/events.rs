//! Messages of a device or module: the same way as over MQTT, and 204 once the disk has them.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use event_log::AppendPermit;
use model::MessageProperties;
use model::limits::TELEMETRY_BYTES_MAX;

use super::admission::Admitted;
use super::batch;
use super::{message_headers, reason};
use crate::https::{Answer, Refusal, Reply, RequestBody};
use crate::observe::Protocol;
use crate::telemetry::TelemetrySender;

/// How long a request waits for room among what is on its way to the disk.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes one message, or all those of a batch.
pub(super) async fn send(admitted: &Admitted, headers: &HeaderMap, body: impl RequestBody) -> Answer {
    let properties = message_headers::read(headers).map_err(|invalid| reason::header_refused(&invalid))?;
    let body = admitted.received(body, TELEMETRY_BYTES_MAX).await?;
    let mut sender = admitted.sender();
    let count = if is_batch(headers) {
        let messages = batch::read(body.as_ref()).map_err(|invalid| reason::batch_refused(&invalid))?;
        admit(&mut sender, admitted, messages.iter().map(|message| (&message.properties, &*message.body)))?
    } else {
        admit(&mut sender, admitted, [(&properties, body.as_ref())])?
    };
    let batch = sender.take_batch();
    store(&batch, &sender, admitted, count).await?;
    admitted.keep(sender);
    Ok(Reply::no_content())
}

fn is_batch(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(batch::is_batch)
}

/// Adds each of `messages` to the sender's batch, and says how many they are. When one is refused
/// the sender is not to be used again, so that none of them goes.
fn admit<'a>(
    sender: &mut TelemetrySender,
    admitted: &Admitted,
    messages: impl IntoIterator<Item = (&'a MessageProperties, &'a [u8])>,
) -> Result<u64, Refusal> {
    let (metrics, received) = (&admitted.hub.metrics, admitted.hub.clock.now());
    let mut count = 0;
    for (properties, body) in messages {
        sender.admit_with(received, properties, body).map_err(|refused| {
            metrics.message_refused("invalid_message");
            reason::message_refused(&refused)
        })?;
        metrics.message_received(Protocol::Https, body.len());
        count += 1;
    }
    Ok(count)
}

/// Waits until `batch` is on disk.
async fn store(batch: &event_log::Batch, sender: &TelemetrySender, admitted: &Admitted, count: u64) -> Result<(), Refusal> {
    let permit = room(sender, sender.staged_bytes(batch)).await?;
    admitted.check()?;
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
