//! Rights that end while a connection lasts (rows 96 to 99 of the negative certificates): it is
//! closed within five seconds, and the next one refused, whatever TLS session it offers.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::issue::CertifiedKeyPem;
use model::{Clock, Secret};
use mqtt_proto::Version;
use mqtt_proto::wire::{Connect, Disconnect, Packet, ReasonCode};
use reqwest::Method;
use rustls::ClientConfig;
use serde_json::json;

use crate::support::certificates::{client_tls, client_tls12, thumbprint, without_ca};
use crate::support::deadline::within;
use crate::support::device::{Device, reason_code};
use crate::support::hub::HubProcess;
use crate::support::packets::{connect, telemetry_topic};
use crate::support::service::Service;

/// What the hub promises.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// A device that is connected, and all it needs to come back.
struct Holder {
    device: Device,
    login: Connect,
    tls: Arc<ClientConfig>,
}

impl Holder {
    async fn connected(hub: &HubProcess, login: Connect, tls: Arc<ClientConfig>) -> Self {
        let mut device = Device::dial(hub.ports().mqtt, Arc::clone(&tls)).await.expect("a handshake");
        let answer = device.introduce(&login).await;
        assert!(answer.code.is_success(), "{answer:?}");
        device.publish_acknowledged(&telemetry_topic(&login.client_id), "while admitted").await;
        Self { device, login, tls }
    }

    /// With TLS 1.3 and with TLS 1.2.
    async fn both(hub: &HubProcess, identities: [&str; 2], certificates: [&CertifiedKeyPem; 2]) -> [Self; 2] {
        let tls13 = client_tls(&hub.server_ca_pem(), Some(certificates[0]));
        let tls12 = client_tls12(&hub.server_ca_pem(), certificates[1]);
        [
            Self::connected(hub, connect(Version::V5, identities[0]), tls13).await,
            Self::connected(hub, connect(Version::V5, identities[1]), tls12).await,
        ]
    }

    /// The hub closes with a word; the client comes back with the TLS session it has, if it has
    /// one, and is refused.
    async fn expect_shut_out(mut self, hub: &HubProcess) {
        let said = within("the end of the connection", CLOSED_WITHIN, self.device.until_closed()).await;
        assert_eq!(said, [Packet::Disconnect(Disconnect::new(ReasonCode::NotAuthorized))]);
        let mut again = Device::dial(hub.ports().mqtt, self.tls).await.expect("a handshake");
        assert!(again.handshake_was_full(), "the hub resumes no TLS session");
        let answer = again.introduce(&self.login).await;
        assert_eq!(reason_code(&answer), ReasonCode::NotAuthorized);
        again.expect_closed().await;
    }
}

async fn hub_with(identities: &[&str]) -> (HubProcess, Service) {
    let hub = HubProcess::start();
    let service = hub.service();
    for identity in identities {
        service.register(identity).await;
    }
    (hub, service)
}

async fn certified(hub: &HubProcess, identities: [&str; 2]) -> [Holder; 2] {
    let ca = hub.device_ca();
    Holder::both(hub, identities, [&ca.issue(identities[0]), &ca.issue(identities[1])]).await
}

