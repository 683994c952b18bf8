//! Defects that other brokers had on the wire, each as a test that this hub has it not.
//!
//! | # | defect | here |
//! | --- | --- | --- |
//! | 1 | a topic whose first character is not ASCII kills the broker | [`a_topic_that_begins_beyond_ascii_harms_nobody`] |
//! | 2 | the sole member of a `$share` group leaves: the broker dies | pending: shared subscriptions (the generic namespace) |
//! | 3 | one stalled TLS handshake blocks all others | [`stalled_handshakes_block_nobody`] |
//! | 4 | takeover publishes the new connection's will | `mqtt_sessions` |
//! | 5 | a QoS 0 message reaches a QoS 1 subscriber as QoS 1 | `mqtt_sessions` for a QoS 0 subscription; between clients pending: the generic namespace |
//! | 6 | PUBACKs out of order close the connection; packet ids wrap at 100 | [`commands_may_be_acknowledged_in_any_order_and_packet_ids_go_on`] |
//! | 7 | UNSUBSCRIBE is not acknowledged, or twice | [`unsubscribe_is_acknowledged_once`] |
//! | 8 | PUBLISH to a wildcard is accepted | [`a_publish_to_a_wildcard_ends_the_connection`] |
//! | 9 | an empty payload without retain deletes the retained message | pending: retained messages (the generic namespace) |
//! | 10 | keep-alive 0 is refused | [`keep_alive_0_is_accepted`] |
//! | 11 | a client's CONNACK panics; a bad property length swallows the packet | [`packets_that_only_servers_send_end_the_connection`], [`a_property_length_beyond_the_packet_ends_the_connection`] |
//! | 12 | TCP_NODELAY is never set | [`small_packets_are_sent_at_once`] |
//! | 13 | TLS is configured anew for each connection | one configuration by design; `revocation` sees that nothing is resumed |
//! | 14 | a first publish to a topic scans all filters | pending: the generic namespace; hub topics are not looked up |
//! | 15 | MQTT 5 limits of the client are ignored | `mqtt5` |

use std::collections::BTreeSet;

use mqtt_proto::Version;
use mqtt_proto::wire::{Packet, ReasonCode};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::deadline::{SOON, wait_for, wait_until};
use crate::support::device::Device;
use crate::support::hub::HubProcess;
use crate::support::machine::{missing_for_injection, offers};
use crate::support::packets::{connect, persistent, telemetry_topic, unsubscribe};
use crate::support::service::Service;

const COMMANDS: &str = "devices/dev-1/messages/devicebound/#";

async fn hub_with_device() -> (HubProcess, Service) {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register("dev-1").await;
    (hub, service)
}

#[tokio::test]
async fn a_topic_that_begins_beyond_ascii_harms_nobody() {
    let (hub, service) = hub_with_device().await;
    service.register("dev-2").await;
    let mut subscriber = Device::connected(&hub, "dev-2").await;
    subscriber.subscribe(&["devices/dev-2/messages/devicebound/#"]).await;
    for topic in ["é/x", "漢", "\u{feff}a", "😀"] {
        let mut device = Device::connected(&hub, "dev-1").await;
        assert_eq!(device.try_publish(topic, "x").await, None, "{topic:?}");
    }
    subscriber.expect_alive().await;
}

#[tokio::test]
async fn stalled_handshakes_block_nobody() {
    let (hub, _service) = hub_with_device().await;
    let mut stalled = Vec::new();
    for number in 0..64 {
        let mut socket = TcpStream::connect(hub.ports().mqtt).await.expect("a socket");
        // Some say nothing, some begin a ClientHello and stop.
        if number % 2 == 0 {
            socket.write_all(b"\x16\x03\x01\x02\x00\x01").await.expect("sent");
        }
        stalled.push(socket);
    }
    let mut device = Device::connected(&hub, "dev-1").await;
    device.publish_acknowledged(&telemetry_topic("dev-1"), "served").await;
    assert_eq!(stalled.len(), 64);
}

#[tokio::test]
async fn commands_may_be_acknowledged_in_any_order_and_packet_ids_go_on() {
    let (hub, service) = hub_with_device().await;
    let (mut device, _) = Device::connected_with(&hub, &persistent(Version::V311, "dev-1")).await;
    device.subscribe(&[COMMANDS]).await;
    let mut seen = BTreeSet::new();
    for round in 0..13 {
        let mut received = Vec::new();
        for number in 0..10 {
            service.send_command("dev-1", &format!("m-{round}-{number}"), "x").await;
            received.push(device.expect_publish().await);
        }
        for command in received.iter().rev() {
            device.acknowledge(command).await;
            seen.insert(command.packet_id.expect("QoS 1").get());
        }
        wait_until("an empty queue", SOON, || async { service.commands("dev-1").await.is_empty().then_some(()) }).await;
    }
    assert!(seen.iter().any(|id| *id > 100), "packet ids do not wrap at 100: {seen:?}");
}

