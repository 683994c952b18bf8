use std::time::Duration;

use bytes::BytesMut;
use mqtt_proto::Version::{self, V5, V311};
use mqtt_proto::session::{Accept, CloseReason, Config, Event, Violation};
use mqtt_proto::wire::{
    ConnAck, ConnAckCode, ConnAckProperties, ConnectReturnCode, Malformed, Packet, PacketType, QoS, ReasonCode, Will, WillProperties,
};

use crate::server::{Server, connect, message, text};

fn connack(session_present: bool, code: ConnAckCode) -> ConnAck {
    ConnAck { session_present, code, properties: ConnAckProperties::default() }
}

fn sent_connack(server: &mut Server) -> ConnAck {
    match server.take_one() {
        Packet::ConnAck(connack) => *connack,
        other => panic!("not CONNACK: {other:?}"),
    }
}

fn refused(server: &mut Server, code: ConnAckCode) {
    assert_eq!(server.sent(), [Packet::ConnAck(Box::new(connack(false, code)))]);
    assert!(server.connection.is_closed());
}

#[test]
fn a_connection_without_connect_ends_at_its_deadline() {
    let mut server = Server::new(Config::default(), V311);
    assert_eq!(server.connection.next_timeout(), Some(server.now + Duration::from_secs(10)));
    server.receive_bytes(&[0x10]);
    server.pass(Duration::from_secs(10));
    assert_eq!(server.events(), [Event::Closed(CloseReason::ConnectTimeout)]);
    assert!(server.sent().is_empty());
}

#[test]
fn the_deadline_covers_the_verdict() {
    let mut server = Server::new(Config::default(), V5);
    server.receive(Packet::Connect(Box::new(connect(V5))));
    server.pass(Duration::from_secs(10));
    assert_eq!(server.events().last(), Some(&Event::Closed(CloseReason::ConnectTimeout)));
    server.accept(Accept::default());
    assert!(server.sent().is_empty(), "a verdict that comes too late does nothing");
}

#[test]
fn another_first_packet_is_refused_by_its_first_byte() {
    for first in [0x30, 0xc0, 0xe0, 0x00, 0xff, b'G'] {
        let mut server = Server::new(Config::default(), V311);
        server.receive_bytes(&[first]);
        server.assert_violated(Violation::FirstPacket);
        assert!(server.sent().is_empty());
    }
}

#[test]
fn packets_behind_connect_wait_for_the_verdict() {
    let mut server = Server::new(Config::default(), V311);
    server.receive(Packet::Connect(Box::new(connect(V311))));
    server.receive(Packet::Publish(message("a", 1)));
    assert_eq!(server.events().len(), 1);
    assert!(!server.connection.wants_input());
    server.accept(Accept::default());
    assert_eq!(server.receipts().len(), 1);
}

#[test]
fn connack_reports_the_session_truthfully() {
    for present in [false, true] {
        let mut server = Server::new(Config::default(), V311);
        server.receive(Packet::Connect(Box::new(connect(V311))));
        server.accept(Accept { session_present: present, ..Accept::default() });
        let expected = connack(present, ConnAckCode::Return(ConnectReturnCode::Accepted));
        assert_eq!(sent_connack(&mut server), expected);
    }
}

#[test]
fn version_5_is_told_what_the_server_has() {
    let mut server = Server::new(Config::default(), V5);
    server.receive(Packet::Connect(Box::new(connect(V5))));
    server.accept(Accept { assigned_client_id: Some(text("given")), ..Accept::default() });
    let expected = ConnAckProperties {
        receive_maximum: Some(1024),
        maximum_qos: Some(QoS::AtLeastOnce),
        retain_available: Some(false),
        maximum_packet_size: Some(266_240),
        assigned_client_id: Some(text("given")),
        topic_alias_maximum: Some(10),
        wildcard_subscription_available: Some(true),
        subscription_id_available: Some(false),
        shared_subscription_available: Some(false),
        ..ConnAckProperties::default()
    };
    assert_eq!(sent_connack(&mut server).properties, expected);
}

#[test]
fn a_refusal_speaks_the_clients_version() {
    let refuse = |version: Version| {
        let mut server = Server::new(Config::default(), version);
        server.receive(Packet::Connect(Box::new(connect(version))));
        server.events();
        server.connection.refuse(ConnectReturnCode::NotAuthorized, ReasonCode::NotAuthorized, None);
        assert!(server.events().is_empty());
        server
    };
    refused(&mut refuse(V311), ConnAckCode::Return(ConnectReturnCode::NotAuthorized));
    refused(&mut refuse(V5), ConnAckCode::Reason(ReasonCode::NotAuthorized));
}

#[test]
fn unsupported_levels_are_answered() {
    let answer = |bytes: &[u8]| {
        let mut server = Server::new(Config::default(), V311);
        server.receive_bytes(bytes);
        let level = bytes[8];
        server.assert_violated(Violation::Malformed(Malformed::UnsupportedLevel { level }));
        server.connection.output().split()
    };
    assert_eq!(answer(b"\x10\x0c\0\x04MQTT\x03\x02\0\x3c\0\0"), BytesMut::from(&[0x20, 2, 0, 1][..]));
    assert_eq!(answer(b"\x10\x0c\0\x04MQTT\x06\x02\0\x3c\0\0"), BytesMut::from(&[0x20, 3, 0, 0x84, 0][..]));
}

