//! Notifications of uploaded files, received and settled as feedback is (`iot-hub-wire` §3.1).

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use model::api::ErrorCode;
use twins::{LockToken, LockedFileNotification};

use crate::https::{Answer, Refusal, Reply, RequestPath, written};
use crate::hub::Hub;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// How long the lock is to hold, in seconds; otherwise as configured.
const LOCK_TIMEOUT: &str = "iothub-messagelocktimeout";

/// The oldest that nobody has, or 204.
pub(super) async fn receive(Extension(hub): Extension<Arc<Hub>>, headers: HeaderMap) -> Answer {
    let lock = headers.get(LOCK_TIMEOUT).map(seconds).transpose()?;
    match hub.twins.receive_file_notification(lock).await? {
        Some(locked) => handed_out(&locked),
        None => Ok(Reply::no_content()),
    }
}

pub(super) async fn complete(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<Arc<RequestPath>>) -> Answer {
    hub.twins.complete_file_notification(lock(&path)?).await?;
    Ok(Reply::no_content())
}

pub(super) async fn abandon(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<Arc<RequestPath>>) -> Answer {
    hub.twins.abandon_file_notification(lock(&path)?).await?;
    Ok(Reply::no_content())
}

fn seconds(value: &HeaderValue) -> Result<Duration, Refusal> {
    let seconds = value.to_str().ok().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    seconds.ok_or_else(|| Refusal::new(ErrorCode::ArgumentInvalid, format!("{LOCK_TIMEOUT} is a number of seconds")))
}

fn lock(path: &RequestPath) -> Result<LockToken, Refusal> {
    let text = path.segment_after("filenotifications").unwrap_or_default();
    // Nothing can be locked under what is no token.
    text.parse().map_err(|_| twins::SettleError::LockLost(twins::LockLost).into())
}

/// The lock stands quoted in the ETag, as with commands.
fn handed_out(locked: &LockedFileNotification) -> Result<Response, Refusal> {
    let mut response = (StatusCode::OK, [(CONTENT_TYPE, JSON)], written(&locked.notification)?).into_response();
    let values = [
        ("iothub-messageid", locked.message_id.clone()),
        ("iothub-sequencenumber", locked.sequence_number.to_string()),
        ("iothub-deliverycount", locked.delivery_count.to_string()),
        ("iothub-enqueuedtime", locked.notification.enqueued_time_utc.to_string()),
        ("iothub-expiry", locked.expiry_time.to_string()),
        (ETAG.as_str(), format!("\"{}\"", locked.lock)),
    ];
    for (name, value) in values {
        let value = HeaderValue::try_from(value).map_err(|_| Refusal::fault("a header that cannot be written"))?;
        response
            .headers_mut()
            .insert(axum::http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| Refusal::fault("a header's name"))?, value);
    }
    Ok(response)
}
