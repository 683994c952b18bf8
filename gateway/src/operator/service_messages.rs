//! Messages to the service, of whatever queue: handed out under a lock and settled by it
//! (`iot-hub-wire` §3.1).

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use model::Timestamp;
use model::api::ErrorCode;
use serde::Serialize;
use twins::LockToken;

use crate::https::{Refusal, RequestPath, written};

/// How long the lock is to hold, in seconds.
const LOCK_TIMEOUT: HeaderName = HeaderName::from_static("iothub-messagelocktimeout");
const MESSAGE_ID: HeaderName = HeaderName::from_static("iothub-messageid");
const SEQUENCE_NUMBER: HeaderName = HeaderName::from_static("iothub-sequencenumber");
const DELIVERY_COUNT: HeaderName = HeaderName::from_static("iothub-deliverycount");
const ENQUEUED_TIME: HeaderName = HeaderName::from_static("iothub-enqueuedtime");
const EXPIRY: HeaderName = HeaderName::from_static("iothub-expiry");

/// The header `iothub-messagelocktimeout`; as configured when it is not there.
pub(super) struct LockTimeout(pub(super) Option<Duration>);

impl<S: Sync> FromRequestParts<S> for LockTimeout {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let Some(value) = parts.headers.get(LOCK_TIMEOUT) else { return Ok(Self(None)) };
        let seconds = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        let seconds = seconds.ok_or_else(|| Refusal::new(ErrorCode::ArgumentInvalid, format!("{LOCK_TIMEOUT} is a number of seconds")))?;
        Ok(Self(Some(Duration::from_secs(seconds))))
    }
}

/// The lock that a path `/messages/serviceBound/{queue}/{lock}` names.
pub(super) struct Lock(pub(super) LockToken);

impl<S: Sync> FromRequestParts<S> for Lock {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let token = RequestPath::within(parts)?.segment(3).and_then(|text| text.parse().ok());
        // Nothing can be locked under what is no token.
        token.map(Self).ok_or_else(|| twins::SettleError::LockLost(twins::LockLost).into())
    }
}

/// A message that was handed out, without what is in it.
pub(super) struct Envelope<'a> {
    pub(super) lock: LockToken,
    pub(super) message_id: &'a str,
    pub(super) sequence_number: u64,
    pub(super) delivery_count: u32,
    pub(super) enqueued_time: Timestamp,
    pub(super) expiry_time: Timestamp,
}

/// The message itself. The lock stands quoted in the ETag, as with commands.
pub(super) fn handed_out<T: Serialize>(envelope: &Envelope<'_>, content_type: &'static str, content: &T) -> Result<Response, Refusal> {
    let mut response = (StatusCode::OK, [(CONTENT_TYPE, HeaderValue::from_static(content_type))], written(content)?).into_response();
    let values = [
        (MESSAGE_ID, envelope.message_id.to_owned()),
        (SEQUENCE_NUMBER, envelope.sequence_number.to_string()),
        (DELIVERY_COUNT, envelope.delivery_count.to_string()),
        (ENQUEUED_TIME, envelope.enqueued_time.to_string()),
        (EXPIRY, envelope.expiry_time.to_string()),
        (ETAG, format!("\"{}\"", envelope.lock)),
    ];
    for (name, value) in values {
        let value = HeaderValue::try_from(value).map_err(|_| Refusal::fault(format!("a header {name} that cannot be written")))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