#[tokio::test]
async fn unsubscribe_is_acknowledged_once() {
    let (hub, _service) = hub_with_device().await;
    for version in [Version::V311, Version::V5] {
        let (mut device, _) = Device::connected_with(&hub, &connect(version, "dev-1")).await;
        device.subscribe(&[COMMANDS]).await;
        for (packet_id, filters, reasons) in [
            (21, vec!["never/subscribed"], vec![ReasonCode::NoSubscriptionExisted]),
            (22, vec![COMMANDS, "never/subscribed"], vec![ReasonCode::Success, ReasonCode::NoSubscriptionExisted]),
        ] {
            device.send(&unsubscribe(packet_id, &filters)).await;
            match device.receive().await {
                Some(Packet::UnsubAck(answer)) => {
                    assert_eq!(answer.packet_id.get(), packet_id);
                    assert!(version == Version::V311 || answer.reasons == reasons, "{answer:?}");
                }
                other => panic!("UNSUBACK expected, not {other:?}"),
            }
            device.expect_alive().await;
        }
        device.disconnect().await;
    }
}

#[tokio::test]
async fn a_publish_to_a_wildcard_ends_the_connection() {
    let (hub, service) = hub_with_device().await;
    for topic in [&b"a/+/b"[..], b"#", b"devices/dev-1/messages/events/#", b"devices/+/messages/events/"] {
        let mut device = Device::connected(&hub, "dev-1").await;
        let length = topic.len() as u8;
        device.send_bytes(&[&[0x32, length + 4, 0, length], topic, &[0, 1]].concat()).await;
        device.expect_closed().await;
    }
    assert_eq!(service.events().await.len(), 0);
}

#[tokio::test]
async fn keep_alive_0_is_accepted() {
    let (hub, _service) = hub_with_device().await;
    for version in [Version::V311, Version::V5] {
        let mut login = connect(version, "dev-1");
        login.keep_alive_seconds = 0;
        let (mut device, _) = Device::connected_with(&hub, &login).await;
        device.publish_acknowledged(&telemetry_topic("dev-1"), "taken").await;
    }
}

#[tokio::test]
async fn packets_that_only_servers_send_end_the_connection() {
    let (hub, _service) = hub_with_device().await;
    for version in [Version::V311, Version::V5] {
        for bytes in [
            &b"\x20\x02\x00\x00"[..],
            b"\x20\x03\x00\x00\x00",
            b"\x90\x03\x00\x01\x00",
            b"\xb0\x02\x00\x01",
            b"\xb0\x04\x00\x01\x00\x00",
            b"\xd0\x00",
        ] {
            let (mut device, _) = Device::connected_with(&hub, &connect(version, "dev-1")).await;
            device.send_bytes(bytes).await;
            let said = device.until_closed().await;
            assert!(said.len() <= usize::from(version == Version::V5), "{bytes:02x?}: {said:?}");
        }
    }
}

#[tokio::test]
async fn a_property_length_beyond_the_packet_ends_the_connection() {
    let (hub, service) = hub_with_device().await;
    let (mut device, _) = Device::connected_with(&hub, &connect(Version::V5, "dev-1")).await;
    let topic = telemetry_topic("dev-1").into_bytes();
    let length = topic.len() as u8;
    // Packet id 1, then properties of 100 bytes that are not there.
    device.send_bytes(&[&[0x32, length + 5, 0, length], topic.as_slice(), &[0, 1, 100]].concat()).await;
    device.expect_disconnect(ReasonCode::MalformedPacket).await;
    assert_eq!(service.events().await.len(), 0);
}

/// Seen in the system calls, for time tells nothing on a busy machine.
#[tokio::test]
async fn small_packets_are_sent_at_once() {
    if !offers(missing_for_injection()) {
        return;
    }
    let scratch = tempfile::tempdir().expect("a directory");
    let trace = scratch.path().join("trace");
    let data_dir = scratch.path().join("data");
    let mut hub = HubProcess::not_started_at(&data_dir);
    let traced = ["strace", "-D", "-f", "-qq", "-e", "trace=setsockopt", "-o"].map(Into::into);
    let wrapper: Vec<_> = traced.into_iter().chain([trace.clone().into_os_string()]).collect();
    hub.try_start(&wrapper).unwrap_or_else(|ended| panic!("{}\n{}", ended.status, ended.log));
    let service = hub.service();
    service.register("dev-1").await;
    let mut device = Device::connected(&hub, "dev-1").await;
    device.subscribe(&[COMMANDS]).await;
    wait_for("TCP_NODELAY on both listeners", SOON, || {
        let text = std::fs::read_to_string(&trace).unwrap_or_default();
        (text.matches("TCP_NODELAY, [1]").count() >= 2).then_some(())
    });
}
