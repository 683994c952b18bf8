//! Frames, headers and the table of requests.
//!
//! On the wire every message is an `i32` length and that many bytes. [`frame_length`] judges the
//! length before anything is reserved, [`request`] reads the header of a whole frame and says
//! what it is, [`decode`] reads its body, [`response`] writes the answer.
//!
//! Bodies are read by the `kafka-protocol` crate, which reserves memory for as many elements as
//! an array announces. So `shape` walks every body first and lets none pass that announces more
//! than it carries: a request costs memory in proportion to its bytes, whatever it says.

mod api;
mod fetch_response;
mod header;
mod old_produce;
#[cfg(test)]
pub(crate) mod samples;
mod shape;

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use thiserror::Error;

pub use api::{Api, Versions};
pub use fetch_response::{FetchedPartition, FetchedTopic, fetch_response};
pub use header::{HeaderCutShort, RequestHeader};
pub use old_produce::{OldProduce, OldProduceTopic};

/// Largest frame of a peer that has not authenticated: a user name and a password many times over.
pub const STRANGER_FRAME_BYTES_MAX: usize = 4 * 1024;
/// What an element of an array takes at most in memory, decoded and in the making of the answer.
/// A tagged field is an element, too, and the dearest: it may be alone in a map of its own.
pub const ELEMENT_BYTES: usize = 512;
/// The shortest frame there is: a request header without a client id.
const FRAME_BYTES_MIN: usize = 8;
/// The error code that answers a version which is not served.
const UNSUPPORTED_VERSION: i16 = 35;

/// Why a frame is not read. The connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a frame announces {announced} bytes; {FRAME_BYTES_MIN} to {max} are accepted")]
pub struct FrameLength {
    /// What its length field says.
    pub announced: i32,
    /// The most that is accepted of this peer.
    pub max: usize,
}

/// The number of bytes that follow a length field, of which at most `max` are accepted.
///
/// # Errors
/// [`FrameLength`]
pub fn frame_length(field: [u8; 4], max: usize) -> Result<usize, FrameLength> {
    let announced = i32::from_be_bytes(field);
    let length = usize::try_from(announced).unwrap_or(0);
    if (FRAME_BYTES_MIN..=max).contains(&length) { Ok(length) } else { Err(FrameLength { announced, max }) }
}

/// What a frame holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A request of an API and version that are served.
    Request {
        /// Its header.
        header: RequestHeader,
        /// What follows the header.
        body: Bytes,
    },
    /// A question for the APIs in a version that is not known. [`unknown_api_versions`] is the
    /// answer that makes the client ask again.
    UnknownApiVersions {
        /// Names the request in its answer.
        correlation_id: i32,
    },
    /// A produce request of a version that is advertised for the sake of old clients' choice of
    /// compression and never meant to be sent.
    OldProduce {
        /// Its header.
        header: RequestHeader,
        /// What follows the header.
        body: Bytes,
    },
}

/// Why a frame is no request that can be answered. Like Kafka, a server closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidRequest {
    /// The header is cut short or not UTF-8.
    #[error(transparent)]
    Header(#[from] HeaderCutShort),
    /// There is no such API here.
    #[error("the API {key} does not exist here")]
    UnknownApi {
        /// Its number.
        key: i16,
    },
    /// The API exists, this version of it not.
    #[error("version {version} of {} is not served", api.name())]
    UnknownVersion {
        /// The API.
        api: Api,
        /// The version asked for.
        version: i16,
    },
    /// The body is not what its API and version call for.
    #[error("the body of a {} request, version {version}, is malformed", api.name())]
    Body {
        /// The API.
        api: Api,
        /// Its version.
        version: i16,
    },
}

/// Reads the header of a frame, given without its length field.
///
/// # Errors
/// [`InvalidRequest`]
pub fn request(frame: Bytes) -> Result<Incoming, InvalidRequest> {
    let mut rest = frame;
    let prefix = header::prefix(&rest)?;
    let Some(api) = Api::from_key(prefix.key) else { return Err(InvalidRequest::UnknownApi { key: prefix.key }) };
    let (version, correlation_id) = (prefix.version, prefix.correlation_id);
    if api == Api::ApiVersions && !api.served().contains(version) {
        return Ok(Incoming::UnknownApiVersions { correlation_id });
    }
    if !api.advertised().contains(version) {
        return Err(InvalidRequest::UnknownVersion { api, version });
    }
    let header = header::take(&mut rest, api)?;
    if api.served().contains(version) {
        Ok(Incoming::Request { header, body: rest })
    } else {
        Ok(Incoming::OldProduce { header, body: rest })
    }
}