#[tokio::test]
async fn a_disabled_ca_shuts_out_whoever_it_vouched_for() {
    let (hub, service) = hub_with(&["ca-1", "ca-2"]).await;
    let key = STANDARD.encode(b"a key");
    service.register_with("key-1", json!({"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})).await;
    let holders = certified(&hub, ["ca-1", "ca-2"]).await;
    let mut with_token = token_holder(&hub, "key-1", b"a key").await;
    let path = format!("/certificateAuthorities/{}/state", thumbprint(&hub.device_ca().certificate_pem()));
    service.must(Method::PUT, &path, None, Some(&json!("disabled"))).await;
    for holder in holders {
        holder.expect_shut_out(&hub).await;
    }
    with_token.device.publish_acknowledged(&telemetry_topic("key-1"), "not concerned").await;
    // Vouched for again, they come back.
    service.must(Method::PUT, &path, None, Some(&json!("enabled"))).await;
    Device::connected(&hub, "ca-1").await.disconnect().await;
}

#[tokio::test]
async fn a_deleted_ca_shuts_out_whoever_it_vouched_for() {
    let (hub, service) = hub_with(&["ca-1", "ca-2"]).await;
    let holders = certified(&hub, ["ca-1", "ca-2"]).await;
    let path = format!("/certificateAuthorities/{}", thumbprint(&hub.device_ca().certificate_pem()));
    service.must(Method::DELETE, &path, None, None).await;
    for holder in holders {
        holder.expect_shut_out(&hub).await;
    }
}

#[tokio::test]
async fn a_disabled_device_is_shut_out_and_so_are_its_modules() {
    let (hub, service) = hub_with(&["ca-1", "ca-1/m", "ca-2"]).await;
    let holders = certified(&hub, ["ca-1", "ca-1/m"]).await;
    let mut bystander = Device::connected(&hub, "ca-2").await;
    service.update("ca-1", |device| device["status"] = json!("disabled")).await;
    for holder in holders {
        holder.expect_shut_out(&hub).await;
    }
    bystander.expect_alive().await;
    service.update("ca-1", |device| device["status"] = json!("enabled")).await;
    Device::connected(&hub, "ca-1").await.disconnect().await;
}

#[tokio::test]
async fn a_replaced_thumbprint_shuts_out_the_certificate_before() {
    let hub = HubProcess::start();
    let service = hub.service();
    let (first, second) = (without_ca("pin-1"), without_ca("pin-2"));
    for (identity, certificate) in [("pin-1", &first), ("pin-2", &second)] {
        let pinned = json!({"primaryThumbprint": thumbprint(&certificate.chain_pem), "secondaryThumbprint": null});
        service.register_with(identity, json!({"type": "selfSigned", "x509Thumbprint": pinned})).await;
    }
    let holders = Holder::both(&hub, ["pin-1", "pin-2"], [&first, &second]).await;
    for identity in ["pin-1", "pin-2"] {
        let other = thumbprint(&without_ca(identity).chain_pem);
        service.update(identity, |device| device["authentication"]["x509Thumbprint"]["primaryThumbprint"] = json!(other)).await;
    }
    for holder in holders {
        holder.expect_shut_out(&hub).await;
    }
}

#[tokio::test]
async fn a_replaced_key_shuts_out_the_token_before() {
    let hub = HubProcess::start();
    let service = hub.service();
    let (before, after) = (STANDARD.encode(b"before"), STANDARD.encode(b"after"));
    service.register_with("key-1", json!({"type": "sas", "symmetricKey": {"primaryKey": before, "secondaryKey": before}})).await;
    let holder = token_holder(&hub, "key-1", b"before").await;
    let keys = json!({"primaryKey": after, "secondaryKey": after});
    service.update("key-1", |device| device["authentication"]["symmetricKey"] = keys).await;
    holder.expect_shut_out(&hub).await;
}

async fn token_holder(hub: &HubProcess, identity: &str, key: &[u8]) -> Holder {
    let expires = Clock::system().now().saturating_add(Duration::from_secs(3600));
    let token = certs::token::sign(&format!("localhost/devices/{identity}"), &Secret::new(key.to_vec()), expires, None);
    let login = Connect { password: Some(token.into()), ..connect(Version::V5, identity) };
    Holder::connected(hub, login, client_tls(&hub.server_ca_pem(), None)).await
}

#[tokio::test]
async fn a_deleted_device_is_shut_out() {
    let (hub, service) = hub_with(&["ca-1", "ca-2"]).await;
    let holders = certified(&hub, ["ca-1", "ca-2"]).await;
    for identity in ["ca-1", "ca-2"] {
        service.delete(identity).await;
    }
    for holder in holders {
        holder.expect_shut_out(&hub).await;
    }
}

/// The id is the same, the device is another one: what was admitted before has no place in it.
#[tokio::test]
async fn a_device_that_is_deleted_and_created_again_closes_the_old_connection() {
    let (hub, service) = hub_with(&["ca-1"]).await;
    let mut old = Device::connected(&hub, "ca-1").await;
    let generation = service.must(Method::GET, "/devices/ca-1", None, None).await["generationId"].clone();
    service.delete("ca-1").await;
    let created = service.register("ca-1").await;
    assert_ne!(created["generationId"], generation);
    within("the end of the connection", CLOSED_WITHIN, old.expect_closed()).await;
    Device::connected(&hub, "ca-1").await.publish_acknowledged(&telemetry_topic("ca-1"), "the new one").await;
}

#[tokio::test]
async fn a_token_that_runs_out_ends_its_connection() {
    let hub = HubProcess::start();
    let service = hub.service();
    let key = STANDARD.encode(b"a key");
    service.register_with("key-1", json!({"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})).await;
    // Whole seconds, rounded down.
    let expires = Clock::system().now().saturating_add(Duration::from_secs(2));
    let token = certs::token::sign("localhost/devices/key-1", &Secret::new(b"a key".to_vec()), expires, None);
    let login = Connect { password: Some(token.into()), ..connect(Version::V5, "key-1") };
    let holder = Holder::connected(&hub, login, client_tls(&hub.server_ca_pem(), None)).await;
    holder.expect_shut_out(&hub).await;
}
