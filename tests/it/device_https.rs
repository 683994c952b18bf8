//! Devices over HTTPS: the same identities, queues and durability as over MQTT.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;

use crate::support::certificates::{thumbprint, without_ca};
use crate::support::deadline::within;
use crate::support::device::Device;
use crate::support::facts::Facts;
use crate::support::hub::HubProcess;
use crate::support::service::Service;
use crate::support::web_device::{Http, Proof, WebDevice, answer};

/// What the hub promises of revocation.
const ENDED_WITHIN: Duration = Duration::from_secs(5);
const BOTH: [Http; 2] = [Http::One, Http::Two];

async fn hub_with(identities: &[&str]) -> (HubProcess, Service) {
    let hub = HubProcess::start();
    let service = hub.service();
    for identity in identities {
        service.register(identity).await;
    }
    (hub, service)
}

/// Calls a method, and gives the device time to ask for it.
async fn call_when_online(service: &Service, identity: &str, request: serde_json::Value) -> (u16, serde_json::Value) {
    let mut request = request;
    request["connectTimeoutInSeconds"] = json!(30);
    let answered = service.call(identity, &request).await;
    (answered.status, answered.body)
}

#[tokio::test]
async fn every_operation_works_on_both_versions_for_devices_and_modules() {
    let (hub, service) = hub_with(&["dev-1", "dev-1/mod-1"]).await;
    for version in BOTH {
        for identity in ["dev-1", "dev-1/mod-1"] {
            let device = WebDevice::certified(&hub, identity, version);
            let text = format!("{version:?} {identity}");
            assert_eq!(device.send(&text).await, 204);
            let batch = json!([{"body": STANDARD.encode(format!("{text} batched"))}, {"body": "plain", "base64Encoded": false}]);
            let batch = device
                .request(Method::POST, "/messages/events")
                .header("content-type", "application/vnd.microsoft.iothub.json")
                .body(batch.to_string());
            assert_eq!(answer(batch).await.status, 204);

            assert_eq!(device.ask(Method::GET, "/messages/devicebound").await.status, 204);
            for (settled, left) in [("abandon", true), ("complete", false), ("reject", false)] {
                service.send_command(identity, &text, settled).await;
                let received = device.ask(Method::GET, "/messages/deviceBound?wait=30").await;
                assert_eq!((received.text(), received.header("iothub-messageid")), (settled, text.as_str()));
                let lock = received.lock();
                let (method, path) = match settled {
                    "abandon" => (Method::POST, format!("/messages/devicebound/{lock}/abandon")),
                    "reject" => (Method::DELETE, format!("/messages/devicebound/{lock}?reject")),
                    _ => (Method::DELETE, format!("/messages/devicebound/{lock}")),
                };
                assert_eq!(device.ask(method.clone(), &path).await.status, 204);
                let again = device.ask(method, &path).await;
                assert_eq!((again.status, again.header("iothub-errorcode")), (412, "DeviceMessageLockLost"));
                if left {
                    let received = device.ask(Method::GET, "/messages/devicebound").await;
                    assert_eq!(received.header("iothub-deliverycount"), "1");
                    assert_eq!(device.ask(Method::DELETE, &format!("/messages/devicebound/{}", received.lock())).await.status, 204);
                }
            }

            let answering = async {
                let call = device.ask(Method::GET, "/methods?wait=30").await;
                assert_eq!((call.status, call.header("iothub-methodname"), call.text()), (200, "echo", "[1]"));
                let path = format!("/methods/{}?s=201", call.header("iothub-rid"));
                assert_eq!(answer(device.request(Method::POST, &path).body(call.body)).await.status, 204);
            };
            let calling = call_when_online(&service, identity, json!({"methodName": "echo", "payload": [1]}));
            let (called, ()) = tokio::join!(calling, answering);
            assert_eq!(called, (200, json!({"status": 201, "payload": [1]})));
        }
    }
    let stored = service.events().await;
    assert_eq!(stored.bodies("dev-1"), ["One dev-1", "One dev-1 batched", "plain", "Two dev-1", "Two dev-1 batched", "plain"]);
    assert_eq!(stored.bodies("dev-1/mod-1").len(), 6);
}

