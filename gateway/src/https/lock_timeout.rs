//! The header `iothub-messagelocktimeout`: how long whoever receives a message wants it for itself.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use model::api::ErrorCode;

use super::Refusal;

const LOCK_TIMEOUT: HeaderName = HeaderName::from_static("iothub-messagelocktimeout");

/// In whole seconds, not yet within its bounds; nothing when the header is not there.
pub(crate) struct LockTimeout(pub(crate) Option<Duration>);

impl<S: Sync> FromRequestParts<S> for LockTimeout {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Self::of(&parts.headers)
    }
}

impl LockTimeout {
    /// What the header says.
    ///
    /// # Errors
    /// The refusal of what is no number.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(value) = headers.get(LOCK_TIMEOUT) else { return Ok(Self(None)) };
        let seconds = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        let seconds = seconds.ok_or_else(|| Refusal::new(ErrorCode::ArgumentInvalid, format!("{LOCK_TIMEOUT} is a number of seconds")))?;
        Ok(Self(Some(Duration::from_secs(seconds))))
    }
}
