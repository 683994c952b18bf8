//! Requests to the hub's device API, and what their answers mean.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use model::DeviceId;
use reqwest::header::ETAG;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use super::batch::Batch;
use crate::transport::{Credentials, End, Settlement};

const API_VERSION: &str = "2021-04-12";
/// How long one connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take, beyond what the hub is asked to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Characters of a refusal that are shown.
const SHOWN_CHARACTERS_MAX: usize = 200;

/// The device API, as one device uses it.
pub(super) struct DeviceApi {
    pub(super) device: DeviceId,
    http: Client,
    /// The device's own path.
    base: Url,
}

/// A command, the device's own while its lock lasts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LockedCommand {
    pub(super) lock: String,
}

/// A call of a direct method.
pub(super) struct Call {
    pub(super) name: String,
    pub(super) request_id: String,
    pub(super) payload: Bytes,
}

impl DeviceApi {
    /// Nothing is sent yet.
    pub(super) fn new(credentials: &Credentials, address: SocketAddr) -> anyhow::Result<Self> {
        let mut tls = credentials.tls.as_ref().clone();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let http = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .user_agent(concat!("isthmus-device-sim/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .resolve(&credentials.host, address);
        let mut base = Url::parse(&format!("https://{}:{}/", credentials.host, address.port()))?;
        base.path_segments_mut().map_err(|()| anyhow!("the hub's name makes no URL"))?.extend(["devices", credentials.device.as_str()]);
        base.query_pairs_mut().append_pair("api-version", API_VERSION);
        Ok(Self { device: credentials.device.clone(), http: http.build()?, base })
    }

    /// Sends messages; returns when the hub has them on disk.
    pub(super) async fn send(&self, batch: &Batch) -> Result<(), End> {
        let content = batch.content();
        let request = self.request(Method::POST, &["messages", "events"], &[]).body(content.body);
        let request = content.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        judge(self.answer_to(request, Duration::ZERO).await?).await.map(drop)
    }

    /// The next command, if one comes within `wait`.
    pub(super) async fn next_command(&self, wait: Duration) -> Result<Option<LockedCommand>, End> {
        let path = ["messages", "devicebound"];
        let Some(response) = self.wait_for(&path, wait).await? else { return Ok(None) };
        let lock = header(&response, ETAG.as_str())?.trim_matches('"').to_owned();
        // Read to its end, so that the connection can be used again.
        read(response).await?;
        Ok(Some(LockedCommand { lock }))
    }

    /// Says what became of a command. A lock that has ended means that the hub delivers it again.
    pub(super) async fn settle(&self, lock: &str, settlement: Settlement) -> Result<(), End> {
        let path = ["messages", "devicebound", lock];
        let request = match settlement {
            Settlement::Complete => self.request(Method::DELETE, &path, &[]),
            Settlement::Reject => self.request(Method::DELETE, &path, &[("reject", "")]),
            Settlement::Abandon => self.request(Method::POST, &["messages", "devicebound", lock, "abandon"], &[]),
        };
        let response = self.answer_to(request, Duration::ZERO).await?;
        if response.status() == StatusCode::PRECONDITION_FAILED {
            tracing::info!(device = %self.device, "the lock of a command ended before it was settled");
            return Ok(());
        }
        judge(response).await.map(drop)
    }

    /// The next call, if one comes within `wait`.
    pub(super) async fn next_call(&self, wait: Duration) -> Result<Option<Call>, End> {
        let Some(response) = self.wait_for(&["methods"], wait).await? else { return Ok(None) };
        let (name, request_id) = (header(&response, "iothub-methodname")?, header(&response, "iothub-rid")?);
        Ok(Some(Call { name, request_id, payload: read(response).await? }))
    }

    /// Answers a call. It may come too late for its caller.
    pub(super) async fn answer(&self, request_id: &str, status: u16, body: String) -> Result<(), End> {
        let request = self.request(Method::POST, &["methods", request_id], &[("s", &status.to_string())]).body(body);
        let response = self.answer_to(request, Duration::ZERO).await?;
        if response.status() == StatusCode::NOT_FOUND {
            tracing::info!(device = %self.device, "nobody waited for the answer of a method any more");
            return Ok(());
        }
        judge(response).await.map(drop)
    }

    /// A request for the path below the device's own.
    fn request(&self, method: Method, path: &[&str], parameters: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        // One that has a host, as ours has, cannot fail here.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        url.query_pairs_mut().extend_pairs(parameters);
        self.http.request(method, url)
    }

    /// Asks for what may yet come. None when nothing came.
    async fn wait_for(&self, path: &[&str], wait: Duration) -> Result<Option<Response>, End> {
        let request = self.request(Method::GET, path, &[("wait", &wait.as_secs().to_string())]);
        let response = judge(self.answer_to(request, wait).await?).await?;
        Ok(Some(response).filter(|response| response.status() != StatusCode::NO_CONTENT))
    }

    async fn answer_to(&self, request: RequestBuilder, wait: Duration) -> Result<Response, End> {
        request.timeout(ANSWER_TIMEOUT + wait).send().await.map_err(broken)
    }
}

/// The answer, if it says success. What is no fault of the device is worth another connection.
async fn judge(response: Response) -> Result<Response, End> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    let shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    let said = format!("the hub answered {}: {shown}", status.as_u16());
    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        return Err(End::Refused(said));
    }
    Err(End::Broken(anyhow!(said)))
}

fn header(response: &Response, name: &'static str) -> Result<String, End> {
    let value = response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    value.with_context(|| format!("the hub's answer has no header {name}")).map_err(End::Broken)
}

async fn read(response: Response) -> Result<Bytes, End> {
    response.bytes().await.map_err(broken)
}

fn broken(error: reqwest::Error) -> End {
    End::Broken(error.into())
}