#[tokio::test]
async fn every_kind_of_credentials_lets_a_device_in() {
    let (hub, service) = hub_with(&[]).await;
    let pinned = without_ca("pin-1");
    let thumbprints = json!({"primaryThumbprint": thumbprint(&pinned.chain_pem), "secondaryThumbprint": null});
    service.register_with("pin-1", json!({"type": "selfSigned", "x509Thumbprint": thumbprints})).await;
    let key = STANDARD.encode(b"a key");
    service.register_with("key-1", json!({"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})).await;
    for version in BOTH {
        assert_eq!(WebDevice::new(&hub, "pin-1", &Proof::Certificate(&pinned), version).send("pinned").await, 204);
        assert_eq!(WebDevice::new(&hub, "key-1", &Proof::Key(b"a key"), version).send("by key").await, 204);
        assert_eq!(WebDevice::new(&hub, "key-1", &Proof::Key(b"another"), version).send("no").await, 401);
        assert_eq!(WebDevice::new(&hub, "pin-1", &Proof::Certificate(&without_ca("pin-1")), version).send("no").await, 401);
    }
}

#[tokio::test]
async fn a_foreign_device_in_the_path_is_refused_logged_and_counted() {
    let (hub, service) = hub_with(&["dev-1", "dev-2", "dev-1/mod-1"]).await;
    service.send_command("dev-2", "m", "for dev-2").await;
    let before = Facts::of(&service, &["dev-1", "dev-2", "dev-1/mod-1"]).await;
    for version in BOTH {
        for other in ["dev-2", "dev-1/mod-1", "unknown"] {
            let device = WebDevice::certified(&hub, "dev-1", version);
            assert_eq!(device.ask(Method::GET, "/messages/devicebound").await.status, 204, "what it may");
            let device = device.posing_as(&hub, other);
            for (method, path) in
                [(Method::POST, "/messages/events"), (Method::GET, "/messages/devicebound"), (Method::GET, "/methods?wait=30")]
            {
                let lines = hub.logged(&["refused a device", other]);
                let refused = device.ask(method, path).await;
                assert_eq!((refused.status, refused.header("iothub-errorcode")), (401, "IotHubUnauthorized"), "{path} of {other}");
                assert!(refused.text().contains("ErrorCode:IotHubUnauthorized;"), "{}", refused.text());
                assert_eq!(hub.logged(&["refused a device", other]), lines + 1, "{}", hub.log());
            }
        }
    }
    assert_eq!(Facts::of(&service, &["dev-1", "dev-2", "dev-1/mod-1"]).await, before);
    assert!(hub.metric("isthmus_auth_refused_total{reason=\"other_identity\"}") >= 12.0);
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let (mut hub, service) = hub_with(&["dev-1"]).await;
    for body in ["completed", "kept"] {
        service.send_command("dev-1", body, body).await;
    }
    let device = WebDevice::certified(&hub, "dev-1", Http::One);
    let first = device.ask(Method::GET, "/messages/devicebound").await;
    assert_eq!(first.text(), "completed");
    // Locked when the hub dies; locks do not outlive it.
    assert_eq!(device.ask(Method::GET, "/messages/devicebound").await.text(), "kept");
    assert_eq!(device.send("stored").await, 204);
    assert_eq!(device.ask(Method::DELETE, &format!("/messages/devicebound/{}", first.lock())).await.status, 204);
    hub.kill();
    hub.restart();
    let service = hub.service();
    let device = WebDevice::certified(&hub, "dev-1", Http::Two);
    assert_eq!(service.events().await.bodies("dev-1"), ["stored"]);
    assert_eq!(device.ask(Method::GET, "/messages/devicebound").await.text(), "kept");
    assert_eq!(device.ask(Method::GET, "/messages/devicebound").await.status, 204, "never again what was completed");
}

#[tokio::test]
async fn a_wait_sees_a_command_whose_lock_ends() {
    let (hub, service) = hub_with(&["dev-1"]).await;
    service.send_command("dev-1", "m", "again").await;
    let device = WebDevice::certified(&hub, "dev-1", Http::One);
    let first = answer(device.request(Method::GET, "/messages/devicebound").header("iothub-messagelocktimeout", "5")).await;
    let second = device.ask(Method::GET, "/messages/devicebound?wait=60").await;
    assert_eq!((second.text(), second.header("iothub-deliverycount")), ("again", "0"));
    assert_ne!(second.lock(), first.lock());
    assert_eq!(device.ask(Method::DELETE, &format!("/messages/devicebound/{}", first.lock())).await.status, 412);
    assert_eq!(device.ask(Method::DELETE, &format!("/messages/devicebound/{}", second.lock())).await.status, 204);
}

#[tokio::test]
async fn a_disabled_device_is_shut_out_of_its_connection_and_of_its_waits() {
    let (hub, service) = hub_with(&["dev-1"]).await;
    for version in BOTH {
        let device = WebDevice::certified(&hub, "dev-1", version);
        assert_eq!(device.send("while admitted").await, 204);
        let waits = ["/messages/devicebound?wait=300", "/methods?wait=300"].map(|path| {
            let device = device.clone();
            tokio::spawn(async move { device.ask(Method::GET, path).await })
        });
        service.update("dev-1", |device| device["status"] = json!("disabled")).await;
        for wait in waits {
            let ended = within("the end of a wait", ENDED_WITHIN, wait).await.expect("no panic");
            assert_eq!((ended.status, ended.header("iothub-errorcode")), (401, "IotHubUnauthorized"));
        }
        assert_eq!(device.send("no more").await, 401);
        service.update("dev-1", |device| device["status"] = json!("enabled")).await;
        assert_eq!(device.send("again").await, 204);
    }
}

#[tokio::test]
async fn a_stop_ends_waits_and_does_not_wait_for_them() {
    let (mut hub, service) = hub_with(&["dev-1"]).await;
    let waits = BOTH.map(|version| {
        let device = WebDevice::certified(&hub, "dev-1", version);
        tokio::spawn(async move { device.ask(Method::GET, "/methods?wait=300").await })
    });
    // Both wait once two calls have found them; a third keeps waiting for its answer.
    let late = WebDevice::certified(&hub, "dev-1", Http::One);
    let late = tokio::spawn(async move { late.ask(Method::GET, "/messages/devicebound?wait=300").await });
    let calls = [(); 2].map(|()| {
        let service = service.clone();
        tokio::spawn(async move {
            service
                .try_ask(Method::POST, "/twins/dev-1/methods", None, Some(&json!({"methodName": "m", "connectTimeoutInSeconds": 30})))
                .await
        })
    });
    for wait in waits {
        assert_eq!(wait.await.expect("no panic").status, 200);
    }
    hub.terminate();
    assert_eq!(late.await.expect("no panic").status, 204);
    for call in calls {
        // Never a success that nobody gave.
        assert!(call.await.expect("no panic").is_none_or(|answered| answered.status >= 400));
    }
    assert!(hub.wait().success(), "{}", hub.log());
}

#[tokio::test]
async fn a_method_in_flight_at_a_crash_is_never_a_success() {
    let (mut hub, service) = hub_with(&["dev-1"]).await;
    let device = WebDevice::certified(&hub, "dev-1", Http::One);
    let request = json!({"methodName": "m", "connectTimeoutInSeconds": 30});
    let call = tokio::spawn(async move { service.try_ask(Method::POST, "/twins/dev-1/methods", None, Some(&request)).await });
    let handed = device.ask(Method::GET, "/methods?wait=30").await;
    hub.kill();
    assert!(call.await.expect("no panic").is_none());
    hub.restart();
    let device = WebDevice::certified(&hub, "dev-1", Http::One);
    let late = device.request(Method::POST, &format!("/methods/{}?s=200", handed.header("iothub-rid")));
    assert_eq!(answer(late).await.status, 404);
    assert_eq!(device.ask(Method::GET, "/methods").await.status, 204);
}

#[tokio::test]
async fn a_connection_over_mqtt_takes_methods_before_a_poll_does() {
    let (hub, service) = hub_with(&["dev-1"]).await;
    let mut mqtt = Device::connected(&hub, "dev-1").await;
    let web = WebDevice::certified(&hub, "dev-1", Http::Two);
    let poll = tokio::spawn({
        let web = web.clone();
        async move { web.ask(Method::GET, "/methods?wait=30").await }
    });
    let online = tokio::spawn({
        let service = service.clone();
        async move { call_when_online(&service, "dev-1", json!({"methodName": "to-poll"})).await }
    });
    let call = poll.await.expect("no panic");
    assert_eq!(call.header("iothub-methodname"), "to-poll", "a connection that takes no methods leaves them to the poll");
    assert_eq!(web.ask(Method::POST, &format!("/methods/{}?s=1", call.header("iothub-rid"))).await.status, 204);
    assert_eq!(online.await.expect("no panic").0, 200);

    mqtt.subscribe(&["$iothub/methods/POST/#"]).await;
    let poll = web.request(Method::GET, "/methods?wait=1").send();
    let calling =
        tokio::spawn(async move { service.call("dev-1", &json!({"methodName": "to-mqtt", "responseTimeoutInSeconds": 5})).await });
    let published = mqtt.expect_publish().await;
    assert!(published.topic.starts_with("$iothub/methods/POST/to-mqtt/"), "{}", published.topic);
    assert_eq!(poll.await.expect("an answer").status(), 204);
    mqtt.disconnect().await;
    assert_eq!(calling.await.expect("no panic").status, 404, "gone while its answer was awaited");
}
