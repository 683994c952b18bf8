//! `PUT`: a file whole, a block of one, or one put together from its blocks.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_RANGE, ETAG, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::body::{check_announced, collect, receive};
use super::download::http_date;
use super::parameter;
use super::reason::Reason;
use crate::files::{BLOCK_LIST_BYTES_MAX, BlobName, BlockId, ContainerName, Precondition, Stored, Whole, parse_block_list};
use crate::hub::Hub;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// Of a whole body, where `Content-MD5` means a transfer.
const CONTENT_CRC64: HeaderName = HeaderName::from_static("x-ms-content-crc64");
const BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const ENCRYPTED: HeaderName = HeaderName::from_static("x-ms-request-server-encrypted");
/// What would make another operation of a `PUT`.
const OTHER_OPERATIONS: [&str; 4] = ["x-ms-copy-source", "x-ms-lease-id", "x-ms-encryption-key", "x-ms-structured-body"];

/// Which file, and under which upload.
pub(super) struct Place {
    pub(super) hub: Arc<Hub>,
    pub(super) upload: String,
    pub(super) container: ContainerName,
    pub(super) blob: BlobName,
}

pub(super) async fn put(place: Place, parts: &Parts, body: Body) -> Result<Response, Reason> {
    if let Some(name) = OTHER_OPERATIONS.into_iter().find(|name| parts.headers.contains_key(*name)) {
        return Err(Reason::UnsupportedHeader(name));
    }
    if parts.headers.contains_key(CONTENT_RANGE) {
        return Err(Reason::UnsupportedHeader("content-range"));
    }
    let operation = parameter(parts, "comp");
    match operation.as_deref() {
        None => put_blob(place, &parts.headers, body).await,
        Some(name) if name.eq_ignore_ascii_case("block") => {
            let id = BlockId::from_base64(&parameter(parts, "blockid").unwrap_or_default()).map_err(Reason::BlockId)?;
            put_block(place, id, &parts.headers, body).await
        }
        Some(name) if name.eq_ignore_ascii_case("blocklist") => put_block_list(place, &parts.headers, body).await,
        Some(_) => Err(Reason::UnsupportedOperation),
    }
}

async fn put_blob(place: Place, headers: &HeaderMap, body: Body) -> Result<Response, Reason> {
    // A client without the header knows of no blobs: it puts a file.
    if headers.get(BLOB_TYPE).is_some_and(|kind| !kind.as_bytes().eq_ignore_ascii_case(b"BlockBlob")) {
        return Err(Reason::UnsupportedHeader("x-ms-blob-type"));
    }
    let condition = precondition(headers)?;
    let whole = received(&place, headers, body).await?;
    let (md5, crc64) = (whole.md5, whole.crc64);
    let Place { hub, upload, container, blob } = place;
    let files = hub.files.clone();
    let stored = placed(&hub, async move { files.put(&upload, container, blob, whole, condition).await }).await?;
    let mut response = created();
    checksums(response.headers_mut(), &md5, &crc64);
    describe(response.headers_mut(), &stored);
    Ok(response)
}

async fn put_block(place: Place, id: BlockId, headers: &HeaderMap, body: Body) -> Result<Response, Reason> {
    let whole = received(&place, headers, body).await?;
    let (md5, crc64) = (whole.md5, whole.crc64);
    let Place { hub, upload, .. } = place;
    let files = hub.files.clone();
    hub.drain.carry_out(async move { files.put_block(&upload, id, whole).await }).await?;
    let mut response = created();
    checksums(response.headers_mut(), &md5, &crc64);
    Ok(response)
}

async fn put_block_list(place: Place, headers: &HeaderMap, body: Body) -> Result<Response, Reason> {
    let condition = precondition(headers)?;
    let document = collect(body, BLOCK_LIST_BYTES_MAX).await?;
    let ids = parse_block_list(&document).map_err(Reason::BlockList)?;
    place.hub.files.check_under_way(&place.upload).await?;
    let Place { hub, upload, container, blob } = place;
    let files = hub.files.clone();
    let stored = placed(&hub, async move { files.put_blocks(&upload, container, blob, ids, condition).await }).await?;
    let mut response = created();
    describe(response.headers_mut(), &stored);
    Ok(response)
}

/// What has begun to take its place takes it, and is counted, whether or not somebody waits.
async fn placed<E: Send + 'static>(hub: &Hub, placing: impl Future<Output = Result<Stored, E>> + Send + 'static) -> Result<Stored, E> {
    let metrics = hub.metrics.clone();
    hub.drain.carry_out(async move { placing.await.inspect(|_| metrics.file_stored()) }).await
}

/// Receives a body, whole and on disk, as its headers say it is.
async fn received(place: &Place, headers: &HeaderMap, body: Body) -> Result<Whole, Reason> {
    let (md5, crc64) = (announced(headers, &CONTENT_MD5, "content-md5")?, announced(headers, &CONTENT_CRC64, "x-ms-content-crc64")?);
    let files = &place.hub.files;
    check_announced(&body, files.settings().file_bytes_max)?;
    let _turn = files.turn(&place.upload).ok_or(Reason::Busy)?;
    let mut part = files.receive().await?;
    receive(body, &mut part).await?;
    let whole = files.finish(part).await?;
    place.hub.metrics.file_received(whole.bytes);
    if md5.is_some_and(|md5| md5 != whole.md5) {
        return Err(Reason::ChecksumMismatch { is_md5: true });
    }
    if crc64.is_some_and(|crc64| crc64 != whole.crc64) {
        return Err(Reason::ChecksumMismatch { is_md5: false });
    }
    // A body takes its time, in which the upload may have ended.
    files.check_under_way(&place.upload).await?;
    Ok(whole)
}

/// A checksum in base64.
fn announced<const N: usize>(headers: &HeaderMap, name: &HeaderName, shown: &'static str) -> Result<Option<[u8; N]>, Reason> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let decoded = STANDARD.decode(value.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.map(Some).ok_or(Reason::InvalidHeader(shown))
}

fn precondition(headers: &HeaderMap) -> Result<Precondition, Reason> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default().trim().to_owned());
    let absent = match text(IF_NONE_MATCH).as_deref() {
        None => false,
        Some("*") => true,
        Some(_) => return Err(Reason::InvalidHeader("if-none-match")),
    };
    Ok(Precondition { absent, etag: text(IF_MATCH).map(|etag| etag.trim_matches('"').to_owned()) })
}

fn created() -> Response {
    (StatusCode::CREATED, [(ENCRYPTED, HeaderValue::from_static("false"))]).into_response()
}

fn checksums(headers: &mut HeaderMap, md5: &[u8], crc64: &[u8]) {
    for (name, checksum) in [(CONTENT_MD5, md5), (CONTENT_CRC64, crc64)] {
        if let Ok(value) = HeaderValue::try_from(STANDARD.encode(checksum)) {
            headers.insert(name, value);
        }
    }
}

fn describe(headers: &mut HeaderMap, stored: &Stored) {
    let values = [(ETAG, format!("\"{}\"", stored.etag)), (LAST_MODIFIED, http_date(stored.modified))];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}
