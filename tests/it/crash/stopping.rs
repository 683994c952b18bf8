//! Told to stop, and started twice.

use mqtt_proto::Version;
use mqtt_proto::wire::{Disconnect, Packet, ReasonCode};
use serde_json::json;

use crate::support::deadline::{SOON, wait_for};
use crate::support::device::Device;
use crate::support::hub::HubProcess;
use crate::support::packets::{connect, publish, telemetry_topic, will};
use crate::support::unfinished::UnfinishedRequest;

const SENT: u16 = 600;

/// Acknowledged is stored and stored is acknowledged; a stop in order leaves nothing in between.
#[tokio::test]
async fn sigterm_acknowledges_what_was_taken_and_ends_with_0() {
    for version in [Version::V311, Version::V5] {
        let mut hub = HubProcess::start();
        hub.service().register("dev-1").await;
        let mut login = connect(version, "dev-1");
        login.will = Some(will("dev-1", "the hub went"));
        let (mut device, _) = Device::connected_with(&hub, &login).await;
        for number in 1..=SENT {
            device.send(&Packet::Publish(publish(&telemetry_topic("dev-1"), Some(number), number.to_string()))).await;
        }
        device.expect_puback(1).await;
        hub.terminate();
        let mut acknowledged = vec!["1".to_owned()];
        let mut farewell = Vec::new();
        for packet in device.until_closed().await {
            match packet {
                Packet::PubAck(ack) => acknowledged.push(ack.packet_id.get().to_string()),
                other => farewell.push(other),
            }
        }
        match version {
            Version::V311 => assert_eq!(farewell, []),
            Version::V5 => assert_eq!(farewell, [Packet::Disconnect(Disconnect::new(ReasonCode::ServerShuttingDown))]),
        }
        let status = hub.wait();
        assert_eq!(status.code(), Some(0), "{}", hub.log());
        assert!(!hub.data_dir().join("ports.json").exists(), "nobody is sent to a hub that stopped");

        hub.restart();
        let events = hub.service().events().await;
        let stored: Vec<&str> = events.bodies("dev-1").into_iter().filter(|body| *body != "the hub went").collect();
        assert_eq!(stored, acknowledged);
    }
}

/// What was asked for before the stop is answered: here a direct method that nobody answers.
#[tokio::test]
async fn sigterm_ends_calls_and_streams_in_progress() {
    let mut hub = HubProcess::start();
    let service = hub.service();
    service.register("dev-1").await;
    let mut device = Device::connected(&hub, "dev-1").await;
    device.subscribe(&["$iothub/methods/POST/#"]).await;
    let caller = service.clone();
    let calling = tokio::spawn(async move { caller.call("dev-1", &json!({"methodName": "wait", "responseTimeoutInSeconds": 300})).await });
    device.expect_publish().await;
    let stream = service.event_stream("&from=earliest&follow=true").await.expect("a stream");
    hub.terminate();
    assert_eq!(stream.text().await.expect("a stream that ends as a whole one"), "");
    let answer = calling.await.expect("an answer");
    assert_eq!(answer.status, 404, "the device's connection ended: {answer:?}");
    assert_eq!(hub.wait().code(), Some(0), "{}", hub.log());
}

#[tokio::test]
async fn a_second_sigterm_does_not_wait_for_what_is_under_way() {
    let mut hub = HubProcess::start();
    hub.service().register("dev-1").await;
    let request = UnfinishedRequest::begin(&hub, "dev-1").await;
    hub.terminate();
    wait_for("the stop", SOON, || (hub.logged(&["stopping", "SIGTERM"]) == 1).then_some(()));
    hub.terminate();
    assert_eq!(hub.wait().code(), Some(130), "{}", hub.log());
    assert_eq!(request.finish().await, "");
}

#[tokio::test]
async fn a_second_hub_on_the_same_directory_refuses_to_start() {
    let hub = HubProcess::start();
    hub.service().register("dev-1").await;
    let ended = HubProcess::not_started_at(hub.data_dir()).refused_start();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(ended.log.contains("another hub is running in"), "{}", ended.log);
    assert!(hub.data_dir().join("ports.json").exists(), "the first one's");
    Device::connected(&hub, "dev-1").await.publish_acknowledged(&telemetry_topic("dev-1"), "not disturbed").await;
}
