//! The name a client came by: what it is told to come back to.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Refusal;
use crate::files::{BlobName, ContainerName};
use crate::hub::Hub;
use crate::listener::Peer;

const HTTPS_PORT: u16 = 443;

/// What stands for itself in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Host, and port unless it is 443, by which the client reached the hub. A name that is none of
/// the hub's own is not repeated: others may read it, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CameBy(String);

impl CameBy {
    /// As the head of a request says it.
    pub(crate) fn of(hub: &Hub, peer: &Peer, parts: &Parts) -> Self {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let given = parts.uri.authority().cloned().or_else(|| host?.parse::<Authority>().ok());
        Self(match given.filter(|given| is_own(hub, given.host())) {
            Some(given) => written(given.host(), given.port_u16().unwrap_or(HTTPS_PORT)),
            None => written(hub.name(), peer.local_port),
        })
    }

    /// As text.
    pub(crate) fn host(&self) -> String {
        self.0.clone()
    }

    /// Where a file is.
    pub(crate) fn address_of(&self, container: &ContainerName, blob: &BlobName) -> String {
        format!("https://{}/{container}/{}", self.0, utf8_percent_encode(blob.as_str(), PATH))
    }
}

impl<S: Sync> FromRequestParts<S> for CameBy {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        match (parts.extensions.get::<Arc<Hub>>(), parts.extensions.get::<Arc<Peer>>()) {
            (Some(hub), Some(peer)) => Ok(Self::of(hub, peer, parts)),
            (_, _) => Err(Refusal::fault("the request does not say where it comes from")),
        }
    }
}

fn is_own(hub: &Hub, host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    hub.settings.host_names.iter().any(|own| own.eq_ignore_ascii_case(host))
}

fn written(host: &str, port: u16) -> String {
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    if port == HTTPS_PORT { host } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;

    use super::*;
    use crate::https::test_hub::{TestHub, peer};

    #[tokio::test]
    async fn a_client_is_sent_back_to_where_it_came_if_that_is_the_hub() {
        let hub = TestHub::open().await;
        let peer = Peer { local_port: 8443, ..peer() };
        for (uri, host, expected) in [
            ("/", Some("localhost"), "localhost"),
            ("/", Some("LocalHost:443"), "LocalHost"),
            ("/", Some("localhost:9999"), "localhost:9999"),
            ("https://localhost:1/x", Some("ignored"), "localhost:1"),
            ("/", Some("evil.example"), "localhost:8443"),
            ("/", Some("user@localhost"), "localhost"),
            ("/", Some("a b"), "localhost:8443"),
            ("/", None, "localhost:8443"),
        ] {
            let mut request = Request::builder().uri(uri);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            assert_eq!(CameBy::of(&hub.hub, &peer, &parts).0, expected, "{uri} {host:?}");
        }
    }

    #[test]
    fn an_address_stands_in_brackets() {
        assert_eq!(written("::1", 8443), "[::1]:8443");
        assert_eq!(written("[::1]", 443), "[::1]");
    }
}
