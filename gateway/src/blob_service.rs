//! The storage protocol: what the clients of Azure's blob service say to write and read one blob,
//! as far as uploads from devices need it, and the plain `PUT` and `GET` of everybody else.
//!
//! | request on `/{container}/{device}/{name}?{link}` | file |
//! | --- | --- |
//! | `PUT`, with or without `x-ms-blob-type: BlockBlob` | [`upload`]: the whole file |
//! | `PUT …&comp=block&blockid=…` | [`upload`]: a block of it |
//! | `PUT …&comp=blocklist` | [`upload`]: the file from its blocks |
//! | `GET`, `HEAD` | [`download`]: for who holds a link to read |
//!
//! A signed link in the query is all that lets anybody in. [`body`] receives what is sent, and
//! [`reason`] alone knows the codes of errors, which travel as XML here.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use percent_encoding::percent_decode_str;

use crate::files::{BlobName, ContainerName, LinkRefusal, Permission};
use crate::https::{self, RequestPath};
use crate::hub::Hub;
use crate::listener::Peer;

mod body;
mod download;
mod range;
mod reason;
#[cfg(test)]
mod tests;
mod upload;

pub(crate) use download::content;
use reason::Reason;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const VERSION: HeaderName = HeaderName::from_static("x-ms-version");
/// The storage service's version that is followed.
const VERSION_SPOKEN: HeaderValue = HeaderValue::from_static("2018-03-28");
/// A client's own id of a request is given back up to this length.
const CLIENT_REQUEST_ID_BYTES_MAX: usize = 1024;

/// Answers a request that is on a file of the container; `None` when the path is none of those.
pub(crate) async fn answer(request: Request) -> Option<Response> {
    let hub = request.extensions().get::<Arc<Hub>>().cloned()?;
    let (path, peer) = (request.extensions().get::<RequestPath>().cloned()?, request.extensions().get::<Arc<Peer>>().cloned()?);
    let (container, rest) = path.as_str().strip_prefix('/')?.split_once('/')?;
    let own = hub.files.settings().container.clone();
    if container != own.as_str() {
        return None;
    }
    let request_id = reason::request_id();
    let method = request.method().clone();
    let client_request_id = request.headers().get(&CLIENT_REQUEST_ID).cloned();
    let answered = match decoded(rest) {
        Ok(blob) => operate(&hub, &peer, own, blob, request).await,
        Err(reason) => Err(reason),
    };
    let mut response = answered.unwrap_or_else(|reason| {
        https::span(&request_id, &peer, &method, &path).in_scope(|| reason.log(&hub));
        reason.written(&request_id, hub.clock.now())
    });
    identify(response.headers_mut(), &request_id, client_request_id);
    Some(response)
}

fn decoded(rest: &str) -> Result<BlobName, Reason> {
    let text = percent_decode_str(rest).decode_utf8().map_err(|_| Reason::InvalidUri)?;
    text.parse().map_err(|_| Reason::InvalidUri)
}

async fn operate(hub: &Arc<Hub>, peer: &Peer, container: ContainerName, blob: BlobName, request: Request) -> Result<Response, Reason> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let permission = hub.files.permitted(&container, &blob, query).await.inspect_err(|refusal| match refusal {
        LinkRefusal::Link(_) | LinkRefusal::Ended => peer.refused(),
        LinkRefusal::Store(_) => {}
    })?;
    peer.admitted();
    match (&parts.method, permission) {
        (&Method::PUT, Permission::Write { upload }) => {
            let place = upload::Place { hub: Arc::clone(hub), upload, container, blob };
            upload::put(place, &parts, body).await
        }
        (&Method::GET | &Method::HEAD, Permission::Read) => download::get(hub, &container, &blob, &parts).await,
        (&Method::PUT | &Method::GET | &Method::HEAD, Permission::Read | Permission::Write { .. }) => Err(Reason::PermissionMismatch),
        (_, _) => Err(Reason::UnsupportedVerb),
    }
}

/// A parameter that says what to do. Percent-encoded; a `+` is one.
fn parameter(parts: &Parts, name: &str) -> Option<String> {
    let pairs = parts.uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut values = pairs.filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    Some(percent_decode_str(values.next()?).decode_utf8_lossy().into_owned())
}

/// Some clients compare the id they sent with the one that comes back.
fn identify(headers: &mut HeaderMap, request_id: &str, client_request_id: Option<HeaderValue>) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(VERSION, VERSION_SPOKEN);
    if let Some(id) = client_request_id.filter(|id| id.len() <= CLIENT_REQUEST_ID_BYTES_MAX) {
        headers.insert(CLIENT_REQUEST_ID, id);
    }
}
