//! What outlives a packet: takeover, wills, subscriptions, commands under way, and the order of
//! acknowledgements.

use mqtt_proto::Version;
use mqtt_proto::wire::{Disconnect, Packet, QoS, ReasonCode};

use crate::support::deadline::{SOON, wait_until};
use crate::support::device::Device;
use crate::support::hub::HubProcess;
use crate::support::packets::{connect, persistent, publish, subscribe, telemetry_topic, will};
use crate::support::service::Service;

const COMMANDS: &str = "devices/dev-1/messages/devicebound/#";

async fn hub_with_device() -> (HubProcess, Service) {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register("dev-1").await;
    (hub, service)
}

async fn connected_with_will(hub: &HubProcess, version: Version, body: &str) -> Device {
    let mut login = connect(version, "dev-1");
    login.will = Some(will("dev-1", body));
    Device::connected_with(hub, &login).await.0
}

/// Waits until `count` messages of the device are stored; gives their bodies.
async fn stored(service: &Service, count: usize) -> Vec<String> {
    wait_until("stored messages", SOON, || async {
        let events = service.events().await;
        let bodies: Vec<String> = events.bodies("dev-1").into_iter().map(str::to_owned).collect();
        (bodies.len() >= count).then_some(bodies)
    })
    .await
}

/// Waits until the queue holds so many commands.
async fn queued(service: &Service, count: usize) {
    wait_until("the queue", SOON, || async { (service.commands("dev-1").await.len() == count).then_some(()) }).await;
}

#[tokio::test]
async fn the_second_connection_wins_and_the_first_ones_will_is_published_once() {
    for version in [Version::V311, Version::V5] {
        let (hub, service) = hub_with_device().await;
        let mut first = connected_with_will(&hub, version, "the first's").await;
        let mut second = connected_with_will(&hub, version, "the second's").await;
        match version {
            Version::V311 => first.expect_closed().await,
            Version::V5 => first.expect_disconnect(ReasonCode::SessionTakenOver).await,
        }
        assert_eq!(stored(&service, 1).await, ["the first's"]);
        second.publish_acknowledged(&telemetry_topic("dev-1"), "alive").await;
        second.disconnect().await;
        // The goodbye was handled before this connection is answered.
        Device::connected(&hub, "dev-1").await.disconnect().await;
        assert_eq!(stored(&service, 2).await, ["the first's", "alive"]);
        assert_eq!(hub.logged(&["took over"]), 1, "one line says so");
    }
}

#[tokio::test]
async fn a_device_and_its_module_do_not_take_each_other_over() {
    let (hub, service) = hub_with_device().await;
    service.register("dev-1/m").await;
    let mut device = Device::connected(&hub, "dev-1").await;
    let mut module = Device::connected(&hub, "dev-1/m").await;
    device.expect_alive().await;
    module.publish_acknowledged(&telemetry_topic("dev-1/m"), "from the module").await;
    assert_eq!(service.events().await.bodies("dev-1/m"), ["from the module"]);
}

#[tokio::test]
async fn a_will_is_published_when_the_socket_closes_and_not_after_disconnect() {
    for version in [Version::V311, Version::V5] {
        let (hub, service) = hub_with_device().await;
        connected_with_will(&hub, version, "after goodbye").await.disconnect().await;
        drop(connected_with_will(&hub, version, "after silence").await);
        assert_eq!(stored(&service, 1).await, ["after silence"]);
        let events = service.events().await;
        let event = events.of("dev-1").next().expect("the will");
        assert_eq!(event.properties.get("iothub-MessageType").and_then(|value| value.as_str()), Some("Will"));
    }
}

#[tokio::test]
async fn mqtt_5_clients_may_ask_for_their_will_when_they_say_goodbye() {
    let (hub, service) = hub_with_device().await;
    let mut device = connected_with_will(&hub, Version::V5, "asked for").await;
    device.send(&Packet::Disconnect(Disconnect::new(ReasonCode::DisconnectWithWill))).await;
    device.expect_closed().await;
    assert_eq!(stored(&service, 1).await, ["asked for"]);
}

#[tokio::test]
async fn subscriptions_of_a_persistent_session_survive_a_restart_of_the_hub() {
    for version in [Version::V311, Version::V5] {
        let (mut hub, service) = hub_with_device().await;
        let (mut device, answer) = Device::connected_with(&hub, &persistent(version, "dev-1")).await;
        assert!(!answer.session_present);
        assert_eq!(device.subscribe(&[COMMANDS]).await, [Ok(QoS::AtLeastOnce)]);
        service.send_command("dev-1", "m-1", "before").await;
        let command = device.expect_publish().await;
        assert_eq!(&command.payload[..], b"before");
        // Killed with the command under way.
        hub.kill();
        hub.restart();
        hub.service().send_command("dev-1", "m-2", "after").await;
        let (mut device, answer) = Device::connected_with(&hub, &persistent(version, "dev-1")).await;
        assert!(answer.session_present);
        for body in ["before", "after"] {
            let command = device.expect_publish().await;
            assert_eq!(&command.payload[..], body.as_bytes());
            device.acknowledge(&command).await;
        }
        queued(&hub.service(), 0).await;
    }
}

