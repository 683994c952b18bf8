//! Packets as clients write them.

use bytes::Bytes;
use mqtt_proto::Version;
use mqtt_proto::wire::{Connect, ConnectProperties, Packet, PacketId, Publish, PublishProperties, QoS, Subscribe, SubscribeFilter};
use mqtt_proto::wire::{SubscribeProperties, Text, Unsubscribe, UserProperties, Will, WillProperties};

/// Text that is known to be good.
pub(crate) fn text(text: &str) -> Text {
    Text::try_from(text).expect("MQTT text")
}

/// A packet id.
pub(crate) fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("a packet id")
}

/// The CONNECT of `device` or `device/module`, with a clean session and no password.
pub(crate) fn connect(version: Version, identity: &str) -> Connect {
    Connect {
        version,
        client_id: text(identity),
        clean_start: true,
        keep_alive_seconds: 60,
        username: Some(text(&format!("localhost/{identity}/?api-version=2021-04-12"))),
        password: None,
        will: None,
        properties: ConnectProperties::default(),
    }
}

/// The same with a session that outlives the connection.
pub(crate) fn persistent(version: Version, identity: &str) -> Connect {
    let mut connect = connect(version, identity);
    connect.clean_start = false;
    if version == Version::V5 {
        connect.properties.session_expiry_interval = Some(3600);
    }
    connect
}

/// A will among the telemetry of `identity`.
pub(crate) fn will(identity: &str, body: &str) -> Will {
    Will {
        topic: text(&telemetry_topic(identity)),
        payload: Bytes::copy_from_slice(body.as_bytes()),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: WillProperties::default(),
    }
}

/// Where telemetry of `device` or `device/module` goes.
pub(crate) fn telemetry_topic(identity: &str) -> String {
    match identity.split_once('/') {
        None => format!("devices/{identity}/messages/events/"),
        Some((device, module)) => format!("devices/{device}/modules/{module}/messages/events/"),
    }
}

/// A PUBLISH; a `packet_id` makes it QoS 1.
pub(crate) fn publish(topic: &str, packet_id: Option<u16>, body: impl Into<Vec<u8>>) -> Publish {
    Publish {
        topic: text(topic),
        payload: Bytes::from(body.into()),
        qos: if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        retain: false,
        dup: false,
        packet_id: packet_id.map(id),
        properties: PublishProperties::default(),
    }
}

/// A SUBSCRIBE.
pub(crate) fn subscribe(packet_id: u16, filters: &[(&str, QoS)]) -> Packet {
    let filters = filters.iter().map(|(filter, qos)| SubscribeFilter::new(text(filter), *qos)).collect();
    Packet::Subscribe(Subscribe { packet_id: id(packet_id), filters, properties: SubscribeProperties::default() })
}

/// An UNSUBSCRIBE.
pub(crate) fn unsubscribe(packet_id: u16, filters: &[&str]) -> Packet {
    let filters = filters.iter().map(|filter| text(filter)).collect();
    Packet::Unsubscribe(Unsubscribe { packet_id: id(packet_id), filters, user_properties: UserProperties::new() })
}
