//! Direct methods: one outcome for each call, told apart by its code.

use mqtt_proto::wire::{Packet, Publish};
use serde_json::{Value, json};

use crate::support::device::Device;
use crate::support::hub::HubProcess;
use crate::support::packets::publish;
use crate::support::service::{Answer, Service};

const METHODS: &str = "$iothub/methods/POST/#";

async fn hub_with_device() -> (HubProcess, Service) {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register("dev-1").await;
    (hub, service)
}

async fn listening(hub: &HubProcess) -> Device {
    let mut device = Device::connected(hub, "dev-1").await;
    device.subscribe(&[METHODS]).await;
    device
}

fn request() -> Value {
    json!({"methodName": "reboot", "payload": {"in": 3}, "responseTimeoutInSeconds": 30})
}

/// Calls in the background, and waits until the device has the call.
async fn called(service: &Service, device: &mut Device) -> (tokio::task::JoinHandle<Answer>, Publish) {
    let caller = service.clone();
    let calling = tokio::spawn(async move { caller.call("dev-1", &request()).await });
    (calling, device.expect_publish().await)
}

/// The number and the text of an error of a direct method.
fn refusal(answer: &Answer) -> (u16, u64, String) {
    let detail: Value = serde_json::from_str(answer.body["Message"].as_str().expect("a message")).expect("JSON in a string");
    (answer.status, detail["errorCode"].as_u64().expect("a number"), detail["message"].as_str().unwrap_or_default().to_owned())
}

async fn answer(device: &mut Device, call: &Publish, status: &str, body: &str) {
    let rid = call.topic.rsplit_once('=').expect("a rid").1;
    device.send(&Packet::Publish(publish(&format!("$iothub/methods/res/{status}/?$rid={rid}"), None, body))).await;
}

#[tokio::test]
async fn the_devices_answer_is_the_callers() {
    let (hub, service) = hub_with_device().await;
    let mut device = listening(&hub).await;
    let (calling, call) = called(&service, &mut device).await;
    assert!(call.topic.starts_with("$iothub/methods/POST/reboot/?$rid="), "{}", call.topic);
    assert_eq!(&call.payload[..], br#"{"in":3}"#);
    answer(&mut device, &call, "-7", r#"{"done":true}"#).await;
    let answered = calling.await.expect("a call");
    assert_eq!((answered.status, answered.body), (200, json!({"status": -7, "payload": {"done": true}})));
}

#[tokio::test]
async fn a_device_that_is_unknown_away_or_does_not_listen_gets_no_call() {
    let (hub, service) = hub_with_device().await;
    let unknown = service.call("nobody", &request()).await;
    assert_eq!((unknown.status, refusal(&unknown).1), (404, 404_001));
    let offline = service.call("dev-1", &request()).await;
    assert_eq!((offline.status, refusal(&offline).1), (404, 404_103));
    let mut device = Device::connected(&hub, "dev-1").await;
    let unsubscribed = service.call("dev-1", &request()).await;
    assert_eq!((unsubscribed.status, refusal(&unsubscribed).1), (404, 404_103));
    device.expect_alive().await;
}

#[tokio::test]
async fn a_device_that_goes_away_while_its_answer_is_awaited_is_reported_as_gone() {
    let (hub, service) = hub_with_device().await;
    let mut device = listening(&hub).await;
    let (calling, _call) = called(&service, &mut device).await;
    device.disconnect().await;
    let gone = calling.await.expect("a call");
    assert_eq!((gone.status, refusal(&gone).1), (404, 404_104));
}

#[tokio::test]
async fn a_device_that_stays_silent_is_reported_as_late_and_its_answer_ignored() {
    let (hub, service) = hub_with_device().await;
    let mut device = listening(&hub).await;
    let mut request = request();
    request["responseTimeoutInSeconds"] = json!(5);
    let caller = service.clone();
    let calling = tokio::spawn(async move { caller.call("dev-1", &request).await });
    let call = device.expect_publish().await;
    let late = refusal(&calling.await.expect("a call"));
    assert_eq!(late, (504, 504_101, "Timed out waiting for the response from device.".to_owned()));
    answer(&mut device, &call, "200", "{}").await;
    answer(&mut device, &publish("x/?$rid=fedcba", None, ""), "200", "{}").await;
    device.expect_alive().await;
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_not_passed_on() {
    let (hub, service) = hub_with_device().await;
    let mut device = listening(&hub).await;
    let (calling, call) = called(&service, &mut device).await;
    answer(&mut device, &call, "200", "{broken").await;
    let broken = calling.await.expect("a call");
    assert_eq!((broken.status, refusal(&broken).1), (502, 502_001));
    device.expect_alive().await;
}

#[tokio::test]
async fn a_call_with_a_name_or_a_timeout_that_cannot_be_is_refused() {
    let (hub, service) = hub_with_device().await;
    let mut device = listening(&hub).await;
    for (field, value) in [
        ("methodName", json!("re/boot")),
        ("methodName", json!("#")),
        ("methodName", json!("größe")),
        ("methodName", json!("")),
        ("responseTimeoutInSeconds", json!(301)),
        ("connectTimeoutInSeconds", json!(301)),
    ] {
        let mut request = request();
        request[field] = value;
        let refused = service.call("dev-1", &request).await;
        assert_eq!(refused.status, 400, "{request}: {refused:?}");
    }
    device.expect_alive().await;
}
