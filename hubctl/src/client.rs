//! A client of the service API over HTTPS, signing each request with a policy's key.

mod commands;
mod connect;
mod event_hubs;
mod events;
mod files;
mod no_connection;
mod refusal;
mod service;
mod service_messages;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::limits::PAGE_ITEMS_MAX;
use model::{Clock, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::data_directory::DataDirectory;

pub use commands::DeadLetters;
pub use connect::{ConnectError, ConnectOptions};
pub use events::{EventQuery, EventStart, EventStream};
pub use files::FileContent;
pub use no_connection::NoConnection;
pub use refusal::Refusal;
pub use service::{IdentityChange, NewIdentity};
pub use service_messages::Received;

/// The version of the service API that requests name.
const API_VERSION: &str = "2021-04-12";
/// How long a request may take, beyond what it asks the hub to wait.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Life of the token of one request. Long enough for a clock that is some minutes off.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// The header of a listing that has more, sent back for the next page.
const CONTINUATION: &str = "x-ms-continuation";

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why a request did not end well.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No connection to any address came about.
    #[error("the hub cannot be reached at {tried}: {reason}")]
    Unreachable {
        /// The addresses, for people.
        tried: String,
        /// Why.
        reason: NoConnection,
    },
    /// The connection ended, or time was up, before the answer was complete.
    #[error("the connection to the hub was lost: {reason}")]
    Lost {
        /// What happened.
        reason: String,
    },
    /// The hub answered with an error.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The hub's answer is not what the API promises.
    #[error("the hub's answer to {what} cannot be understood: {reason}")]
    Unintelligible {
        /// Method and path.
        what: String,
        /// Where it went wrong.
        reason: String,
    },
}

/// A hub, reached over its service API.
#[derive(Debug)]
pub struct HubClient {
    http: reqwest::Client,
    host: String,
    ports: Mutex<Vec<u16>>,
    /// Where the ports are read again from when none answers: a hub may come back on others.
    directory: Option<DataDirectory>,
    /// Index into `ports` of the one that answered last, tried first.
    answering: AtomicUsize,
    policy: String,
    key: Secret,
    /// Whom `http` trusts.
    ca: PathBuf,
    clock: Clock,
}

/// One request: what is asked, before it is known where.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    /// None for a stream, which may last as long as it likes.
    timeout: Option<Duration>,
}

impl Request {
    /// A request of the resource at `segments`, each of which is percent-encoded.
    pub(crate) fn new(method: Method, segments: &[&str]) -> Self {
        let path = segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT))).collect();
        Self { method, path, query: Vec::new(), headers: Vec::new(), body: None, timeout: Some(REQUEST_TIMEOUT) }
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Carries `body` as JSON. The API types are maps of texts, which always serialise.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).ok();
        self.header("content-type", "application/json; charset=utf-8")
    }

    /// Carries each of `items` as JSON on a line of its own.
    pub(crate) fn json_lines(mut self, items: &[impl Serialize]) -> Self {
        let lines = items.iter().filter_map(|item| serde_json::to_vec(item).ok());
        self.body = Some(lines.flat_map(|line| line.into_iter().chain([b'\n'])).collect());
        self.header("content-type", "application/x-ndjson")
    }

    pub(crate) fn if_match(self, etag: &str) -> Self {
        self.header("if-match", format!("\"{}\"", etag.trim_matches('"')))
    }

    pub(crate) fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn url(&self, host: &str, port: u16) -> String {
        let mut url = format!("https://{host}:{port}{}?api-version={API_VERSION}", self.path);
        for (name, value) in &self.query {
            url.push_str(&format!("&{name}={}", utf8_percent_encode(value, SEGMENT)));
        }
        url
    }
}

