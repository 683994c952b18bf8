//! Who is let in over MQTT, and what everybody else is told: the return codes of 3.1.1, the
//! reason codes of 5, one log line with the reason, and nothing changed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use certs::issue::CertifiedKeyPem;
use model::{Clock, Secret, Timestamp};
use mqtt_proto::Version;
use mqtt_proto::wire::{Connect, ReasonCode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::certificates::{DeviceCa, client_tls, thumbprint, without_ca};
use crate::support::device::{Device, reason_code, return_code};
use crate::support::facts::Facts;
use crate::support::hub::HubProcess;
use crate::support::packets::{connect, telemetry_topic, text, will};
use crate::support::service::Service;

const KEY: &[u8] = b"a key of thirty-two bytes, or so.";

/// A hub with a device of each kind: `ca-1` and `ca-2` with the module `ca-1/m`, `key-1`,
/// `pinned-1`, `off-1` (disabled).
struct Population {
    hub: HubProcess,
    service: Service,
    pinned: CertifiedKeyPem,
}

impl Population {
    async fn start() -> Self {
        let hub = HubProcess::start();
        let service = hub.service();
        for identity in ["ca-1", "ca-2", "ca-1/m", "off-1"] {
            service.register(identity).await;
        }
        service.update("off-1", |device| device["status"] = json!("disabled")).await;
        let key = STANDARD.encode(KEY);
        service.register_with("key-1", json!({"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})).await;
        let pinned = without_ca("pinned-1");
        service.register_with("pinned-1", pinned_by(&thumbprint(&pinned.chain_pem))).await;
        Self { hub, service, pinned }
    }

    async fn facts(&self) -> Facts {
        Facts::of(&self.service, &["ca-1", "ca-2", "ca-1/m", "key-1", "pinned-1", "off-1"]).await
    }

    /// Sends `connect` showing `certificate`; gives the code, and sees that the hub closes after a
    /// refusal.
    async fn answer(&self, connect: &Connect, certificate: Option<&CertifiedKeyPem>) -> (u8, bool) {
        let tls = client_tls(&self.hub.server_ca_pem(), certificate);
        let mut device = Device::dial(self.hub.ports().mqtt, tls).await.expect("a handshake");
        let answer = device.introduce(connect).await;
        let accepted = answer.code.is_success();
        if accepted {
            device.disconnect().await;
        } else {
            device.expect_closed().await;
        }
        match connect.version {
            Version::V311 => (return_code(&answer), accepted),
            Version::V5 => (reason_code(&answer).into(), accepted),
        }
    }

    /// Both versions refuse, with these codes and `logged` in the log; nothing has changed.
    async fn check(
        &self,
        case: &str,
        change: impl Fn(&mut Connect),
        certificate: Option<&CertifiedKeyPem>,
        codes: (u8, ReasonCode),
        logged: &str,
    ) {
        let before = self.facts().await;
        for (version, code) in [(Version::V311, codes.0), (Version::V5, codes.1.into())] {
            let mut connect = connect(version, "ca-1");
            change(&mut connect);
            let lines = self.hub.logged(&[logged]);
            assert_eq!(self.answer(&connect, certificate).await, (code, false), "{case}, {version:?}");
            assert!(self.hub.logged(&[logged]) > lines, "{case}: no line with {logged:?} in the log\n{}", self.hub.log());
        }
        assert_eq!(self.facts().await, before, "{case}");
    }
}

fn pinned_by(thumbprint: &str) -> Value {
    json!({"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint, "secondaryThumbprint": null}})
}

fn in_an_hour() -> Timestamp {
    Clock::system().now().saturating_add(Duration::from_secs(3600))
}

fn token(resource: &str, key: &[u8], expires: Timestamp) -> Bytes {
    certs::token::sign(resource, &Secret::new(key.to_vec()), expires, None).into()
}

/// Makes the CONNECT that of `identity`.
fn as_identity(identity: &str) -> impl Fn(&mut Connect) {
    let identity = identity.to_owned();
    move |login| {
        let version = login.version;
        *login = connect(version, &identity);
    }
}

/// The same, with a token as password.
fn with_token(identity: &str, password: Bytes) -> impl Fn(&mut Connect) {
    let login = as_identity(identity);
    move |connect| {
        login(connect);
        connect.password = Some(password.clone());
    }
}

#[tokio::test]
async fn whoever_proves_its_identity_is_let_in() {
    let population = Population::start().await;
    let ca = population.hub.device_ca();
    let check = async |identity: &str, password: Option<Bytes>, certificate: Option<&CertifiedKeyPem>| {
        for version in [Version::V311, Version::V5] {
            let login = Connect { password: password.clone(), ..connect(version, identity) };
            assert_eq!(population.answer(&login, certificate).await, (0, true), "{identity} {version:?}");
        }
    };
    check("ca-1", None, Some(&ca.issue("ca-1"))).await;
    check("ca-1/m", None, Some(&ca.issue("ca-1/m"))).await;
    check("pinned-1", None, Some(&population.pinned)).await;
    check("key-1", Some(token("localhost/devices/key-1", KEY, in_an_hour())), None).await;
}

#[tokio::test]
async fn a_login_that_names_two_identities_or_none_is_refused() {
    let population = Population::start().await;
    let certificate = population.hub.device_ca().issue("ca-1");
    let identifier = (2, ReasonCode::ClientIdentifierNotValid);
    let unauthorized = (5, ReasonCode::NotAuthorized);
    let check = async |case, client_id: &str, username: &str, codes, logged| {
        let change = |connect: &mut Connect| (connect.client_id, connect.username) = (text(client_id), Some(text(username)));
        population.check(case, change, Some(&certificate), codes, logged).await;
    };
    check("another client id", "ca-2", "localhost/ca-1/?api-version=1", identifier, "name different identities").await;
    check("another user name", "ca-1", "localhost/ca-2/?api-version=1", identifier, "name different identities").await;
    check("a module in one only", "ca-1/m", "localhost/ca-1/?api-version=1", identifier, "name different identities").await;
    check("case differs", "ca-1", "localhost/CA-1/?api-version=1", identifier, "name different identities").await;
    check("an empty client id", "", "localhost/ca-1/?api-version=1", identifier, "names no device or module").await;
    check("a wildcard as client id", "#", "localhost/ca-1/?api-version=1", identifier, "names no device or module").await;
    check("no identity in the user name", "ca-1", "localhost", unauthorized, "the user name is not").await;
    check("another hub", "ca-1", "other.example/ca-1/?api-version=1", unauthorized, "wrong_host").await;
}

#[tokio::test]
async fn a_proof_that_does_not_hold_is_refused_with_its_own_reason() {
    let population = Population::start().await;
    let unauthorized = (5, ReasonCode::NotAuthorized);
    let ca = population.hub.device_ca();
    let foreign = DeviceCa::create("a CA that nobody enrolled");
    let check = async |case, change: &dyn Fn(&mut Connect), certificate: Option<CertifiedKeyPem>, logged| {
        population.check(case, change, certificate.as_ref(), unauthorized, logged).await;
    };
    check("no proof", &as_identity("ca-1"), None, "no_evidence").await;
    check("an unknown device", &as_identity("nobody"), Some(ca.issue("nobody")), "unknown_identity").await;
    check("a disabled device", &as_identity("off-1"), Some(ca.issue("off-1")), "identity_disabled").await;
    check("a foreign CA", &as_identity("ca-1"), Some(foreign.issue("ca-1")), "path_unknown_issuer").await;
    // Row 81 of the negative certificates, then 79, 80, 85, 86 and 87.
    check("the certificate of another device", &as_identity("ca-2"), Some(ca.issue("ca-1")), "other_identity").await;
    check("a device's certificate for its module", &as_identity("ca-1/m"), Some(ca.issue("ca-1")), "other_identity").await;
    check("a module's certificate for its device", &as_identity("ca-1"), Some(ca.issue("ca-1/m")), "other_identity").await;
    check("self-signed where a CA signs", &as_identity("ca-1"), Some(without_ca("ca-1")), "path_unknown_issuer").await;
    check("CA-signed where a thumbprint is pinned", &as_identity("pinned-1"), Some(ca.issue("pinned-1")), "other_thumbprint").await;
    check("another certificate than the pinned one", &as_identity("pinned-1"), Some(without_ca("pinned-1")), "other_thumbprint").await;
    check("a certificate where a key is registered", &as_identity("key-1"), Some(ca.issue("key-1")), "wrong_proof").await;
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_refused_with_its_own_reason() {
    let population = Population::start().await;
    let unauthorized = (5, ReasonCode::NotAuthorized);
    let check = async |case, identity: &str, password: Bytes, logged| {
        population.check(case, with_token(identity, password), None, unauthorized, logged).await;
    };
    let good = token("localhost/devices/key-1", KEY, in_an_hour());
    check("another key", "key-1", token("localhost/devices/key-1", b"another", in_an_hour()), "token_signature").await;
    check("another device's resource", "key-1", token("localhost/devices/key-2", KEY, in_an_hour()), "token_other_resource").await;
    check("a prefix of the id", "key-1", token("localhost/devices/key", KEY, in_an_hour()), "token_other_resource").await;
    check("an expired one", "key-1", token("localhost/devices/key-1", KEY, Timestamp::from_milliseconds(1_000_000)), "token_expired").await;
    check("no token at all", "key-1", Bytes::from_static(b"secret"), "token_scheme").await;
    check("no text", "key-1", Bytes::from_static(b"\xff\xfe"), "the password is not UTF-8").await;
    check("a token where a certificate is registered", "ca-1", good, "wrong_proof").await;
}

/// Row 81 on the HTTPS listener's MQTT, and the service API, which devices have no business with.
#[tokio::test]
async fn a_device_is_no_operator() {
    let population = Population::start().await;
    let before = population.facts().await;
    let device = String::from_utf8(token("localhost/devices/key-1", KEY, in_an_hour()).to_vec()).expect("text");
    for path in ["/devices/key-1", "/devices/ca-1", "/twins/key-1", "/devices"] {
        let answer = population.service.try_ask_as(&device, Method::GET, path, None, None).await.expect("an answer");
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
        assert!(answer.body["Message"].as_str().is_some_and(|text| text.starts_with("ErrorCode:IotHubUnauthorized")), "{answer:?}");
    }
    assert_eq!(population.facts().await, before);
}

#[tokio::test]
async fn a_will_must_be_telemetry_of_the_sender() {
    let population = Population::start().await;
    let certificate = population.hub.device_ca().issue("ca-1");
    let check = async |case, topic: &str, qos, codes, logged| {
        let change = |connect: &mut Connect| {
            let mut will = will("ca-1", "gone");
            (will.topic, will.qos) = (text(topic), qos);
            connect.will = Some(will);
        };
        population.check(case, change, Some(&certificate), codes, logged).await;
    };
    use mqtt_proto::wire::QoS::{AtLeastOnce, ExactlyOnce};
    let topic = (5, ReasonCode::TopicNameInvalid);
    check("another device's", &telemetry_topic("ca-2"), AtLeastOnce, topic, "not the sender's telemetry").await;
    check("a module's", &telemetry_topic("ca-1/m"), AtLeastOnce, topic, "not the sender's telemetry").await;
    check("no hub topic", "wills/ca-1", AtLeastOnce, topic, "not the sender's telemetry").await;
    check("a twin request", "$iothub/twin/GET/?$rid=1", AtLeastOnce, topic, "not the sender's telemetry").await;
    check("a bag that does not parse", "devices/ca-1/messages/events/a=%zz", AtLeastOnce, topic, "property bag is wrong").await;
    let unavailable = (5, ReasonCode::QosNotSupported);
    // 3.1.1 clients were not told that there is no QoS 2, MQTT 5 clients break the protocol; both
    // lines end alike.
    check("QoS 2", &telemetry_topic("ca-1"), ExactlyOnce, unavailable, "an MQTT connection").await;
}

/// Rows 92 and 93: a CA that nobody has vouched for, and one that may speak for others only.
#[tokio::test]
async fn an_enrolled_ca_speaks_only_once_it_is_verified_and_only_within_its_scope() {
    let population = Population::start().await;
    let unauthorized = (5, ReasonCode::NotAuthorized);
    let ca = DeviceCa::create("a CA of the customer's");
    let request = json!({"certificate": ca.certificate_pem(), "verified": false, "idScope": ["ca-2"]});
    population.service.must(Method::POST, "/certificateAuthorities", None, Some(&request)).await;
    let state = format!("/certificateAuthorities/{}/state", thumbprint(&ca.certificate_pem()));
    population.check("nobody vouched for it", as_identity("ca-2"), Some(&ca.issue("ca-2")), unauthorized, "path_ca_unverified").await;
    population.service.must(Method::PUT, &state, None, Some(&json!("enabled"))).await;
    population.check("not within its scope", as_identity("ca-1"), Some(&ca.issue("ca-1")), unauthorized, "out_of_scope").await;
    assert_eq!(population.answer(&connect(Version::V311, "ca-2"), Some(&ca.issue("ca-2"))).await, (0, true));
    population.service.must(Method::PUT, &state, None, Some(&json!("disabled"))).await;
    population.check("disabled", as_identity("ca-2"), Some(&ca.issue("ca-2")), unauthorized, "path_ca_disabled").await;
}
