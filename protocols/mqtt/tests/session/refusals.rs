use mqtt_proto::Version::{V5, V311};
use mqtt_proto::session::{CloseReason, Config, Event, InFlight, Violation};
use mqtt_proto::wire::{Auth, Disconnect, Packet, QoS, ReasonCode, UserProperties};

use crate::server::{Server, connect, message, text};

/// What a version 5 client is told at the end.
fn farewell(server: &mut Server) -> ReasonCode {
    match server.sent().pop() {
        Some(Packet::Disconnect(disconnect)) => disconnect.reason,
        other => panic!("not DISCONNECT: {other:?}"),
    }
}

#[test]
fn qos_2_is_refused() {
    let mut twice = message("a", 1);
    twice.qos = QoS::ExactlyOnce;
    let mut server = Server::connected(V311);
    server.receive(Packet::Publish(twice.clone()));
    assert!(server.sent().is_empty());
    server.assert_violated(Violation::QosUnavailable);
    let mut server = Server::connected(V5);
    server.receive(Packet::Publish(twice));
    assert_eq!(farewell(&mut server), ReasonCode::QosNotSupported);
    server.assert_violated(Violation::QosUnavailable);
}

#[test]
fn retain_is_a_flag_for_3_1_1_and_refused_in_version_5() {
    let mut retained = message("a", 1);
    retained.retain = true;
    let mut server = Server::connected(V311);
    server.receive(Packet::Publish(retained.clone()));
    assert!(matches!(&server.events()[..], [Event::Publish { publish, .. }] if publish.retain));
    let mut server = Server::connected(V5);
    server.receive(Packet::Publish(retained));
    assert_eq!(farewell(&mut server), ReasonCode::RetainNotSupported);
    server.assert_violated(Violation::RetainUnavailable);
}

#[test]
fn auth_without_a_method_is_refused() {
    let mut server = Server::connected(V5);
    server.receive(Packet::Auth(Auth {
        reason: ReasonCode::Reauthenticate,
        authentication_method: Some(text("m")),
        authentication_data: None,
        reason_string: None,
        user_properties: UserProperties::new(),
    }));
    assert_eq!(farewell(&mut server), ReasonCode::ProtocolError);
    server.assert_violated(Violation::AuthUnexpected);
}

#[test]
fn what_came_before_a_violation_is_told_first() {
    let mut server = Server::connected(V311);
    server.receive_bytes(b"\x30\x03\0\x01a\xc0\0\xff");
    let events = server.events();
    assert!(matches!(events[..], [Event::Publish { .. }, Event::Closed(CloseReason::Violation(_))]));
    assert_eq!(server.sent(), [Packet::PingResp]);
}

#[test]
fn nothing_follows_the_end() {
    let mut server = Server::connected(V5);
    server.receive(Packet::Publish(message("a", 1)));
    let receipts = server.receipts();
    server.receive(Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
    server.receive(Packet::Publish(message("a", 2)));
    server.connection.acknowledge(receipts[0], ReasonCode::Success);
    server.connection.disconnect(ReasonCode::ServerShuttingDown, None);
    assert!(server.sent().is_empty());
    assert_eq!(server.events().len(), 1);
}

#[test]
fn a_leave_takes_the_will_back_unless_it_says_otherwise() {
    let leave = |version, reason| {
        let mut server = Server::connected(version);
        server.receive(Packet::Disconnect(Disconnect::new(reason)));
        assert!(server.connection.is_closed());
        match server.events().pop() {
            Some(Event::Disconnected { publish_will, .. }) => publish_will,
            other => panic!("{other:?}"),
        }
    };
    assert!(!leave(V311, ReasonCode::Success));
    assert!(!leave(V5, ReasonCode::Success));
    assert!(leave(V5, ReasonCode::DisconnectWithWill));
    assert!(leave(V5, ReasonCode::UnspecifiedError));
}

/// rumqttd defect 15: the session expiry was parsed and ignored.
#[test]
fn a_leave_may_change_the_session_expiry_but_not_begin_one() {
    let leave = |asked, now: u32| {
        let mut asking = connect(V5);
        asking.properties.session_expiry_interval = asked;
        let mut server = Server::connected_by(Config::default(), asking, InFlight::default());
        let mut disconnect = Disconnect::new(ReasonCode::Success);
        disconnect.session_expiry_interval = Some(now);
        server.receive(Packet::Disconnect(disconnect));
        server
    };
    let mut server = leave(Some(60), 10);
    let events = server.events();
    assert!(matches!(events[..], [Event::Disconnected { session_expiry_interval: Some(10), .. }]));
    let mut server = leave(None, 10);
    assert_eq!(farewell(&mut server), ReasonCode::ProtocolError);
    server.assert_violated(Violation::SessionExpiry);
    assert!(!leave(None, 0).events().is_empty());
}

#[test]
fn the_server_says_why_it_leaves_to_version_5_only() {
    let mut server = Server::connected(V5);
    server.connection.disconnect(ReasonCode::SessionTakenOver, Some("another connection"));
    let mut expected = Disconnect::new(ReasonCode::SessionTakenOver);
    expected.reason_string = Some(text("another connection"));
    assert_eq!(server.sent(), [Packet::Disconnect(expected)]);
    assert!(server.events().is_empty());
    let mut server = Server::connected(V311);
    server.connection.disconnect(ReasonCode::SessionTakenOver, Some("another connection"));
    assert!(server.sent().is_empty());
    assert!(server.connection.is_closed());
}
