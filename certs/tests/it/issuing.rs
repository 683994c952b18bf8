//! What we issue, our own judge and TLS clients accept.

use crate::support::{Hub, after, assert_refused, pinned, record};
use certs::issue::{IssueError, Issuer, self_signed};
use certs::judge::{Evidence, TrustedCa};
use certs::server_identity::{ServerIdentity, ServerIdentityError, Validity};
use certs::show::{self, CertificateSummary};
use certs::testkit::{Draft, Key, Name, StringType, now};
use certs::{PeerChain, ca, thumbprint};
use model::api::CaState;
use model::{Credentials, Epoch, Identity};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn summary(pem: &str) -> CertificateSummary {
    show::summarize(pem).expect("a certificate").remove(0)
}

fn leaf_of(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

#[test]
fn issued_certificates_are_let_in() {
    let issuer = Issuer::create("Development CA", now(), YEAR).expect("a CA");
    let admitted = ca::admit(&issuer.certificate_pem(), Vec::new(), now()).expect("a CA that may be enrolled");
    let mut hub = Hub::new();
    hub.trust.cas.push(TrustedCa { admitted, state: CaState::Enabled, epoch: Epoch::default() });
    let reopened = Issuer::from_pem(&issuer.certificate_pem(), &issuer.key_pem()).expect("the same CA");
    for (issuer, name) in [(&issuer, "dev-1"), (&reopened, "dev-1/mod"), (&reopened, &*"x".repeat(128))] {
        let identity: Identity = name.parse().expect("an identity");
        let issued = issuer.issue_device(&identity, now(), YEAR).expect("a certificate");
        let chain = PeerChain::new(&[leaf_of(&issued.chain_pem)]).expect("a chain");
        let record = record(name, Credentials::CertificateAuthority);
        let claim = crate::support::claim(name);
        let grant = hub.judge().admit(Evidence::Certificate(&chain), &claim, Some(&record), now());
        assert!(grant.is_ok(), "{name}: {grant:?}");
        assert!(issued.key_pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    }
}

#[test]
fn a_self_signed_certificate_is_let_in_by_its_thumbprint() {
    let issued = self_signed(&"dev-1".parse().expect("an id"), now(), YEAR).expect("a certificate");
    let leaf = leaf_of(&issued.chain_pem);
    let registered = record("dev-1", pinned(Some(thumbprint::sha256(&leaf)), None));
    let made = Draft::device("").self_signed().with_der(leaf.to_vec());
    assert!(Hub::new().verdict_for(&[&made], &registered, now()).is_ok());
    assert_refused("not by a CA", Hub::new().verdict(&[&made], "dev-1"), "path_unknown_issuer");
}

#[test]
fn certificates_say_what_they_are_for() {
    let issuer = Issuer::create("Development CA", now(), YEAR).expect("a CA");
    let root = summary(&issuer.certificate_pem());
    assert_eq!((root.ca, root.version, root.key.as_str()), (true, 3, "ECDSA P-256"));
    assert_eq!((root.subject.as_str(), root.not_after), ("CN=Development CA", now().saturating_add(YEAR)));
    let server = issuer.issue_server(&["localhost", "127.0.0.1", "::1"], now()).expect("a certificate");
    let server = summary(&server.chain_pem);
    assert_eq!((server.ca, server.purposes, server.issuer), (false, vec!["serverAuth".to_owned()], root.subject));
    assert_eq!(server.names, ["DNS:localhost", "IP:127.0.0.1", "IP:::1"]);
    let device = issuer.issue_device(&"d/m".parse().expect("an id"), now(), YEAR).expect("a certificate");
    let device = summary(&device.chain_pem);
    assert_eq!((device.ca, &device.purposes, device.subject.as_str()), (false, &vec!["clientAuth".to_owned()], "CN=d/m"));
    let v1 = Draft::device("").self_signed().with_der(include_bytes!("../fixtures/rsa-2048-v1.der").to_vec());
    assert_eq!((summary(&v1.pem()).version, summary(&v1.pem()).key), (1, "RSA 2048".to_owned()));
    for (key, kind) in [(Key::p384(), "ECDSA P-384"), (Key::p521(), "ECDSA P-521"), (Key::ed25519(), "Ed25519")] {
        assert_eq!(summary(&Draft::device("d").key(key).self_signed().pem()).key, kind);
    }
    let json = serde_json::to_value(device).expect("JSON");
    assert_eq!(json["notAfter"], now().saturating_add(YEAR).to_string());
}

#[test]
fn nothing_is_issued_in_the_name_of_another() {
    let (one, two) = (Draft::authority("one").self_signed(), Draft::authority("two").self_signed());
    assert!(matches!(Issuer::from_pem(&one.pem(), &two.key.pem()), Err(IssueError::KeyMismatch)));
    assert!(matches!(Issuer::from_pem("", &two.key.pem()), Err(IssueError::Certificate)));
    assert!(matches!(Issuer::from_pem(&one.pem(), ""), Err(IssueError::Key)));
    let twice = Name::common("one").and_common(StringType::Utf8, "two");
    let twice = Draft::authority("").subject(twice).self_signed();
    assert!(matches!(Issuer::from_pem(&twice.pem(), &twice.key.pem()), Err(IssueError::Subject)));
    let printable = Draft::authority("").subject(Name::empty().and_common(StringType::Printable, "CA")).self_signed();
    assert!(Issuer::from_pem(&printable.pem(), &printable.key.pem()).is_ok());
    let issuer = Issuer::create("CA", now(), YEAR).expect("a CA");
    assert!(matches!(issuer.issue_server(&[], now()), Err(IssueError::NoHostName)));
    assert!(matches!(issuer.issue_server(&["not a host"], now()), Err(IssueError::HostName { .. })));
}

#[test]
fn a_server_certificate_is_validated_before_it_replaces_another() {
    let issuer = Issuer::create("CA", now(), YEAR).expect("a CA");
    let first = issuer.issue_server(&["localhost"], now()).expect("a certificate");
    let identity = ServerIdentity::load(&first.chain_pem, &first.key_pem, now()).expect("a server identity");
    let not_after = identity.not_after();
    let later = after(86_400);
    let second = issuer.issue_server(&["localhost"], later).expect("a certificate");

    let refuse = |chain: &str, key: &str, at, expect: fn(&ServerIdentityError) -> bool| {
        let error = identity.replace(chain, key, at).expect_err("refused");
        assert!(expect(&error), "{error}");
        assert_eq!(identity.not_after(), not_after, "the old certificate stays");
    };
    refuse(&second.chain_pem, &first.key_pem, later, |e| matches!(e, ServerIdentityError::KeyMismatch));
    refuse("", &first.key_pem, later, |e| matches!(e, ServerIdentityError::Chain));
    refuse(&second.chain_pem, "", later, |e| matches!(e, ServerIdentityError::Key));
    refuse(&second.chain_pem, &second.key_pem, after(3 * 365 * 86_400), |e| matches!(e, ServerIdentityError::Expired { index: 0, .. }));
    refuse(&second.chain_pem, &second.key_pem, after(-86_400), |e| matches!(e, ServerIdentityError::NotYetValid { .. }));
    let device = issuer.issue_device(&"d".parse().expect("an id"), now(), YEAR).expect("a certificate");
    refuse(&device.chain_pem, &device.key_pem, later, |e| matches!(e, ServerIdentityError::Purpose));
    let nameless = Draft::device("localhost").without_purposes().self_signed();
    refuse(&nameless.pem(), &nameless.key.pem(), later, |e| matches!(e, ServerIdentityError::NoName));
    let stranger = Draft::authority("CA").self_signed();
    let mixed = format!("{}{}", second.chain_pem, stranger.pem());
    refuse(&mixed, &second.key_pem, later, |e| matches!(e, ServerIdentityError::Broken(_)));

    let with_root = format!("{}{}", second.chain_pem, issuer.certificate_pem());
    identity.replace(&with_root, &second.key_pem, later).expect("a chain that holds together");
    let (own, root) = (summary(&second.chain_pem), summary(&issuer.certificate_pem()));
    let validity = Validity { not_before: own.not_before, not_after: root.not_after };
    assert!(own.not_after > root.not_after);
    assert_eq!(identity.validity(), validity, "the certificate that ends first counts");
}
