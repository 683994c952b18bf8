//! Feedback: what became of commands whose senders asked (`iot-hub-wire` §3.1, §5.3). The body is
//! the batch of records that SDKs know from AMQP.

use std::sync::Arc;

use axum::Extension;
use axum::http::{HeaderName, HeaderValue};
use model::api::FEEDBACK_CONTENT_TYPE;

use super::service_messages::{Envelope, Lock, LockTimeout, handed_out};
use crate::https::{Answer, Refusal, Reply};
use crate::hub::Hub;

/// Who tells: the hub itself.
const USER_ID: HeaderName = HeaderName::from_static("iothub-userid");

/// The oldest that nobody has, or 204.
pub(super) async fn receive(Extension(hub): Extension<Arc<Hub>>, LockTimeout(lock): LockTimeout) -> Answer {
    let Some(message) = hub.twins.receive_feedback(lock).await? else { return Ok(Reply::no_content()) };
    let envelope = Envelope {
        lock: message.lock,
        message_id: &message.message_id,
        sequence_number: message.sequence_number,
        delivery_count: message.delivery_count,
        enqueued_time: message.enqueued_time,
        expiry_time: message.expiry_time,
    };
    let mut response = handed_out(&envelope, FEEDBACK_CONTENT_TYPE, &message.records)?;
    let name = hub.settings.host_names.first().map_or("", String::as_str);
    let name = HeaderValue::try_from(name).map_err(|_| Refusal::fault("a host name that no header can hold"))?;
    response.headers_mut().insert(USER_ID, name);
    Ok(response)
}

pub(super) async fn complete(Extension(hub): Extension<Arc<Hub>>, Lock(lock): Lock) -> Answer {
    hub.twins.complete_feedback(lock).await?;
    Ok(Reply::no_content())
}

pub(super) async fn abandon(Extension(hub): Extension<Arc<Hub>>, Lock(lock): Lock) -> Answer {
    hub.twins.abandon_feedback(lock).await?;
    Ok(Reply::no_content())
}
