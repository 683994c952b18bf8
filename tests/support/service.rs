//! The service API as an operator uses it, down to the status and the body of each answer.

use std::time::Duration;

use model::connection_string::ConnectionString;
use model::{Clock, Secret};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::deadline::{SOON, within};
use super::events::StoredEvents;
use super::hub::HubProcess;

const API_VERSION: &str = "2021-04-12";
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// Speaks for the policy `iothubowner`.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    http: Client,
    base: String,
    policy: String,
    key: Secret,
}

/// Status and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The body; null when there is none.
    pub(crate) body: Value,
    /// The entity tag without its quotes, if there is one.
    pub(crate) etag: Option<String>,
    /// The id of the message that the body is, if it is one.
    pub(crate) message_id: Option<String>,
}

impl Service {
    /// The API of `hub`, wherever it listens now.
    pub(crate) fn of(hub: &HubProcess) -> Self {
        let text = std::fs::read_to_string(hub.data_dir().join("operator/connection-string")).expect("the connection string");
        let owner: ConnectionString = text.parse().expect("a connection string");
        let tls = certs::tls::client_config(&hub.server_ca_pem(), None).expect("a TLS configuration");
        let http = Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(3 * SOON).build().expect("a client");
        let key = Secret::from_base64(&owner.key).expect("a key");
        Self { http, base: format!("https://localhost:{}", hub.ports().https.port()), policy: owner.policy, key }
    }

    /// A token for everything, valid for an hour.
    pub(crate) fn token(&self) -> String {
        certs::token::sign("localhost", &self.key, Clock::system().now().saturating_add(TOKEN_LIFE), Some(&self.policy))
    }

    /// The policy's key.
    pub(crate) fn key(&self) -> Secret {
        self.key.clone()
    }

    /// Sends a request; `None` when the connection broke before the answer was complete.
    pub(crate) async fn try_ask(&self, method: Method, path: &str, if_match: Option<&str>, body: Option<&Value>) -> Option<Answer> {
        self.try_ask_as(&self.token(), method, path, if_match, body).await
    }

    /// The same with a token of the caller's.
    pub(crate) async fn try_ask_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let mut request = self.http.request(method, self.url(path, "")).header("authorization", token);
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).map(|value| value.to_str().expect("text").trim_matches('"').to_owned());
        let (etag, message_id) = (header("etag"), header("iothub-messageid"));
        let text = response.text().await.ok()?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect(&text) };
        Some(Answer { status, body, etag, message_id })
    }

    fn url(&self, path: &str, query: &str) -> String {
        format!("{}{path}?api-version={API_VERSION}{query}", self.base)
    }

    /// Sends a request and gives the answer, whatever it is.
    pub(crate) async fn ask(&self, method: Method, path: &str, if_match: Option<&str>, body: Option<&Value>) -> Answer {
        self.try_ask(method, path, if_match, body).await.expect("an answer")
    }

    /// Sends a request that must succeed.
    pub(crate) async fn must(&self, method: Method, path: &str, if_match: Option<&str>, body: Option<&Value>) -> Value {
        let answer = self.ask(method.clone(), path, if_match, body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer.body
    }

    /// Registers a device or module whose certificate the device CA signs.
    pub(crate) async fn register(&self, identity: &str) -> Value {
        self.register_with(identity, json!({"type": "certificateAuthority"})).await
    }

    /// Registers a device or module with an authentication of the caller's.
    pub(crate) async fn register_with(&self, identity: &str, authentication: Value) -> Value {
        self.must(Method::PUT, &identity_path(identity), None, Some(&identity_body(identity, authentication))).await
    }

    /// Changes a registered device: `change` edits what the registry shows.
    pub(crate) async fn update(&self, device: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut body = self.must(Method::GET, &identity_path(device), None, None).await;
        change(&mut body);
        self.must(Method::PUT, &identity_path(device), Some("*"), Some(&body)).await
    }

    /// Removes a device or module.
    pub(crate) async fn delete(&self, identity: &str) {
        self.must(Method::DELETE, &identity_path(identity), Some("*"), None).await;
    }

    /// The twin.
    pub(crate) async fn twin(&self, identity: &str) -> Value {
        self.must(Method::GET, &twin_path(identity), None, None).await
    }

    /// Merges into the desired properties.
    pub(crate) async fn patch_desired(&self, identity: &str, desired: Value) -> Value {
        self.must(Method::PATCH, &twin_path(identity), None, Some(&json!({"properties": {"desired": desired}}))).await
    }

    /// Sends a command; gives its sequence number.
    pub(crate) async fn send_command(&self, identity: &str, message_id: &str, body: &str) -> u64 {
        let path = format!("{}/commands", identity_path(identity));
        let sent = self.must(Method::POST, &path, None, Some(&json!({"body": body, "messageId": message_id}))).await;
        sent["sequenceNumber"].as_u64().expect("a sequence number")
    }

    /// Message ids in the command queue, whatever their state.
    pub(crate) async fn commands(&self, identity: &str) -> Vec<String> {
        let listed = self.must(Method::GET, &format!("{}/commands", identity_path(identity)), None, None).await;
        let id = |item: &Value| item["messageId"].as_str().expect("an id").to_owned();
        listed.as_array().expect("a list").iter().map(id).collect()
    }

    /// Calls a direct method.
    pub(crate) async fn call(&self, identity: &str, request: &Value) -> Answer {
        self.ask(Method::POST, &format!("{}/methods", twin_path(identity)), None, Some(request)).await
    }

    /// Everything stored in the event hub `events`.
    pub(crate) async fn events(&self) -> StoredEvents {
        StoredEvents::read(&self.event_text().await)
    }

    /// The same as lines of JSON.
    pub(crate) async fn event_text(&self) -> String {
        let response = self.event_stream("&from=earliest&follow=false").await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        within("all events", 3 * SOON, response.text()).await.expect("the whole stream")
    }

    /// The response of the event stream, its body not read yet.
    pub(crate) async fn event_stream(&self, query: &str) -> Option<Response> {
        let url = self.url("/eventHubs/events/events", query);
        self.http.get(url).header("authorization", self.token()).send().await.ok()
    }
}

/// `/devices/d` or `/devices/d/modules/m`.
pub(crate) fn identity_path(identity: &str) -> String {
    match identity.split_once('/') {
        None => format!("/devices/{identity}"),
        Some((device, module)) => format!("/devices/{device}/modules/{module}"),
    }
}

/// `/twins/d` or `/twins/d/modules/m`.
pub(crate) fn twin_path(identity: &str) -> String {
    match identity.split_once('/') {
        None => format!("/twins/{identity}"),
        Some((device, module)) => format!("/twins/{device}/modules/{module}"),
    }
}

fn identity_body(identity: &str, authentication: Value) -> Value {
    match identity.split_once('/') {
        None => json!({"deviceId": identity, "authentication": authentication}),
        Some((device, module)) => json!({"deviceId": device, "moduleId": module, "authentication": authentication}),
    }
}
