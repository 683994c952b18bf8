//! Uploaded files: listed, read, shared by a link, removed. Ours.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::http::HeaderMap;
use axum::response::Response;
use model::api::{ErrorCode, FileInfo, FileLink};
use percent_encoding::percent_decode_str;

use super::{Parameters, paging};
use crate::blob_service;
use crate::files::{BlobName, ContainerName, Stored};
use crate::https::{Answer, CameBy, Refusal, Reply, RequestPath};
use crate::hub::Hub;

/// How long a link may hold.
const LINK_LIFETIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);
/// How long a link holds unless told.
const LINK_LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);

/// One page in the order of names, of all devices or of one.
pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>, parameters: Parameters, headers: HeaderMap) -> Answer {
    let device = parameters.get("device").map(str::to_owned);
    let page = hub.files.list(device, paging::after(&headers)?, paging::limit(&parameters)).await?;
    let container = &hub.files.settings().container;
    let last = page.files.last().filter(|_| page.is_continued).map(|stored| stored.blob.to_string());
    let files: Vec<_> = page.files.into_iter().map(|stored| shown(container, stored)).collect();
    paging::continued(Reply::OK.json(&files)?, last.as_deref())
}

pub(super) async fn read(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Result<Response, Refusal> {
    let (container, blob) = named(&hub, &path)?;
    let (stored, file) = hub.files.read(&container, &blob).await?.ok_or_else(|| unknown(&blob))?;
    Ok(blob_service::content(&stored, file, None).await?)
}

/// Makes a link by which whoever holds it reads the file for a while.
pub(super) async fn link(
    Extension(hub): Extension<Arc<Hub>>,
    Extension(path): Extension<RequestPath>,
    came_by: CameBy,
    parameters: Parameters,
) -> Answer {
    let (container, blob) = named(&hub, &path)?;
    let lifetime = match parameters.get("seconds") {
        None => LINK_LIFETIME_DEFAULT,
        Some(text) => {
            let lifetime = text.parse().map(Duration::from_secs).ok().filter(|lifetime| LINK_LIFETIME.contains(lifetime));
            lifetime.ok_or_else(|| invalid("a link holds for 1 to 604800 seconds"))?
        }
    };
    hub.files.stat(&container, &blob).await?.ok_or_else(|| unknown(&blob))?;
    let expiry_time = hub.clock.now().saturating_add(lifetime);
    let uri = format!("{}{}", came_by.address_of(&container, &blob), hub.files.link_to_read(&container, &blob, expiry_time));
    Reply::CREATED.json(&FileLink { uri, expiry_time })
}

pub(super) async fn delete(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    let (container, blob) = named(&hub, &path)?;
    if hub.files.remove(&container, &blob).await? { Ok(Reply::no_content()) } else { Err(unknown(&blob)) }
}

/// The file that the path names behind its first segment.
fn named(hub: &Hub, path: &RequestPath) -> Result<(ContainerName, BlobName), Refusal> {
    let behind = path.as_str().trim_start_matches('/').split_once('/').map_or("", |(_, rest)| rest);
    let text = percent_decode_str(behind).decode_utf8().map_err(|_| invalid("the file's name is not UTF-8"))?;
    let (container, blob) = text.split_once('/').ok_or_else(|| invalid("a file is named by its container, its device and its name"))?;
    let own = &hub.files.settings().container;
    if container != own.as_str() {
        return Err(Refusal::new(ErrorCode::ResourceNotFound, format!("the container of uploads is called {own}")));
    }
    Ok((own.clone(), blob.parse().map_err(|error| invalid(format!("{error}")))?))
}

fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::ArgumentInvalid, text)
}

fn unknown(blob: &BlobName) -> Refusal {
    Refusal::new(ErrorCode::ResourceNotFound, format!("there is no file {blob}"))
}

fn shown(container: &ContainerName, stored: Stored) -> FileInfo {
    FileInfo {
        container_name: container.to_string(),
        device_id: stored.blob.parts().0.to_owned(),
        blob_name: stored.blob.to_string(),
        blob_size_in_bytes: stored.bytes,
        last_updated_time: stored.modified,
        etag: stored.etag,
    }
}
