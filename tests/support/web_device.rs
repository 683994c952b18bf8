//! A device or module over HTTPS, request by request.

use std::sync::Arc;
use std::time::Duration;

use certs::issue::CertifiedKeyPem;
use model::{Clock, Secret};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};

use super::certificates::client_tls;
use super::deadline::{SOON, within};
use super::hub::HubProcess;
use super::service::identity_path;

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    /// 1.1
    One,
    /// 2
    Two,
}

/// How a device proves itself.
pub(crate) enum Proof<'a> {
    /// By its certificate.
    Certificate(&'a CertifiedKeyPem),
    /// By its key.
    Key(&'a [u8]),
}

/// A device that has a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct WebDevice {
    http: Client,
    base: String,
    token: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct WebAnswer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl WebDevice {
    /// Speaks as `identity` to `hub`.
    pub(crate) fn new(hub: &HubProcess, identity: &str, proof: &Proof<'_>, version: Http) -> Self {
        let (certificate, token) = match proof {
            Proof::Certificate(certificate) => (Some(*certificate), None),
            Proof::Key(key) => {
                let expires = Clock::system().now().saturating_add(Duration::from_secs(3600));
                let resource = format!("localhost{}", identity_path(identity));
                (None, Some(certs::token::sign(&resource, &Secret::new(key.to_vec()), expires, None)))
            }
        };
        let mut tls = Arc::unwrap_or_clone(client_tls(&hub.server_ca_pem(), certificate));
        let protocol: &[u8] = if version == Http::One { b"http/1.1" } else { b"h2" };
        tls.alpn_protocols = vec![protocol.to_vec()];
        let builder = Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(3 * SOON);
        let builder = if version == Http::One { builder.http1_only() } else { builder.http2_prior_knowledge() };
        let base = format!("https://localhost:{}{}", hub.ports().https.port(), identity_path(identity));
        Self { http: builder.build().expect("a client"), base, token }
    }

    /// The same, by a certificate of the hub's device CA.
    pub(crate) fn certified(hub: &HubProcess, identity: &str, version: Http) -> Self {
        Self::new(hub, identity, &Proof::Certificate(&hub.device_ca().issue(identity)), version)
    }

    /// The same connection asking for another path.
    pub(crate) fn posing_as(mut self, hub: &HubProcess, identity: &str) -> Self {
        self.base = format!("https://localhost:{}{}", hub.ports().https.port(), identity_path(identity));
        self
    }

    /// A request for `path` below the identity's own.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header("authorization", token),
            None => request,
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> WebAnswer {
        answer(self.request(method, path)).await
    }

    /// The same; `None` when the connection broke before the answer was complete.
    pub(crate) async fn try_ask(&self, method: Method, path: &str) -> Option<WebAnswer> {
        try_answer(self.request(method, path)).await
    }

    /// Sends a message; gives the status.
    pub(crate) async fn send(&self, body: &str) -> u16 {
        answer(self.request(Method::POST, "/messages/events").body(body.to_owned())).await.status
    }
}

impl WebAnswer {
    /// A header, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The lock of the command in this answer.
    pub(crate) fn lock(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        self.header("etag").trim_matches('"')
    }
}

/// Sends `request` and reads its answer.
pub(crate) async fn answer(request: RequestBuilder) -> WebAnswer {
    try_answer(request).await.expect("an answer")
}

/// The same; `None` when the connection broke before the answer was complete.
pub(crate) async fn try_answer(request: RequestBuilder) -> Option<WebAnswer> {
    let response = within("an answer", 3 * SOON, request.send()).await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = within("a body", SOON, response.bytes()).await.ok()?.to_vec();
    Some(WebAnswer { status, headers, body })
}