/// How many elements the arrays of a request's body have, those inside others and tagged fields
/// included: decoded, it takes [`ELEMENT_BYTES`] for each, beside its own bytes.
///
/// # Errors
/// [`InvalidRequest::Body`], where [`decode`] has it for what the body announces.
pub fn elements(header: &RequestHeader, body: &[u8]) -> Result<usize, InvalidRequest> {
    let (api, version) = (header.api, header.version);
    shape::elements(api, version, body).ok_or(InvalidRequest::Body { api, version })
}

/// Reads the body of a request of the type that its API has. Bytes behind it are ignored: some clients send more than their
/// version calls for.
///
/// # Errors
/// [`InvalidRequest::Body`]
pub fn decode<R: Decodable>(header: &RequestHeader, body: &Bytes) -> Result<R, InvalidRequest> {
    let (api, version) = (header.api, header.version);
    elements(header, body)?;
    R::decode(&mut body.clone(), version).map_err(|_| InvalidRequest::Body { api, version })
}

/// An answer that cannot be written in the version asked for, which is a defect of the server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an answer to {}, version {version}, cannot be written: {reason}", api.name())]
pub struct Unwritable {
    /// The API.
    pub api: Api,
    /// Its version.
    pub version: i16,
    /// What the codec says.
    pub reason: String,
}

/// The frame that answers a request, its length field included.
///
/// # Errors
/// [`Unwritable`]
pub fn response<R: Encodable + HeaderVersion>(header: &RequestHeader, body: &R) -> Result<Bytes, Unwritable> {
    let mut out = BytesMut::with_capacity(response_bytes(header, body)?);
    begin(&mut out, header.correlation_id, R::header_version(header.version) > 0);
    body.encode(&mut out, header.version).map_err(|error| unwritable(header, error))?;
    Ok(finish(out, 0))
}

/// How long the frame is that [`response`] makes, or a byte more.
///
/// # Errors
/// [`Unwritable`]
pub fn response_bytes<R: Encodable>(header: &RequestHeader, body: &R) -> Result<usize, Unwritable> {
    // The length, the correlation id and a count of tagged fields go before the body.
    Ok(4 + 4 + 1 + body.compute_size(header.version).map_err(|error| unwritable(header, error))?)
}

fn unwritable(header: &RequestHeader, reason: impl std::fmt::Display) -> Unwritable {
    Unwritable { api: header.api, version: header.version, reason: reason.to_string() }
}

/// Room for the length field, and a response header with or without tagged fields.
fn begin(out: &mut BytesMut, correlation_id: i32, tagged: bool) {
    out.put_i32(0);
    out.put_i32(correlation_id);
    if tagged {
        out.put_u8(0);
    }
}

/// Sets the length field of a frame that ends `more` bytes behind `out`.
fn finish(mut out: BytesMut, more: usize) -> Bytes {
    let length = (out.len() + more).saturating_sub(4) as u32;
    if let Some(field) = out.first_chunk_mut() {
        *field = length.to_be_bytes();
    }
    out.freeze()
}

/// The APIs there are, as an answer to [`Api::ApiVersions`].
pub fn api_versions() -> ApiVersionsResponse {
    let list = Api::ALL.iter().map(|api| {
        let Versions { min, max } = api.advertised();
        ApiVersion::default().with_api_key(api.key()).with_min_version(min).with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(list.collect())
}

/// The frame that answers [`Incoming::UnknownApiVersions`]: in version 0, which every client can
/// read, with the error and the list.
///
/// # Errors
/// [`Unwritable`]
pub fn unknown_api_versions(correlation_id: i32) -> Result<Bytes, Unwritable> {
    let header = RequestHeader { api: Api::ApiVersions, version: 0, correlation_id, client_id: None };
    response(&header, &api_versions().with_error_code(UNSUPPORTED_VERSION))
}

/// Bytes behind a body as its outline has it.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn outlined(api: Api, version: i16, body: &[u8]) -> Option<usize> {
    shape::remainder(api, version, body).map(<[u8]>::len)
}

#[cfg(test)]
mod tests;
