//! `GET` and `HEAD`: a file, or a part of it.

use std::io::SeekFrom;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use model::Timestamp;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::range::{ByteRange, wanted};
use super::reason::Reason;
use crate::files::{BlobName, ContainerName, Stored};
use crate::hub::Hub;

const STORAGE_RANGE: HeaderName = HeaderName::from_static("x-ms-range");
const BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
/// Read at a time.
const PIECE_BYTES: usize = 64 * 1024;
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

pub(super) async fn get(hub: &Hub, container: &ContainerName, blob: &BlobName, parts: &Parts) -> Result<Response, Reason> {
    let (stored, file) = hub.files.read(container, blob).await.map_err(Reason::Disk)?.ok_or(Reason::NotFound)?;
    let header = parts.headers.get(STORAGE_RANGE).or(parts.headers.get(RANGE));
    let header = header.and_then(|value| value.to_str().ok());
    let range = wanted(header, stored.bytes).map_err(|()| Reason::InvalidRange { bytes: stored.bytes })?;
    content(&stored, file, range.map(|ByteRange { first, last }| (first, last))).await.map_err(Reason::Disk)
}

/// An answer with a file, or the part of it from the first to the second position.
///
/// # Errors
/// The disk's.
pub(crate) async fn content(stored: &Stored, mut file: File, range: Option<(u64, u64)>) -> std::io::Result<Response> {
    let (first, length) = range.map_or((0, stored.bytes), |(first, last)| (first, last - first + 1));
    file.seek(SeekFrom::Start(first)).await?;
    let mut response = Response::new(Body::from_stream(ReaderStream::with_capacity(file.take(length), PIECE_BYTES)));
    let headers = response.headers_mut();
    if let Some((first, last)) = range {
        insert(headers, CONTENT_RANGE, format!("bytes {first}-{last}/{}", stored.bytes));
    }
    insert(headers, CONTENT_LENGTH, length.to_string());
    insert(headers, ETAG, format!("\"{}\"", stored.etag));
    insert(headers, LAST_MODIFIED, http_date(stored.modified));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(BLOB_TYPE, HeaderValue::from_static("BlockBlob"));
    // A device chose what is in it; no browser is to take it for a page of the hub's.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    *response.status_mut() = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    Ok(response)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// A moment as headers write it (RFC 9110 §5.6.7).
pub(super) fn http_date(moment: Timestamp) -> String {
    let date = OffsetDateTime::from_unix_timestamp(moment.as_seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    date.format(HTTP_DATE).unwrap_or_default()
}
