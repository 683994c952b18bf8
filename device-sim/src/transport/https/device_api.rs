//! Requests to the hub's device API, and what their answers mean.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use model::DeviceId;
use reqwest::header::{ETAG, HeaderMap, RETRY_AFTER};
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

/// The answer, if it says success.
async fn judge(response: Response) -> Result<Response, End> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    Err(failure(status, &headers, &response.text().await.unwrap_or_default()))
}

/// What is no fault of the device is worth another connection, later when the hub is too busy.
fn failure(status: StatusCode, headers: &HeaderMap, text: &str) -> End {
    let shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    let said = format!("the hub answered {}: {shown}", status.as_u16());
    if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status) {
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| read_seconds(value.as_bytes()));
        return End::Busy { said, retry_after };
    }
    if status.is_client_error() {
        return End::Refused(said);
    }
    End::Broken(anyhow!(said))
}

/// `Retry-After` as a number of seconds (RFC 9110, 10.2.3). A date, its other form, says nothing to a
/// device, whose clock need not be right.
fn read_seconds(value: &[u8]) -> Option<Duration> {
    std::str::from_utf8(value).ok()?.trim().parse().ok().map(Duration::from_secs)
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

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn said(status: StatusCode, retry_after: Option<&'static str>) -> End {
        let headers = retry_after.map(|value| (RETRY_AFTER, HeaderValue::from_static(value)));
        failure(status, &headers.into_iter().collect(), "later")
    }

    #[test]
    fn a_busy_hub_may_say_for_how_long() {
        let date = "Fri, 31 Dec 1999 23:59:59 GMT";
        for (header, seconds) in [(Some("7"), Some(7)), (None, None), (Some(date), None), (Some("-1"), None), (Some(""), None)] {
            for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
                let (end, expected) = (said(status, header), seconds.map(Duration::from_secs));
                assert!(matches!(&end, End::Busy { retry_after, .. } if *retry_after == expected), "{status} {header:?}: {end:?}");
            }
        }
    }

    #[test]
    fn a_refusal_and_a_fault_of_the_hub_are_told_apart_from_a_busy_hub() {
        assert!(matches!(said(StatusCode::FORBIDDEN, Some("7")), End::Refused(said) if said == "the hub answered 403: later"));
        assert!(matches!(said(StatusCode::INTERNAL_SERVER_ERROR, Some("7")), End::Broken(_)));
    }
}
