//! Handshakes of real TLS peers over memory, on 1.2 and 1.3, and the judgement after them.

use std::sync::Arc;

use crate::support::{Hub, claim, pinned, record};
use certs::PeerChain;
use certs::issue::Issuer;
use certs::judge::{AuthReject, Evidence, Judge};
use certs::server_identity::ServerIdentity;
use certs::testkit::{Draft, Key, Made, now};
use certs::tls;
use model::api::CaState;
use model::{Credentials, IdentityRecord};
use rustls::client::ResolvesClientCert;
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, HandshakeKind, RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

#[derive(Debug)]
struct TestTime;

impl TimeProvider for TestTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(now().as_seconds().unsigned_abs())))
    }
}

/// Shows a chain and signs with a key, whether they belong together or not.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A server as listeners configure it, and what its clients trust.
struct Server {
    config: Arc<ServerConfig>,
    ca_pem: String,
}

impl Server {
    fn new() -> Self {
        let issuer = Issuer::create("Server CA", now(), std::time::Duration::from_secs(86_400)).expect("a CA");
        let issued = issuer.issue_server(&["localhost"], now()).expect("a certificate");
        let identity = ServerIdentity::load(&issued.chain_pem, &issued.key_pem, now()).expect("a server identity");
        let config = tls::server_config(identity, &[b"mqtt", b"h2"]).expect("a configuration");
        Self { config, ca_pem: issuer.certificate_pem() }
    }

    /// The same with resumption as rustls has it by default.
    fn resuming() -> Self {
        let server = Self::new();
        let mut config = ServerConfig::clone(&server.config);
        config.send_tls13_tickets = 2;
        config.session_storage = ServerSessionMemoryCache::new(256);
        Self { config: Arc::new(config), ..server }
    }

    fn client(&self, version: &'static SupportedProtocolVersion, chain: &[&Made], key: &Key) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).expect("a certificate")).expect("a root");
        let key = PrivateKeyDer::from_pem_slice(key.pem().as_bytes()).expect("a key");
        let key = tls::provider().key_provider.load_private_key(key).expect("a key");
        let chain = chain.iter().map(|made| made.der.clone()).collect();
        let config = ClientConfig::builder_with_details(tls::provider(), Arc::new(TestTime))
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Shows(Arc::new(CertifiedKey::new(chain, key)))));
        Arc::new(config)
    }

    /// The server's end of a handshake, or its reason to break it off.
    #[expect(clippy::unwrap_in_result, reason = "the error is the server's verdict, the rest is the test's own affair")]
    fn shake(&self, client: Arc<ClientConfig>) -> Result<ServerConnection, Error> {
        let mut client = ClientConnection::new(client, "localhost".try_into().expect("a name")).expect("a client");
        let mut server = ServerConnection::new(self.config.clone()).expect("a server");
        let mut wire = Vec::new();
        while client.wants_write() || server.wants_write() {
            client.write_tls(&mut wire).expect("memory");
            let mut bytes = wire.as_slice();
            while !bytes.is_empty() {
                server.read_tls(&mut bytes).expect("memory");
                server.process_new_packets()?;
            }
            wire.clear();
            server.write_tls(&mut wire).expect("memory");
            let mut bytes = wire.as_slice();
            while !bytes.is_empty() {
                client.read_tls(&mut bytes).expect("memory");
                client.process_new_packets().expect("a server that the client accepts");
            }
            wire.clear();
        }
        assert!(!server.is_handshaking());
        Ok(server)
    }
}

fn judged(judge: &Judge, connection: &ServerConnection, record: &IdentityRecord) -> Result<(), AuthReject> {
    let chain = connection.peer_certificates().map(|chain| PeerChain::new(chain).expect("a chain that passed the handshake"));
    let evidence = chain.as_ref().map_or(Evidence::Nothing, Evidence::Certificate);
    judge.admit(evidence, &claim(&record.identity.to_string()), Some(record), now()).map(|_| ())
}

fn assert_let_in(row: &str, version: &'static SupportedProtocolVersion, pinned_leaf: &Made) {
    let server = Server::new();
    let client = server.client(version, &[pinned_leaf], &pinned_leaf.key);
    let connection = server.shake(client).unwrap_or_else(|error| panic!("{row}, {version:?}: {error}"));
    let registered = record("dev-1", pinned(Some(pinned_leaf.sha256()), None));
    assert_eq!(judged(&Hub::new().judge(), &connection, &registered), Ok(()), "{row}, {version:?}");
}

#[test]
fn pinned_certificates_of_any_shape_pass() {
    let authority = Draft::authority("dev-1").self_signed();
    let v1 = Draft::device("dev-1").version_1().self_signed();
    for version in VERSIONS {
        for (row, made) in [("row 28", &authority), ("row 29", &v1)] {
            assert_let_in(row, version, made);
        }
    }
}

