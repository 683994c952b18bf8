//! Files from devices: what is acknowledged is there, whoever else tries gets nothing in.

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::certificates::client_tls;
use crate::support::deadline::{SOON, within};
use crate::support::hub::HubProcess;
use crate::support::service::Service;

/// A device that asks over HTTPS with its certificate.
struct Uploader {
    http: Client,
    base: String,
    device: String,
}

/// An upload under way.
struct Begun {
    id: String,
    /// The file's address, with the link.
    url: String,
}

impl Uploader {
    async fn registered(hub: &HubProcess, service: &Service, device: &str) -> Self {
        service.register(device).await;
        Self::of(hub, device)
    }

    fn of(hub: &HubProcess, device: &str) -> Self {
        let certificate = hub.device_ca().issue(device);
        let tls = client_tls(&hub.server_ca_pem(), Some(&certificate));
        let tls = std::sync::Arc::unwrap_or_clone(tls);
        let http = Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(3 * SOON).build().expect("a client");
        Self { http, base: format!("https://localhost:{}", hub.ports().https.port()), device: device.to_owned() }
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        let url = format!("{}/devices/{}{path}?api-version=2021-04-12", self.base, self.device);
        self.http.post(url).body(body.to_string()).send().await.expect("an answer")
    }

    async fn begin(&self, name: &str) -> Begun {
        let answer = self.post("/files", json!({ "blobName": name })).await;
        assert_eq!(answer.status(), 200);
        let started: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        let text = |key: &str| started[key].as_str().expect(key);
        let url = format!("https://{}/{}/{}{}", text("hostName"), text("containerName"), text("blobName"), text("sasToken"));
        assert!(url.starts_with(&self.base), "{url}");
        Begun { id: text("correlationId").to_owned(), url }
    }

    async fn put(&self, url: &str, body: impl Into<reqwest::Body>) -> u16 {
        let put = self.http.put(url).header("x-ms-blob-type", "BlockBlob").body(body).send().await;
        put.expect("an answer").status().as_u16()
    }

    async fn end(&self, id: &str) -> u16 {
        self.post("/files/notifications", json!({"correlationId": id, "isSuccess": true})).await.status().as_u16()
    }
}

