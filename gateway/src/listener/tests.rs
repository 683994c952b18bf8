use certs::issue::Issuer;
use certs::server_identity::ServerIdentity;
use certs::tls;
use model::{DeviceId, Identity, Timestamp};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use super::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A listener in this process that answers each connection with one byte.
struct Fixture {
    address: SocketAddr,
    ca: Issuer,
    now: Timestamp,
    metrics: Metrics,
    drain: Drain,
    peers: mpsc::UnboundedReceiver<Peer>,
}

impl Fixture {
    fn start(handshakes: Handshakes) -> Self {
        let now = model::Clock::system().now();
        let ca = Issuer::create("test", now, YEAR).expect("CA");
        let issued = ca.issue_server(&["localhost"], now).expect("certificate");
        let identity = ServerIdentity::load(&issued.chain_pem, &issued.key_pem, now).expect("identity");
        let config = tls::server_config(identity, &[]).expect("TLS");
        let (metrics, drain) = (Metrics::new(), Drain::new());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("address");
        let (told, peers) = mpsc::unbounded_channel();
        let reception = Reception::new(handshakes, metrics.clone(), drain.clone());
        let greet = move |mut stream: SecureStream, peer: Peer| {
            let told = told.clone();
            async move {
                assert!(peer.server_name.is_some(), "a connection that names no host is this test's way to panic");
                told.send(peer).expect("the test listens");
                stream.write_all(b"!").await.expect("write");
                stream.shutdown().await.expect("shut down");
            }
        };
        let listener = TcpListener::from_std(listener).expect("listener");
        drain.spawn(reception.accept(listener, config, greet));
        Self { address, ca, now, metrics, drain, peers }
    }

    fn client(&self, certificate: Option<(&str, &str)>) -> ClientConfig {
        tls::client_config(&self.ca.certificate_pem(), certificate).expect("client")
    }

    async fn greeted(&self, config: ClientConfig) -> io::Result<u8> {
        let socket = TcpStream::connect(self.address).await?;
        let name = "localhost".try_into().expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
        stream.read_u8().await
    }
}

#[tokio::test]
async fn a_stalled_handshake_holds_up_nobody() {
    // One permit: whoever held it while stalling would be the last to be served.
    let mut fixture = Fixture::start(Handshakes::new(1, Duration::from_secs(3600)));
    let mut stalled = Vec::new();
    for _ in 0..20 {
        stalled.push(TcpStream::connect(fixture.address).await.expect("connect"));
        let mut dripping = TcpStream::connect(fixture.address).await.expect("connect");
        dripping.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.expect("a beginning of a client hello");
        stalled.push(dripping);
    }
    assert_eq!(fixture.greeted(fixture.client(None)).await.expect("served"), b'!');
    let peer = fixture.peers.recv().await.expect("a peer");
    assert!(peer.chain.is_none());
    assert_eq!((peer.server_name.as_deref(), peer.tls), (Some("localhost"), "1.3"));
    drop(stalled);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_ended() {
    let fixture = Fixture::start(Handshakes::new(8, Duration::from_millis(20)));
    let mut silent = TcpStream::connect(fixture.address).await.expect("connect");
    assert_eq!(silent.read(&mut [0; 16]).await.expect("closed in order"), 0);
}

#[tokio::test]
async fn the_certificate_a_client_proves_is_handed_on() {
    let mut fixture = Fixture::start(Handshakes::new(8, Duration::from_secs(60)));
    let identity = Identity::device("pump-1".parse::<DeviceId>().expect("an id"));
    let issued = fixture.ca.issue_device(&identity, fixture.now, YEAR).expect("certificate");
    let client = fixture.client(Some((&issued.chain_pem, &issued.key_pem)));
    assert_eq!(fixture.greeted(client).await.expect("served"), b'!');
    assert!(fixture.peers.recv().await.expect("a peer").chain.is_some());
}

#[tokio::test]
async fn a_panic_ends_one_connection_and_is_counted() {
    let fixture = Fixture::start(Handshakes::new(8, Duration::from_secs(60)));
    let mut nameless = fixture.client(None);
    nameless.enable_sni = false;
    fixture.greeted(nameless).await.expect_err("it panicked");
    assert_eq!(fixture.greeted(fixture.client(None)).await.expect("others are served"), b'!');
    assert_eq!(fixture.metrics.panics(), 1);
}

#[tokio::test]
async fn a_stopping_hub_accepts_nothing_and_waits_for_no_handshake() {
    let fixture = Fixture::start(Handshakes::new(8, Duration::from_secs(3600)));
    let mut stalled = TcpStream::connect(fixture.address).await.expect("connect");
    assert_eq!(fixture.greeted(fixture.client(None)).await.expect("the accept loop has passed the stalled one"), b'!');
    fixture.drain.begin(Duration::from_secs(60));
    assert_eq!(stalled.read(&mut [0; 16]).await.unwrap_or(0), 0);
    assert_eq!(fixture.drain.finished().await, 0);
    TcpStream::connect(fixture.address).await.expect_err("nobody listens");
}