#[test]
fn every_common_kind_of_key_shakes_hands() {
    for version in VERSIONS {
        for (row, key) in [("row 46", Key::p384()), ("row 47", Key::ed25519()), ("row 48", Key::p521())] {
            let made = Draft::device("dev-1").key(key).version_1().self_signed();
            assert_let_in(row, version, &made);
        }
    }
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let server = Server::new();
    let stolen = Draft::device("dev-1").self_signed();
    for version in VERSIONS {
        for key in [Key::p256(), Key::p384(), Key::ed25519()] {
            let refused = server.shake(server.client(version, &[&stolen], &key)).map(|_| ());
            assert!(matches!(refused, Err(Error::InvalidCertificate(_))), "row 91, {version:?}: {refused:?}");
        }
    }
}

#[test]
fn chains_out_of_bounds_end_the_handshake() {
    let server = Server::new();
    let small = Draft::device("dev-1").self_signed();
    let padded = |bytes| Draft::device("dev-1").unknown_extension(false, bytes).self_signed();
    let (large, huge) = (padded(6000), padded(8000));
    for version in VERSIONS {
        for (row, chain) in [("row 36", vec![&small; 9]), ("row 37", vec![&large; 3]), ("row 38", vec![&huge])] {
            let refused = server.shake(server.client(version, &chain, &chain[0].key)).map(|_| ());
            assert!(matches!(refused, Err(Error::InvalidCertificate(CertificateError::Other(_)))), "{row}, {version:?}: {refused:?}");
        }
    }
}

#[test]
fn a_client_without_a_certificate_is_judged_by_something_else() {
    let server = Server::new();
    let mut client = tls::client_config(&server.ca_pem, None).expect("a configuration");
    client.time_provider = Arc::new(TestTime);
    client.alpn_protocols = vec![b"mqtt".to_vec()];
    let connection = server.shake(Arc::new(client)).expect("a handshake");
    assert_eq!(connection.alpn_protocol(), Some(&b"mqtt"[..]));
    assert!(connection.peer_certificates().is_none());
    let judged = judged(&Hub::new().judge(), &connection, &record("dev-1", Credentials::CertificateAuthority));
    assert_eq!(judged, Err(AuthReject::NoEvidence));
}

#[test]
fn our_own_client_shows_its_certificate() {
    let server = Server::new();
    let own = Draft::device("dev-1").self_signed();
    let mut client = tls::client_config(&server.ca_pem, Some((&own.pem(), &own.key.pem()))).expect("a configuration");
    client.time_provider = Arc::new(TestTime);
    let connection = server.shake(Arc::new(client)).expect("a handshake");
    let registered = record("dev-1", pinned(Some(own.sha256()), None));
    assert_eq!(judged(&Hub::new().judge(), &connection, &registered), Ok(()));
    assert!(tls::client_config(&server.ca_pem, Some((&own.pem(), "no key"))).is_err());
    assert!(tls::client_config("no CA", None).is_err());
}

#[test]
fn sessions_are_not_resumed() {
    let server = Server::new();
    let own = Draft::device("dev-1").self_signed();
    for version in VERSIONS {
        let client = server.client(version, &[&own], &own.key);
        for _ in 0..2 {
            let connection = server.shake(client.clone()).expect("a handshake");
            assert_ne!(connection.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
        }
    }
}

/// Were resumption switched on, nothing would change: the verdict is given after the handshake.
#[test]
fn a_resumed_session_is_judged_like_a_new_one() {
    let root = Draft::authority("root").self_signed();
    let leaf = Draft::device("dev-1").signed_by(&root);
    let registered = record("dev-1", Credentials::CertificateAuthority);
    for (row, version) in [("row 98", &TLS12), ("row 97", &TLS13)] {
        let judge = Hub::trusting(&[&root]).judge();
        let server = Server::resuming();
        let client = server.client(version, &[&leaf], &leaf.key);
        let first = server.shake(client.clone()).expect("a handshake");
        assert_eq!(judged(&judge, &first, &registered), Ok(()), "{row}");

        let mut trust = judge.snapshot();
        trust.cas[0].state = CaState::Disabled;
        judge.replace(trust);
        let second = server.shake(client).expect("a handshake");
        assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed), "{row}");
        let refused = judged(&judge, &second, &registered).expect_err("refused");
        assert_eq!(refused.name(), "path_ca_disabled", "{row}");
        let disabled = IdentityRecord { enabled: false, ..registered.clone() };
        assert_eq!(judged(&judge, &second, &disabled), Err(AuthReject::IdentityDisabled), "{row}");
    }
}