async fn names(service: &Service) -> Vec<String> {
    let listed = service.must(Method::GET, "/files", None, None).await;
    listed.as_array().expect("a list").iter().map(|file| file["blobName"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_file_acknowledged_before_sigkill_is_there_and_its_upload_goes_on() {
    let mut hub = HubProcess::start();
    let service = hub.service();
    let device = Uploader::registered(&hub, &service, "dev-1").await;
    let begun = device.begin("f").await;
    let body = vec![7; 3_000_000];
    assert_eq!(device.put(&begun.url, body.clone()).await, 201);
    let block = format!("{}&comp=block&blockid=QUFB", device.begin("g").await.url);
    assert_eq!(device.put(&block, "block").await, 201);
    hub.kill();
    hub.restart();
    let (service, device) = (hub.service(), Uploader::of(&hub, "dev-1"));
    assert_eq!(std::fs::read(hub.data_dir().join("files/uploads/dev-1/f")).expect("the file"), body);
    assert_eq!(device.end(&begun.id).await, 204, "known after the restart");
    assert_eq!(device.end(&begun.id).await, 400, "and ended once");
    let list = "<BlockList><Latest>QUFB</Latest></BlockList>";
    assert_eq!(device.put(&block.replace("comp=block&blockid=QUFB", "comp=blocklist"), list).await, 201, "the block as well");
    hub.kill();
    hub.restart();
    let service_again = hub.service();
    assert_eq!(names(&service_again).await, ["dev-1/f", "dev-1/g"]);
    let told = service_again.must(Method::GET, "/messages/serviceBound/filenotifications", None, None).await;
    assert_eq!((told["blobName"].as_str(), told["blobSizeInBytes"].as_u64()), (Some("dev-1/f"), Some(3_000_000)));
    drop(service);
}

#[tokio::test]
async fn a_link_lets_nobody_into_anything_else() {
    let hub = HubProcess::start();
    let service = hub.service();
    let device = Uploader::registered(&hub, &service, "dev-1").await;
    let other = Uploader::registered(&hub, &service, "dev-2").await;
    let (mine, theirs) = (device.begin("a").await, other.begin("a").await);
    let link = |begun: &Begun| begun.url.split_once('?').expect("a query").1.to_owned();
    for (case, url) in [
        ("another device's file", format!("{}/uploads/dev-2/a?{}", device.base, link(&mine))),
        ("another's link", format!("{}/uploads/dev-1/a?{}", device.base, link(&theirs))),
        ("no link", format!("{}/uploads/dev-1/a", device.base)),
        ("encoded steps up", format!("{}/uploads/dev-1/%2e%2e%2f%2e%2e%2fhub.db?{}", device.base, link(&mine))),
    ] {
        let status = device.put(&url, "x").await;
        assert!(matches!(status, 400 | 403), "{case}: {status}");
    }
    assert_eq!(device.end(&theirs.id).await, 400, "another device's upload");
    let foreign = device.http.post(format!("{}/devices/dev-2/files", device.base)).body(r#"{"blobName":"a"}"#).send().await;
    assert_eq!(foreign.expect("an answer").status(), 401);
    assert_eq!(names(&service).await, Vec::<String>::new());
    assert_eq!(device.put(&mine.url, "x").await, 201);
    assert_eq!(device.end(&mine.id).await, 204);
    assert_eq!(device.put(&mine.url, "y").await, 403, "replayed after the end");
    assert_eq!(names(&service).await, ["dev-1/a"]);
}

#[tokio::test]
async fn eleven_at_once_are_one_too_many() {
    let hub = HubProcess::start();
    let service = hub.service();
    let device = Uploader::registered(&hub, &service, "dev-1").await;
    let asked = (0..11).map(|number| device.post("/files", json!({ "blobName": number.to_string() })));
    let mut statuses: Vec<u16> = futures_util::future::join_all(asked).await.iter().map(|answer| answer.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 10].as_slice(), &[403]].concat());
}

/// Sends `request` as it is and reads until the hub closes.
async fn raw(hub: &HubProcess, request: &str) -> String {
    let connector = TlsConnector::from(client_tls(&hub.server_ca_pem(), None));
    let socket = TcpStream::connect(hub.ports().https).await.expect("connected");
    let name = "localhost".try_into().expect("a name");
    let mut socket = connector.connect(name, socket).await.expect("a handshake");
    socket.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    // How the connection ends does not matter, only what came before.
    let _ = within("the hub's close", 3 * SOON, socket.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_is_too_long_or_lies_is_cut_off_and_leaves_nothing() {
    let hub = HubProcess::start();
    let service = hub.service();
    let device = Uploader::registered(&hub, &service, "dev-1").await;
    let begun = device.begin("a").await;
    let target = begun.url.strip_prefix(&device.base).expect("of the hub");
    let head = |headers: &str| format!("PUT {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    let announced = raw(&hub, &head("Content-Length: 300000000000\r\nExpect: 100-continue\r\n")).await;
    assert!(announced.starts_with("HTTP/1.1 413") && announced.contains("RequestBodyTooLarge"), "{announced}");
    let bad_chunk = raw(&hub, &format!("{}5\r\nhello\r\nxyz\r\n", head("Transfer-Encoding: chunked\r\n"))).await;
    assert!(bad_chunk.starts_with("HTTP/1.1 400") && bad_chunk.contains("InvalidInput"), "{bad_chunk}");
    assert_eq!(names(&service).await, Vec::<String>::new());
    let left = std::fs::read_dir(hub.data_dir().join("files/.uploading")).expect("a directory").count();
    assert_eq!(left, 0);
    let chunked = raw(&hub, &format!("{}5\r\nhello\r\n0\r\n\r\n", head("Transfer-Encoding: chunked\r\n"))).await;
    assert!(chunked.starts_with("HTTP/1.1 201"), "a plain PUT in chunks: {chunked}");
    assert_eq!(names(&service).await, ["dev-1/a"]);
}
