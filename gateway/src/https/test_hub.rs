//! A real hub in a directory of its own, asked through the same function as over a socket.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use certs::judge::{AuthGrant, ClaimedIdentity, Evidence};
use certs::token;
use event_log::{Disk, Origin as Producer, RealDisk};
use http_body_util::BodyExt as _;
use model::{Clock, Policy, Rights, Secret, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use super::exchange::{Origin, answer};
use crate::drain::Drain;
use crate::files::FileSettings;
use crate::hub::{Hub, HubSettings};
use crate::listener::{Peer, Standing};
use crate::observe::Metrics;

/// The hub's name.
pub(crate) const HOST: &str = "localhost";

/// A hub with a policy for each set of rights, all with the same key.
pub(crate) struct TestHub {
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Clock,
    directory: TempDir,
}

/// A request under construction, by default of the policy `owner`.
pub(crate) struct Ask {
    request: Request,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// The key of every policy and, in base64, of devices made by [`TestHub::create_device`].
fn key() -> Secret {
    Secret::new(vec![7; 32])
}

impl TestHub {
    pub(crate) async fn open() -> Self {
        Self::open_on(Arc::new(RealDisk)).await
    }

    /// A hub whose event log is on this disk.
    pub(crate) async fn open_on(disk: Arc<dyn Disk>) -> Self {
        let clock = Clock::manual(Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("a date"));
        let hub = Self::open_in(disk, tempfile::tempdir().expect("a directory"), clock, FileSettings::default()).await;
        hub.create_policies().await;
        hub
    }

    /// A hub with other bounds on uploaded files.
    pub(crate) async fn open_with_files(set: impl FnOnce(&mut FileSettings)) -> Self {
        let mut files = FileSettings::default();
        set(&mut files);
        let opened = Self::open().await;
        opened.hub.close().await;
        drop(opened.hub);
        Self::open_in(Arc::new(RealDisk), opened.directory, opened.clock, files).await
    }

    /// Closes the hub, lets `meddle` have its directory, and opens it again.
    pub(crate) async fn reopened(self, meddle: impl FnOnce(&Path)) -> Self {
        let files = self.hub.settings.files.clone();
        self.hub.close().await;
        drop(self.hub);
        meddle(self.directory.path());
        Self::open_in(Arc::new(RealDisk), self.directory, self.clock, files).await
    }

    async fn open_in(disk: Arc<dyn Disk>, directory: TempDir, clock: Clock, files: FileSettings) -> Self {
        let settings = HubSettings {
            data_dir: directory.path().to_owned(),
            host_names: vec![HOST.to_owned()],
            operators: Vec::new(),
            trust: certs::judge::Settings::default(),
            log: event_log::Config { segment_bytes: 1024 * 1024, ..event_log::Config::default() },
            twins: twins::Config::default(),
            kafka_advertised: None,
            files,
        };
        let hub = Hub::open_on(disk, settings, clock.clone(), Metrics::new(), Drain::new()).await.expect("a hub");
        Self { hub, clock, directory }
    }

    async fn create_policies(&self) {
        let policies = [
            ("owner", Rights::ALL),
            ("reader", Rights::REGISTRY_READ),
            ("writer", Rights::REGISTRY_READ | Rights::REGISTRY_WRITE),
            ("service", Rights::SERVICE_CONNECT),
            ("device", Rights::DEVICE_CONNECT),
        ];
        for (name, rights) in policies {
            let policy = Policy { name: name.to_owned(), primary: key(), secondary: key(), rights };
            self.hub.twins.create_policy(policy).await.expect("a policy");
        }
        self.hub.reload_trust().await.expect("trust");
    }

    /// A token for `resource`, good for an hour.
    pub(crate) fn token(&self, resource: &str, policy: Option<&str>) -> String {
        token::sign(resource, &key(), self.clock.now().saturating_add(Duration::from_secs(3600)), policy)
    }

    /// `METHOD /path?query`
    pub(crate) fn ask(&self, line: &str) -> Ask {
        let (method, uri) = line.split_once(' ').expect("a method and a path");
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).expect("a request");
        Ask { request }.header(AUTHORIZATION.as_str(), &self.token(HOST, Some("owner")))
    }

    pub(crate) async fn send(&self, ask: Ask) -> Response {
        answer(&self.origin(), ask.request).await
    }

    pub(crate) async fn answer(&self, ask: Ask) -> Answered {
        self.answer_on(&self.origin(), ask).await
    }

    /// The same on a connection that has carried requests before.
    pub(crate) async fn answer_on(&self, connection: &Origin, ask: Ask) -> Answered {
        let response = answer(connection, ask.request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
        if let Some(length) = parts.headers.get(axum::http::header::CONTENT_LENGTH) {
            assert_eq!(length.to_str().ok().and_then(|length| length.parse().ok()), Some(body.len()));
        }
        Answered { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin { hub: self.hub.clone(), peer: Arc::new(peer()), memory: Arc::default() }
    }

    /// A device that proves itself by the key of every policy.
    pub(crate) async fn create_device(&self, id: &str) {
        let body = format!(
            r#"{{"deviceId":"{id}","authentication":{{"type":"sas","symmetricKey":{{"primaryKey":"{0}","secondaryKey":"{0}"}}}}}}"#,
            key().to_base64()
        );
        let created = self.answer(self.ask(&format!("PUT /devices/{id}")).body(&body)).await;
        assert_eq!(created.status, 200, "{created:?}");
    }

    /// The same for a module.
    pub(crate) async fn create_module(&self, device: &str, module: &str) {
        let key = key().to_base64();
        let body = format!(
            r#"{{"deviceId":"{device}","moduleId":"{module}","authentication":{{"type":"sas","symmetricKey":{{"primaryKey":"{key}","secondaryKey":"{key}"}}}}}}"#
        );
        let created = self.answer(self.ask(&format!("PUT /devices/{device}/modules/{module}")).body(&body)).await;
        assert!(matches!(created.status, 200 | 201), "{created:?}");
    }

    /// What a device or module asks, with a token of its own: `GET /messages/devicebound` below
    /// the path of `identity`.
    pub(crate) fn ask_as(&self, identity: &str, line: &str) -> Ask {
        let base = match identity.split_once('/') {
            None => format!("/devices/{identity}"),
            Some((device, module)) => format!("/devices/{device}/modules/{module}"),
        };
        let (method, path) = line.split_once(' ').expect("a method and a path");
        self.ask(&format!("{method} {base}{path}")).authorization(&self.token(&format!("{HOST}{base}"), None))
    }

    pub(crate) fn grant(&self, id: &str) -> AuthGrant {
        let claim = ClaimedIdentity { identity: id.parse().expect("an identity"), host: HOST.to_owned() };
        let token = self.token(&format!("{HOST}/devices/{id}"), None);
        self.hub.admit(Evidence::Token(&token), &claim).expect("a grant")
    }

    /// Stores telemetry of a device, one event a body, and waits until it is durable.
    pub(crate) async fn store(&self, id: &str, bodies: &[&str]) {
        let mut sender = self.hub.telemetry.sender(&self.grant(id), None, Producer::Mqtt);
        for body in bodies {
            sender.admit(self.clock.now(), "", body.as_bytes()).expect("a message");
        }
        let batch = sender.take_batch();
        let permit = sender.log().reserve(sender.staged_bytes(&batch)).await.expect("room");
        let ticket = sender.append(permit, &batch).expect("staged").expect("a ticket");
        ticket.await.expect("durable");
    }
}

/// A peer without a certificate.
pub(crate) fn peer() -> Peer {
    Peer {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        chain: None,
        server_name: None,
        tls: "1.3",
        local_port: 0,
        failures: Arc::default(),
        standing: Standing::default(),
    }
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = axum::http::HeaderName::try_from(name).expect("a name");
        self.request.headers_mut().insert(name, HeaderValue::try_from(value).expect("a value"));
        self
    }

    pub(crate) fn authorization(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), token)
    }

    pub(crate) fn anonymous(mut self) -> Self {
        self.request.headers_mut().remove(AUTHORIZATION);
        self
    }

    pub(crate) fn if_match(self, etag: &str) -> Self {
        self.header(IF_MATCH.as_str(), etag)
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        *self.request.body_mut() = Body::from(body.to_owned());
        self
    }

    /// A body whose length nobody knows.
    pub(crate) fn stream<S>(mut self, stream: S) -> Self
    where
        S: futures_util::Stream<Item = std::io::Result<axum::body::Bytes>> + Send + 'static,
    {
        *self.request.body_mut() = Body::from_stream(stream);
        self
    }

    /// Adds a header whose value need not be text.
    pub(crate) fn header_bytes(mut self, name: &'static str, value: &[u8]) -> Self {
        self.request.headers_mut().append(name, HeaderValue::from_bytes(value).expect("a value"));
        self
    }
}

impl Answered {
    /// The error's name, empty when it is none.
    pub(crate) fn code(&self) -> &str {
        self.header("iothub-errorcode")
    }

    pub(crate) fn etag(&self) -> &str {
        self.header(ETAG.as_str())
    }

    /// A header, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}