#[test]
fn a_malformed_connect_is_answered_in_version_5_only() {
    let answer = |level: u8| {
        let mut server = Server::new(Config::default(), V5);
        server.receive_bytes(&[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', level, 0x03, 0, 60, 0, 0]);
        server.assert_violated(Violation::Malformed(Malformed::ConnectReserved));
        server.connection.output().split().to_vec()
    };
    assert_eq!(answer(5), [0x20, 3, 0, 0x81, 0]);
    assert_eq!(answer(4), []);
}

#[test]
fn a_large_connect_is_refused_before_it_arrives() {
    let mut server = Server::new(Config::default(), V311);
    server.receive_bytes(&[0x10, 0xff, 0xff, 0xff, 0x7f]);
    let malformed = Malformed::TooLarge { bytes: 268_435_460, limit: 16_384 };
    server.assert_violated(Violation::Malformed(malformed));
}

#[test]
fn a_second_connect_ends_the_connection() {
    let mut server = Server::connected(V311);
    server.receive(Packet::Connect(Box::new(connect(V311))));
    server.assert_violated(Violation::SecondConnect);
    assert!(server.sent().is_empty());
    let mut server = Server::connected(V5);
    server.receive(Packet::Connect(Box::new(connect(V5))));
    server.assert_violated(Violation::SecondConnect);
    assert!(matches!(&server.sent()[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::ProtocolError));
}

#[test]
fn a_session_to_resume_needs_a_client_id() {
    let mut nameless = connect(V311);
    nameless.client_id = text("");
    let mut server = Server::new(Config::default(), V311);
    server.receive(Packet::Connect(Box::new(nameless.clone())));
    refused(&mut server, ConnAckCode::Return(ConnectReturnCode::IdentifierRejected));
    server.assert_violated(Violation::ClientIdMissing);
    nameless.clean_start = true;
    for version in [V311, V5] {
        nameless.version = version;
        let mut server = Server::new(Config::default(), version);
        server.receive(Packet::Connect(Box::new(nameless.clone())));
        assert!(matches!(server.events()[..], [Event::Connect(_)]), "the application may assign one");
    }
}

#[test]
fn extended_authentication_is_refused() {
    let mut asking = connect(V5);
    asking.properties.authentication_method = Some(text("SCRAM-SHA-256"));
    let mut server = Server::new(Config::default(), V5);
    server.receive(Packet::Connect(Box::new(asking)));
    refused(&mut server, ConnAckCode::Reason(ReasonCode::BadAuthenticationMethod));
    server.assert_violated(Violation::AuthenticationMethod);
}

#[test]
fn wills_are_held_to_what_version_5_is_told() {
    let check = |version, qos, retain, expected: Option<Violation>| {
        let mut with_will = connect(version);
        let properties = WillProperties::default();
        with_will.will = Some(Will { topic: text("w"), payload: "gone".into(), qos, retain, properties });
        let mut server = Server::new(Config::default(), version);
        server.receive(Packet::Connect(Box::new(with_will.clone())));
        match expected {
            None => assert_eq!(server.events(), [Event::Connect(Box::new(with_will))]),
            Some(violation) => {
                refused(&mut server, ConnAckCode::Reason(violation.reason()));
                server.assert_violated(violation);
            }
        }
    };
    check(V311, QoS::ExactlyOnce, true, None);
    check(V5, QoS::AtLeastOnce, false, None);
    check(V5, QoS::ExactlyOnce, false, Some(Violation::QosUnavailable));
    check(V5, QoS::AtMostOnce, true, Some(Violation::RetainUnavailable));
}

#[test]
fn text_for_people_gives_way_to_the_clients_packet_size() {
    let mut small = connect(V5);
    small.properties.maximum_packet_size = Some(40);
    let mut server = Server::new(Config::default(), V5);
    server.receive(Packet::Connect(Box::new(small)));
    server.accept(Accept { reason_string: Some(text(&"welcome".repeat(9))), ..Accept::default() });
    assert_eq!(sent_connack(&mut server).properties.reason_string, None);
    server.connection.disconnect(ReasonCode::ServerShuttingDown, Some(&"see you".repeat(9)));
    assert!(matches!(&server.sent()[..], [Packet::Disconnect(d)] if d.reason_string.is_none()));
}

/// rumqttd defect 11: a client-sent CONNACK or UNSUBACK panicked.
#[test]
fn packets_of_a_server_end_the_connection() {
    for (bytes, packet) in [
        ([0x20, 2], PacketType::ConnAck),
        ([0x90, 3], PacketType::SubAck),
        ([0xb0, 2], PacketType::UnsubAck),
        ([0xd0, 0], PacketType::PingResp),
    ] {
        for version in [V311, V5] {
            let mut server = Server::connected(version);
            server.receive_bytes(&bytes);
            let sender = mqtt_proto::wire::Sender::Client;
            server.assert_violated(Violation::Malformed(Malformed::Direction { packet, sender }));
        }
    }
}
