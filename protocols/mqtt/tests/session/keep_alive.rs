use std::time::Duration;

use mqtt_proto::Version::{self, V5, V311};
use mqtt_proto::session::{Accept, CloseReason, Config, Event, InFlight};
use mqtt_proto::wire::{Packet, ReasonCode};

use crate::server::{Server, connect, message};

fn asking(version: Version, seconds: u16) -> Server {
    let mut connect = connect(version);
    connect.keep_alive_seconds = seconds;
    Server::connected_by(Config::default(), connect, InFlight::default())
}

/// The longest silence, in seconds.
fn silence(server: &Server) -> f64 {
    (server.connection.next_timeout().unwrap() - server.now).as_secs_f64()
}

/// rumqttd defect 10: keep-alive 0 was refused.
#[test]
fn silence_is_one_and_a_half_keep_alives_within_bounds() {
    for version in [V311, V5] {
        assert_eq!(silence(&asking(version, 60)), 90.0);
        assert_eq!(silence(&asking(version, 1)), 1.5);
        assert_eq!(silence(&asking(version, 1178)), 1767.0);
        assert_eq!(silence(&asking(version, 1179)), 1767.0);
        assert_eq!(silence(&asking(version, 0)), 1767.0);
        assert_eq!(silence(&asking(version, 65_535)), 1767.0);
    }
}

#[test]
fn version_5_is_told_a_keep_alive_that_is_not_its_own() {
    let told = |seconds, wanted| {
        let mut asking = connect(V5);
        asking.keep_alive_seconds = seconds;
        let mut server = Server::new(Config::default(), V5);
        server.receive(Packet::Connect(Box::new(asking)));
        server.accept(Accept { server_keep_alive: wanted, ..Accept::default() });
        let silence = silence(&server);
        match server.take_one() {
            Packet::ConnAck(connack) => (connack.properties.server_keep_alive, silence),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told(60, None), (None, 90.0));
    assert_eq!(told(120, Some(60)), (Some(60), 90.0));
    assert_eq!(told(0, None), (Some(1178), 1767.0));
    assert_eq!(told(2000, None), (Some(1178), 1767.0));
}

#[test]
fn a_silent_client_is_closed() {
    for version in [V311, V5] {
        let mut server = asking(version, 60);
        server.pass(Duration::from_secs(89));
        assert!(!server.connection.is_closed());
        server.pass(Duration::from_secs(1));
        assert_eq!(server.events(), [Event::Closed(CloseReason::KeepAliveLapsed)]);
        match version {
            V311 => assert!(server.sent().is_empty()),
            V5 => assert!(matches!(&server.sent()[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::KeepAliveTimeout)),
        }
    }
}

#[test]
fn every_packet_counts_and_bytes_of_one_do_not() {
    let mut server = asking(V311, 60);
    server.pass(Duration::from_secs(80));
    server.receive(Packet::Publish(message("a", 0)));
    assert_eq!(silence(&server), 90.0);
    server.pass(Duration::from_secs(80));
    server.receive_bytes(&[0xc0]);
    assert_eq!(silence(&server), 10.0);
}

#[test]
fn silence_of_our_own_making_does_not_count() {
    let config = Config { in_flight_max: 1, ..Config::default() };
    let mut server = Server::connected_by(config, connect(V311), InFlight::default());
    server.receive(Packet::Publish(message("a", 1)));
    let receipts = server.receipts();
    server.pass(Duration::from_secs(10_000));
    assert!(!server.connection.is_closed(), "nobody listened");
    server.connection.acknowledge(receipts[0], ReasonCode::Success);
    server.pass(Duration::from_secs(90));
    assert!(server.connection.is_closed());
}

#[test]
fn a_year_of_pings() {
    let mut server = asking(V5, 60);
    let end = server.now + Duration::from_secs(365 * 24 * 3600);
    while server.now < end {
        server.pass(Duration::from_secs(60));
        server.receive_bytes(&[0xc0, 0]);
        assert_eq!(server.connection.output().split()[..], [0xd0, 0]);
    }
    assert!(server.events().is_empty());
    assert!(!server.connection.is_closed());
    let mut slow = asking(V5, 60);
    slow.pass(Duration::from_secs(91));
    assert!(slow.connection.is_closed());
}
