//! Messages to the service: feedback, which is what became of commands whose senders asked, and
//! notifications of uploaded files. Handed out under a lock and settled by it (`iot-hub-wire`
//! §3.1, §5.3).

use std::sync::Arc;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use model::api::FEEDBACK_CONTENT_TYPE;
use serde::Serialize;
use twins::{LockToken, ServiceMessage, ServiceQueue};

use crate::https::{Answer, LockTimeout, Refusal, Reply, RequestPath, written};
use crate::hub::Hub;

const MESSAGE_ID: HeaderName = HeaderName::from_static("iothub-messageid");
const SEQUENCE_NUMBER: HeaderName = HeaderName::from_static("iothub-sequencenumber");
const DELIVERY_COUNT: HeaderName = HeaderName::from_static("iothub-deliverycount");
const ENQUEUED_TIME: HeaderName = HeaderName::from_static("iothub-enqueuedtime");
const EXPIRY: HeaderName = HeaderName::from_static("iothub-expiry");
/// Who tells of commands: the hub itself.
const USER_ID: HeaderName = HeaderName::from_static("iothub-userid");

/// What a path `/messages/serviceBound/{queue}/{lock}` names.
pub(super) struct Locked {
    queue: ServiceQueue,
    lock: LockToken,
}

impl<S: Sync> FromRequestParts<S> for Locked {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let path = RequestPath::within(parts)?;
        let is_feedback = path.segment(2).is_some_and(|queue| queue.eq_ignore_ascii_case("feedback"));
        let queue = if is_feedback { ServiceQueue::Feedback } else { ServiceQueue::FileNotifications };
        let lock = path.segment(3).and_then(|text| text.parse().ok());
        // Nothing can be locked under what is no token.
        let lock = lock.ok_or_else(|| Refusal::from(twins::SettleError::LockLost(twins::LockLost)))?;
        Ok(Self { queue, lock })
    }
}

/// The oldest feedback that nobody has, or 204. The body is the batch of records that SDKs know
/// from AMQP.
pub(super) async fn receive_feedback(Extension(hub): Extension<Arc<Hub>>, LockTimeout(lock): LockTimeout) -> Answer {
    let Some(message) = hub.twins.receive_feedback(lock).await? else { return Ok(Reply::no_content()) };
    let mut response = handed_out(&message, FEEDBACK_CONTENT_TYPE)?;
    let name = hub.settings.host_names.first().map_or("", String::as_str);
    let name = HeaderValue::try_from(name).map_err(|_| Refusal::fault("a host name that no header can hold"))?;
    response.headers_mut().insert(USER_ID, name);
    Ok(response)
}

/// The oldest file notification that nobody has, or 204.
pub(super) async fn receive_file_notification(Extension(hub): Extension<Arc<Hub>>, LockTimeout(lock): LockTimeout) -> Answer {
    match hub.twins.receive_file_notification(lock).await? {
        Some(message) => handed_out(&message, "application/json; charset=utf-8"),
        None => Ok(Reply::no_content()),
    }
}

/// Done with.
pub(super) async fn complete(Extension(hub): Extension<Arc<Hub>>, Locked { queue, lock }: Locked) -> Answer {
    hub.twins.complete_message(queue, lock).await?;
    Ok(Reply::no_content())
}

/// Back into its queue.
pub(super) async fn abandon(Extension(hub): Extension<Arc<Hub>>, Locked { queue, lock }: Locked) -> Answer {
    hub.twins.abandon_message(queue, lock).await?;
    Ok(Reply::no_content())
}

/// The lock stands quoted in the ETag, as with commands.
fn handed_out<T: Serialize>(message: &ServiceMessage<T>, content_type: &'static str) -> Result<Response, Refusal> {
    let content = written(&message.content)?;
    let mut response = (StatusCode::OK, [(CONTENT_TYPE, HeaderValue::from_static(content_type))], content).into_response();
    let values = [
        (MESSAGE_ID, message.message_id.clone()),
        (SEQUENCE_NUMBER, message.sequence_number.to_string()),
        (DELIVERY_COUNT, message.delivery_count.to_string()),
        (ENQUEUED_TIME, message.enqueued_time.to_string()),
        (EXPIRY, message.expiry_time.to_string()),
        (ETAG, format!("\"{}\"", message.lock)),
    ];
    for (name, value) in values {
        let value = HeaderValue::try_from(value).map_err(|_| Refusal::fault(format!("a header {name} that cannot be written")))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
