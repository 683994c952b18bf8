//! Listings in pages: at most `top` items, and behind what the next page begins in
//! `x-ms-continuation`, which the caller sends back. That header is ours on listings that the
//! official SDKs read one page of.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use model::api::ErrorCode;
use model::limits::PAGE_ITEMS_MAX;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Parameters;
use crate::https::{Answer, Refusal};

const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");

/// How many items a page has at most: what `top` says if that is from 1 to 1,000, else 1,000.
pub(super) fn limit(parameters: &Parameters) -> usize {
    let top = parameters.get("top").and_then(|top| top.parse().ok());
    top.filter(|top| (1..=PAGE_ITEMS_MAX).contains(top)).unwrap_or(PAGE_ITEMS_MAX)
}

/// Behind which key a page begins; the first if the request does not say.
pub(super) fn after(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let decoded = |value: &HeaderValue| Some(percent_decode_str(value.to_str().ok()?).decode_utf8().ok()?.into_owned());
    headers.get(CONTINUATION).map(|value| decoded(value).ok_or_else(not_ours)).transpose()
}

/// A continuation that no listing gave.
pub(super) fn not_ours() -> Refusal {
    Refusal::new(ErrorCode::ArgumentInvalid, "x-ms-continuation is not one that a listing gave")
}

/// Adds that the next page begins behind `last`, if there is one.
pub(super) fn continued(mut answer: Response, last: Option<&str>) -> Answer {
    if let Some(last) = last {
        let key = HeaderValue::try_from(utf8_percent_encode(last, NON_ALPHANUMERIC).to_string());
        answer.headers_mut().insert(CONTINUATION, key.map_err(|_| Refusal::fault("a key that no header can hold"))?);
    }
    Ok(answer)
}
