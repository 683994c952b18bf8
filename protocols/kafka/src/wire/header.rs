//! Request headers: 1 has a client id, 2 tagged fields behind it.

use bytes::{Buf as _, Bytes};
use kafka_protocol::protocol::StrBytes;
use thiserror::Error;

use super::api::Api;
use super::shape::Walk;

/// Bytes before the client id.
const PREFIX_BYTES: usize = 8;
/// As much of a client id is kept.
const CLIENT_ID_BYTES_MAX: usize = 255;

/// What precedes the body of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API.
    pub api: Api,
    /// Which version of it.
    pub version: i16,
    /// Names the request in its answer.
    pub correlation_id: i32,
    /// What the client calls itself, up to 255 bytes of it: a copy, as this outlives the frame.
    pub client_id: Option<StrBytes>,
}

/// A header that ends too early, or whose client id is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the request's header is malformed")]
pub struct HeaderCutShort;

/// What every version of the header begins with.
pub(super) struct Prefix {
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

pub(super) fn prefix(frame: &[u8]) -> Result<Prefix, HeaderCutShort> {
    let mut fields = frame.get(..PREFIX_BYTES).ok_or(HeaderCutShort)?;
    Ok(Prefix { key: fields.get_i16(), version: fields.get_i16(), correlation_id: fields.get_i32() })
}

/// Takes the header off the front of `frame`.
pub(super) fn take(frame: &mut Bytes, api: Api) -> Result<RequestHeader, HeaderCutShort> {
    let Prefix { version, correlation_id, .. } = prefix(frame)?;
    let whole = frame.clone();
    let mut walk = Walk::new(whole.get(PREFIX_BYTES..).unwrap_or_default());
    // The length of the client id is never compact, and it is absent from nothing but bad frames.
    let client_id = walk.text(false).ok_or(HeaderCutShort)?;
    let client_id = client_id.map(std::str::from_utf8).transpose().map_err(|_| HeaderCutShort)?;
    let client_id = client_id.map(shortened);
    if api.is_flexible(version) {
        walk.tagged_fields().ok_or(HeaderCutShort)?;
    }
    frame.advance(whole.len() - walk.rest().len());
    Ok(RequestHeader { api, version, correlation_id, client_id })
}

fn shortened(client_id: &str) -> StrBytes {
    let kept = client_id.get(..client_id.floor_char_boundary(CLIENT_ID_BYTES_MAX));
    StrBytes::from_string(kept.unwrap_or_default().to_owned())
}
