//! The hub's own certificate is renewed while connections are open.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, process};

use certs::issue::{CertifiedKeyPem, Issuer};
use certs::show::summarize;
use model::{Clock, Timestamp};
use mqtt_proto::Version;
use mqtt_proto::wire::Packet;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::certificates::client_tls;
use crate::support::deadline::{SOON, wait_for, within};
use crate::support::device::Device;
use crate::support::hub::{HubProcess, binary};
use crate::support::kafka::KafkaClient;
use crate::support::packets::{connect, publish, telemetry_topic};
use crate::support::unfinished::UnfinishedRequest;
use crate::support::web_device::{Http, WebDevice};
use crate::websocket::WebSocketDevice;

const DAY: Duration = Duration::from_secs(24 * 3600);
const RENEWALS: &str = "isthmus_server_certificate_renewals_total";
const REFUSALS: &str = "isthmus_server_certificate_refusals_total";
const HTTPS_CONNECTIONS: &str = "isthmus_connections_opened_total{protocol=\"https\"}";

/// A certificate that clients of `hub` trust, issued at `now`, which is not the hub's own.
fn issued(hub: &HubProcess, now: Timestamp) -> CertifiedKeyPem {
    let key = fs::read_to_string(hub.data_dir().join("trust/ca.key")).expect("the CA's key");
    let ca = Issuer::from_pem(&hub.server_ca_pem(), &key).expect("the server CA");
    ca.issue_server(&["localhost"], now).expect("a certificate")
}

fn new_pair(hub: &HubProcess) -> CertifiedKeyPem {
    issued(hub, Clock::system().now().saturating_add(DAY / 2))
}

fn put_certificate(hub: &HubProcess, chain_pem: &str) {
    put(hub.data_dir().join("trust/server.pem"), chain_pem);
}

fn put_key(hub: &HubProcess, key_pem: &str) {
    put(hub.data_dir().join("trust/server.key"), key_pem);
}

/// As careful tools do it, so that no look meets half a file.
fn put(path: PathBuf, text: &str) {
    let staged = path.with_added_extension("staged");
    fs::write(&staged, text).expect("written");
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o600)).expect("private");
    fs::rename(staged, path).expect("renamed");
}

/// SIGHUP, and what it came to. The look of a minute may come before it and count, too.
fn look(hub: &HubProcess, counter: &str, expected: f64) {
    hub.hang_up();
    wait_for(counter, SOON, || (hub.metric(counter) >= expected).then_some(()));
}

fn leaf(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// What a new client is shown.
async fn shown(hub: &HubProcess, address: SocketAddr) -> CertificateDer<'static> {
    let dialing = async {
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(client_tls(&hub.server_ca_pem(), None)).connect(name, socket).await
    };
    let stream = within("a handshake", SOON, dialing).await.expect("a handshake");
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    chain.first().expect("a certificate").clone().into_owned()
}

async fn assert_shown_everywhere(hub: &HubProcess, pem: &str) {
    let ports = hub.ports();
    // MQTT over WebSocket comes through the port of HTTPS.
    for (listener, address) in [("mqtt", ports.mqtt), ("https", ports.https), ("kafka", ports.kafka)] {
        assert!(shown(hub, address).await == leaf(pem), "{listener} shows another certificate");
    }
}

fn first_certificate(hub: &HubProcess) -> String {
    fs::read_to_string(hub.data_dir().join("trust/server.pem")).expect("the certificate")
}

#[tokio::test]
async fn new_connections_see_a_renewed_certificate_and_open_ones_stay() {
    let hub = HubProcess::start();
    let service = hub.service();
    for device in ["dev-1", "dev-2", "dev-3", "dev-4"] {
        service.register(device).await;
    }
    assert_shown_everywhere(&hub, &first_certificate(&hub)).await;
    let mut mqtt = Device::connected(&hub, "dev-1").await;
    let mut web_socket = WebSocketDevice::dial(&hub, &hub.device_ca().issue("dev-4")).await;
    assert_eq!(web_socket.introduce(connect(Version::V311, "dev-4")).await, 0);
    let https = [Http::One, Http::Two].map(|version| WebDevice::certified(&hub, "dev-2", version));
    for device in &https {
        assert_eq!(device.send("before").await, 204);
    }
    let mut kafka = KafkaClient::connected(&hub).await.expect("connected");
    kafka.commit(1).await.expect("committed");

    let renewed = new_pair(&hub);
    put_key(&hub, &renewed.key_pem);
    put_certificate(&hub, &renewed.chain_pem);
    look(&hub, RENEWALS, 1.0);
    assert_shown_everywhere(&hub, &renewed.chain_pem).await;
    let not_after = summarize(&renewed.chain_pem).expect("a certificate")[0].not_after;
    assert_eq!(hub.metric("isthmus_server_certificate_not_after_seconds"), not_after.as_seconds() as f64);

    mqtt.publish_acknowledged(&telemetry_topic("dev-1"), "after").await;
    web_socket.send(&Packet::Publish(publish(&telemetry_topic("dev-4"), Some(1), "after"))).await;
    assert!(matches!(web_socket.receive().await, Some(Packet::PubAck(_))));
    kafka.commit(2).await.expect("committed");
    let connections = hub.metric(HTTPS_CONNECTIONS);
    for device in &https {
        assert_eq!(device.send("after").await, 204);
    }
    assert_eq!(hub.metric(HTTPS_CONNECTIONS), connections, "on the connections of before");
    let mut newcomer = Device::connected(&hub, "dev-3").await;
    newcomer.publish_acknowledged(&telemetry_topic("dev-3"), "new").await;
}

