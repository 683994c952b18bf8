//! Commands (cloud-to-device messages): what the sender is told, and what reaches the device.

use model::Clock;
use mqtt_proto::Version;
use mqtt_proto::wire::QoS;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::device::Device;
use crate::support::facts::Facts;
use crate::support::hub::HubProcess;
use crate::support::packets::connect;
use crate::support::service::{Service, identity_path};

async fn hub_with_device() -> (HubProcess, Service) {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register("dev-1").await;
    (hub, service)
}

/// The sender is refused with this name; the queue is as it was.
async fn check(service: &Service, case: &str, identity: &str, command: Value, status: u16, name: &str) {
    let before = Facts::of(service, &["dev-1"]).await;
    let path = format!("{}/commands", identity_path(identity));
    let answer = service.ask(Method::POST, &path, None, Some(&command)).await;
    let message = answer.body["Message"].as_str().unwrap_or_default();
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    assert!(message.starts_with(&format!("ErrorCode:{name};")), "{case}: {message}");
    assert_eq!(Facts::of(service, &["dev-1"]).await, before, "{case}");
}

#[tokio::test]
async fn a_command_that_breaks_a_rule_is_refused_with_its_code() {
    let (_hub, service) = hub_with_device().await;
    service.send_command("dev-1", "kept", "x").await;
    let past = Clock::system().now().to_string().replacen("20", "19", 1);
    check(&service, "over 64 KiB", "dev-1", json!({"body": "x".repeat(64 * 1024 + 1)}), 413, "MessageTooLarge").await;
    check(&service, "expired already", "dev-1", json!({"body": "x", "expiryTime": past}), 403, "InvalidMessageExpiryTime").await;
    check(&service, "no base64", "dev-1", json!({"bodyBase64": "%"}), 400, "ArgumentInvalid").await;
    check(&service, "an unknown ack", "dev-1", json!({"body": "x", "ack": "perhaps"}), 400, "ArgumentInvalid").await;
    check(&service, "a long message id", "dev-1", json!({"body": "x", "messageId": "m".repeat(129)}), 400, "ArgumentInvalid").await;
    check(&service, "a property name", "dev-1", json!({"body": "x", "properties": {"a b": "c"}}), 400, "ArgumentInvalid").await;
    check(&service, "an unknown device", "nobody", json!({"body": "x"}), 404, "DeviceNotFound").await;
    check(&service, "an unknown module", "dev-1/m", json!({"body": "x"}), 404, "ModuleNotFound").await;
}

#[tokio::test]
async fn the_queue_takes_fifty_and_gives_them_in_order() {
    let (hub, service) = hub_with_device().await;
    for number in 1..=50 {
        assert_eq!(service.send_command("dev-1", &format!("m-{number}"), &number.to_string()).await, number);
    }
    check(&service, "the fifty-first", "dev-1", json!({"body": "51"}), 403, "DeviceMaximumQueueDepthExceeded").await;
    let mut device = Device::connected(&hub, "dev-1").await;
    assert_eq!(device.subscribe(&["devices/dev-1/messages/devicebound/#"]).await, [Ok(QoS::AtLeastOnce)]);
    for number in 1..=50 {
        let command = device.expect_publish().await;
        assert_eq!(command.payload, number.to_string());
        device.acknowledge(&command).await;
    }
    device.expect_alive().await;
}

#[tokio::test]
async fn a_purged_command_does_not_reach_the_device() {
    let (hub, service) = hub_with_device().await;
    for number in 1..=3 {
        service.send_command("dev-1", &format!("m-{number}"), "gone").await;
    }
    let purged = service.must(Method::DELETE, "/devices/dev-1/commands", None, None).await;
    assert_eq!(purged, json!({"totalMessagesPurged": 3, "deviceId": "dev-1", "moduleId": null}));
    let (mut device, _) = Device::connected_with(&hub, &connect(Version::V311, "dev-1")).await;
    device.subscribe(&["devices/dev-1/messages/devicebound/#"]).await;
    service.send_command("dev-1", "m-4", "there").await;
    assert_eq!(device.expect_publish().await.payload, "there");
}