impl HubClient {
    /// The hub's name, without a port: what devices put into their user names.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends `request` and gives back the answer once its status says success.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response, ClientError> {
        let ports = self.ports();
        match self.send_to(request, &ports).await {
            Err(ClientError::Unreachable { .. }) if self.ports_have_changed(&ports) => self.send_to(request, &self.ports()).await,
            answer => answer,
        }
    }

    async fn send_to(&self, request: &Request, ports: &[u16]) -> Result<Response, ClientError> {
        let first = self.answering.load(Ordering::Relaxed);
        let mut reason = NoConnection::Network("no HTTPS listener is on".into());
        for offset in 0..ports.len() {
            let index = (first + offset) % ports.len();
            let Some(&port) = ports.get(index) else { continue };
            match self.attempt(request, port).await {
                Ok(response) => {
                    self.answering.store(index, Ordering::Relaxed);
                    return refusal::check(response).await;
                }
                Err(error) if error.is_connect() => reason = reason.or_of(&error, &self.ca),
                Err(error) => return Err(ClientError::Lost { reason: deepest_reason(&error) }),
            }
        }
        Err(ClientError::Unreachable { tried: self.tried(ports), reason })
    }

    fn ports(&self) -> Vec<u16> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks again where the hub listens; an absent or broken file changes nothing.
    fn ports_have_changed(&self, tried: &[u16]) -> bool {
        let bound = self.directory.as_ref().and_then(|directory| directory.ports().ok().flatten());
        let Some(bound) = bound else { return false };
        let ports = connect::distinct_ports(&bound.addresses("https"));
        let changed = ports != tried;
        *self.ports.lock().unwrap_or_else(PoisonError::into_inner) = ports;
        changed
    }

    /// Sends `request` and reads the answer's JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ClientError> {
        let body = self.send(request).await?.bytes().await.map_err(|error| lost(&error))?;
        serde_json::from_slice(&body).map_err(|error| unintelligible(request, &error))
    }

    /// Sends `request` for one page after another, as long as the hub says that there are more, and
    /// gives back at most `limit` items.
    pub(crate) async fn fetch_pages<T: DeserializeOwned>(&self, request: Request, limit: usize) -> Result<Vec<T>, ClientError> {
        let mut items: Vec<T> = Vec::new();
        let mut continuation: Option<String> = None;
        loop {
            let page = request.clone().query("top", PAGE_ITEMS_MAX.min(limit - items.len()));
            let page = continuation.into_iter().fold(page, |page, key| page.header(CONTINUATION, key));
            let response = self.send(&page).await?;
            let next = response.headers().get(CONTINUATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let body = response.bytes().await.map_err(|error| lost(&error))?;
            items.extend(serde_json::from_slice::<Vec<T>>(&body).map_err(|error| unintelligible(&page, &error))?);
            continuation = next.filter(|key| !key.is_empty());
            if continuation.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    /// Sends `request` whose answer has no content.
    pub(crate) async fn perform(&self, request: &Request) -> Result<(), ClientError> {
        self.send(request).await.map(drop)
    }

    async fn attempt(&self, request: &Request, port: u16) -> Result<Response, reqwest::Error> {
        let mut builder = self.http.request(request.method.clone(), request.url(&self.host, port));
        builder = builder.header("authorization", self.token());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        if let Some(timeout) = request.timeout {
            builder = builder.timeout(timeout);
        }
        builder.send().await
    }

    fn token(&self) -> String {
        let expires = self.clock.now().saturating_add(TOKEN_LIFE);
        certs::token::sign(&self.host, &self.key, expires, Some(&self.policy))
    }

    fn tried(&self, ports: &[u16]) -> String {
        let tried: Vec<String> = ports.iter().map(|port| format!("{}:{port}", self.host)).collect();
        if tried.is_empty() { self.host.clone() } else { tried.join(" and ") }
    }
}

pub(crate) fn lost(error: &reqwest::Error) -> ClientError {
    ClientError::Lost { reason: deepest_reason(error) }
}

pub(crate) fn unintelligible(request: &Request, error: &serde_json::Error) -> ClientError {
    ClientError::Unintelligible { what: request.what(), reason: error.to_string() }
}

/// The innermost error says why; the outer ones repeat the URL.
fn deepest_reason(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_travel_encoded_in_paths() {
        let request = Request::new(Method::GET, &["devices", "a?b%c:d"]).query("from", "2026-01-01T00:00:00Z");
        let url = request.url("localhost", 8443);
        assert_eq!(url, "https://localhost:8443/devices/a%3Fb%25c%3Ad?api-version=2021-04-12&from=2026-01-01T00%3A00%3A00Z");
        assert_eq!(request.what(), "GET /devices/a%3Fb%25c%3Ad");
    }

    #[test]
    fn etags_travel_in_one_pair_of_quotes() {
        for etag in ["abc=", "\"abc=\""] {
            let request = Request::new(Method::PUT, &["twins", "d"]).if_match(etag);
            assert_eq!(request.headers, [("if-match", "\"abc=\"".to_owned())]);
        }
    }
}