#[tokio::test]
async fn a_pair_that_cannot_be_shown_leaves_the_old_one_until_it_is_whole() {
    let hub = HubProcess::start();
    let first = first_certificate(&hub);
    let renewed = new_pair(&hub);
    let expired = issued(&hub, Timestamp::parse_rfc3339("2020-01-01T00:00:00Z").expect("a date"));
    let (half, _) = renewed.chain_pem.split_at(renewed.chain_pem.len() / 2);
    for (number, (chain_pem, key_pem, reason)) in [
        (renewed.chain_pem.as_str(), None, "does not belong to the server certificate"),
        (half, None, "no chain of certificates in PEM"),
        (expired.chain_pem.as_str(), Some(&expired.key_pem), "expired at 2022-"),
        (renewed.chain_pem.as_str(), None, "does not belong to the server certificate"),
    ]
    .into_iter()
    .enumerate()
    {
        if let Some(key_pem) = key_pem {
            put_key(&hub, key_pem);
        }
        put_certificate(&hub, chain_pem);
        let lines = hub.logged(&["the server certificate was not renewed", reason]);
        look(&hub, REFUSALS, number as f64 + 1.0);
        wait_for(reason, SOON, || (hub.logged(&["the server certificate was not renewed", reason]) > lines).then_some(()));
        assert_shown_everywhere(&hub, &first).await;
    }
    assert_eq!(hub.metric(RENEWALS), 0.0);
    assert_eq!(hub.health(), 200);
    put_key(&hub, &renewed.key_pem);
    look(&hub, RENEWALS, 1.0);
    assert_shown_everywhere(&hub, &renewed.chain_pem).await;
}

#[test]
fn check_reports_a_pair_that_could_not_be_shown() {
    let mut hub = HubProcess::start();
    let renewed = new_pair(&hub);
    let expired = issued(&hub, Timestamp::parse_rfc3339("2020-01-01T00:00:00Z").expect("a date"));
    hub.kill();
    let checked = || {
        let configuration = hub.data_dir().join("isthmus.toml");
        let output = process::Command::new(binary("isthmus")).arg("check").arg("--config").arg(configuration).output().expect("isthmus");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    // The tests' configuration says nothing of data, which then lie beside it.
    assert_eq!(checked(), (Some(0), String::new()));
    put_certificate(&hub, &renewed.chain_pem);
    let (code, said) = checked();
    assert!(code == Some(64) && said.contains("the server key does not belong to the server certificate"), "{code:?}: {said}");
    put_certificate(&hub, &expired.chain_pem);
    put_key(&hub, &expired.key_pem);
    let (code, said) = checked();
    assert!(code == Some(64) && said.contains("certificate 0 of the server's chain expired at 2022-"), "{code:?}: {said}");
}

/// Starts a hub that belongs to a new terminal; gives the terminal's end.
fn started_in_a_terminal(hub: &mut HubProcess, wrapper: &str) -> OwnedFd {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&terminal).expect("granted");
    unlockpt(&terminal).expect("unlocked");
    let other_side = ptsname(&terminal, Vec::new()).expect("a name").into_string().expect("text");
    let script = format!("exec setsid --ctty {wrapper} \"$@\" <\"$0\"");
    let wrapper = ["sh", "-c", &script, &other_side].map(Into::into);
    hub.try_start(&wrapper).unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log));
    terminal
}

fn wait_for_answers(hub: &HubProcess, count: usize) {
    wait_for("an answer", SOON, || (hub.logged(&["the files hold the server certificate that is shown"]) >= count).then_some(()));
}

#[tokio::test]
async fn a_hub_ends_with_its_terminal_and_at_no_other_sighup() {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::not_started_at(scratch.path());
    let terminal = started_in_a_terminal(&mut hub, "");
    hub.hang_up();
    wait_for_answers(&hub, 1);
    hub.service().register("dev-1").await;
    let request = UnfinishedRequest::begin(&hub, "dev-1").await;
    // The system tells the hub.
    drop(terminal);
    wait_for("the stop", SOON, || (hub.logged(&["stopping", "SIGHUP"]) == 1).then_some(()));
    // A shell that ends with the terminal tells its jobs, too.
    hub.hang_up();
    assert_eq!(request.finish().await, "HTTP/1.1 204 No Content", "{}", hub.log());
    assert!(hub.wait().success(), "{}", hub.log());
    assert_eq!(hub.logged(&["stopping"]), 1, "{}", hub.log());
    assert!(!hub.data_dir().join("ports.json").exists(), "nobody is sent to a hub that stopped");

    let terminal = started_in_a_terminal(&mut hub, "nohup");
    drop(terminal);
    wait_for_answers(&hub, 2);
    hub.hang_up();
    wait_for_answers(&hub, 3);
}
