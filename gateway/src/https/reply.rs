//! Answers of requests that were carried out.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::Refusal;

/// With the charset: one SDK parses nothing that comes without it.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// What an operation ends in.
pub(crate) type Answer = Result<Response, Refusal>;

/// Builds the answer of a request that was carried out.
#[derive(Debug)]
pub(crate) struct Reply(StatusCode);

impl Reply {
    /// 200.
    pub(crate) const OK: Self = Self(StatusCode::OK);
    /// 201: the request made something.
    pub(crate) const CREATED: Self = Self(StatusCode::CREATED);

    /// 204: carried out, nothing to say.
    pub(crate) fn no_content() -> Response {
        StatusCode::NO_CONTENT.into_response()
    }

    /// With `value` as its body.
    pub(crate) fn json<T: Serialize>(self, value: &T) -> Answer {
        Ok((self.0, [(CONTENT_TYPE, JSON)], written(value)?).into_response())
    }

    /// The same, with `etag` quoted in the header.
    pub(crate) fn json_with_etag<T: Serialize>(self, value: &T, etag: &str) -> Answer {
        let mut response = self.json(value)?;
        let quoted = HeaderValue::try_from(format!("\"{etag}\"")).map_err(|_| Refusal::fault("an etag that no header can hold"))?;
        response.headers_mut().insert(ETAG, quoted);
        Ok(response)
    }
}

/// `value` as JSON text.
pub(crate) fn written<T: Serialize>(value: &T) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|error| Refusal::fault(format!("an answer cannot be written: {error}")))
}