#[tokio::test]
async fn a_clean_session_begins_with_nothing_and_ends_what_was_there() {
    let (hub, service) = hub_with_device().await;
    let (mut device, _) = Device::connected_with(&hub, &persistent(Version::V311, "dev-1")).await;
    device.subscribe(&[COMMANDS]).await;
    device.disconnect().await;
    let (mut device, answer) = Device::connected_with(&hub, &connect(Version::V311, "dev-1")).await;
    assert!(!answer.session_present);
    service.send_command("dev-1", "m-1", "waits").await;
    device.expect_alive().await;
    device.disconnect().await;
    let (mut device, answer) = Device::connected_with(&hub, &persistent(Version::V311, "dev-1")).await;
    assert!(!answer.session_present, "the clean session has cleared it");
    assert_eq!(device.subscribe(&[COMMANDS]).await, [Ok(QoS::AtLeastOnce)]);
    assert_eq!(&device.expect_publish().await.payload[..], b"waits", "the queue is the device's, not the session's");
}

#[tokio::test]
async fn an_mqtt_5_session_without_expiry_ends_with_its_connection() {
    let (hub, _service) = hub_with_device().await;
    let mut login = connect(Version::V5, "dev-1");
    login.clean_start = false;
    let (mut device, _) = Device::connected_with(&hub, &login).await;
    device.subscribe(&[COMMANDS]).await;
    device.disconnect().await;
    let (_device, answer) = Device::connected_with(&hub, &login).await;
    assert!(!answer.session_present);
}

#[tokio::test]
async fn an_unacknowledged_command_comes_again_with_dup_and_the_same_packet_id() {
    for version in [Version::V311, Version::V5] {
        let (hub, service) = hub_with_device().await;
        let (mut device, _) = Device::connected_with(&hub, &persistent(version, "dev-1")).await;
        device.subscribe(&[COMMANDS]).await;
        service.send_command("dev-1", "m-1", "one").await;
        let first = device.expect_publish().await;
        service.send_command("dev-1", "m-2", "two").await;
        let second = device.expect_publish().await;
        assert!(!first.dup && first.topic.starts_with("devices/dev-1/messages/devicebound/%24.to="), "{first:?}");
        device.acknowledge(&second).await;
        queued(&service, 1).await;
        drop(device);

        let (mut device, answer) = Device::connected_with(&hub, &persistent(version, "dev-1")).await;
        assert!(answer.session_present);
        let again = device.expect_publish().await;
        assert_eq!((again.dup, again.packet_id, &again.payload), (true, first.packet_id, &first.payload));
        device.acknowledge(&again).await;
        queued(&service, 0).await;
        device.expect_alive().await;
    }
}

#[tokio::test]
async fn a_command_for_a_qos_0_subscription_goes_once_at_qos_0() {
    let (hub, service) = hub_with_device().await;
    let (mut device, _) = Device::connected_with(&hub, &persistent(Version::V311, "dev-1")).await;
    device.send(&subscribe(1, &[(COMMANDS, QoS::AtMostOnce)])).await;
    assert!(matches!(device.receive().await, Some(Packet::SubAck(_))));
    service.send_command("dev-1", "m-1", "one").await;
    let command = device.expect_publish().await;
    assert_eq!((command.qos, command.packet_id), (QoS::AtMostOnce, None));
    queued(&service, 0).await;
}

#[tokio::test]
async fn acknowledgements_leave_in_the_order_of_arrival_whatever_they_wait_for() {
    let (hub, _service) = hub_with_device().await;
    let mut device = Device::connected(&hub, "dev-1").await;
    device.subscribe(&["$iothub/twin/res/#"]).await;
    let telemetry = telemetry_topic("dev-1");
    let topics = [
        telemetry.as_str(),
        "$iothub/twin/GET/?$rid=1",
        telemetry.as_str(),
        "$iothub/twin/PATCH/properties/reported/?$rid=2",
        "$iothub/methods/res/200/?$rid=ffff",
        telemetry.as_str(),
        "$iothub/twin/GET/?$rid=3",
    ];
    let ids: Vec<u16> = (0..70).map(|number| 1000 - number).collect();
    for (packet_id, topic) in ids.iter().zip(topics.iter().cycle()) {
        device.send(&Packet::Publish(publish(topic, Some(*packet_id), "{}"))).await;
    }
    let mut acknowledged = Vec::new();
    while acknowledged.len() < ids.len() {
        match device.receive().await {
            Some(Packet::PubAck(ack)) => acknowledged.push(ack.packet_id.get()),
            Some(Packet::Publish(answer)) => assert!(answer.topic.starts_with("$iothub/twin/res/20"), "{answer:?}"),
            other => panic!("an acknowledgement expected, not {other:?}"),
        }
    }
    assert_eq!(acknowledged, ids);
}
