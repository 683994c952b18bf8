use mqtt_proto::Version::{V5, V311};
use mqtt_proto::session::{Config, Event, InFlight, Outbound, Unsent, Violation};
use mqtt_proto::wire::{Ack, InvalidTopic, Packet, PublishProperties, QoS, ReasonCode, Unencodable};

use crate::server::{Server, connect, id, text};

pub(crate) fn outbound(qos: QoS, tag: u64) -> Outbound {
    let properties = PublishProperties::default();
    Outbound { topic: text("t"), payload: format!("m{tag}").into(), qos, retain: false, properties, tag }
}

/// Packet identifier, DUP and payload of each message sent.
fn messages(server: &mut Server) -> Vec<(u16, bool, String)> {
    server
        .sent()
        .into_iter()
        .map(|packet| match packet {
            Packet::Publish(publish) => {
                let number = publish.packet_id.map_or(0, |id| id.get());
                (number, publish.dup, String::from_utf8(publish.payload.to_vec()).unwrap())
            }
            other => panic!("not PUBLISH: {other:?}"),
        })
        .collect()
}

fn acknowledge(server: &mut Server, number: u16) {
    server.receive(Packet::PubAck(Ack::new(id(number), ReasonCode::Success)));
}

fn acknowledged(tag: u64) -> Event {
    Event::Acknowledged { tag, reason: ReasonCode::Success }
}

/// rumqttd defect 6: PUBACKs out of order closed the connection.
#[test]
fn acknowledgements_come_in_any_order() {
    let mut server = Server::connected(V311);
    for tag in 1..=3 {
        server.connection.publish(outbound(QoS::AtLeastOnce, tag)).unwrap();
    }
    for number in [3, 1, 2, 2] {
        acknowledge(&mut server, number);
    }
    assert_eq!(server.events(), [acknowledged(3), acknowledged(1), acknowledged(2)]);
    assert!(!server.connection.is_closed(), "an answer to nothing is ignored");
}

/// rumqttd defect 6: packet identifiers wrapped at 100.
#[test]
fn packet_identifiers_use_the_whole_range_and_skip_those_in_use() {
    let mut server = Server::connected(V311);
    server.connection.publish(outbound(QoS::AtLeastOnce, 0)).unwrap();
    assert_eq!(messages(&mut server)[0].0, 1);
    for expected in (2..=u16::MAX).chain(2..10) {
        server.connection.publish(outbound(QoS::AtLeastOnce, 1)).unwrap();
        assert_eq!(messages(&mut server)[0].0, expected, "1 is still in use");
        acknowledge(&mut server, expected);
        assert_eq!(server.events(), [acknowledged(1)]);
    }
}

/// rumqttd defect 15: the receive maximum was parsed and ignored.
#[test]
fn the_window_is_the_clients_receive_maximum() {
    let mut narrow = connect(V5);
    narrow.properties.receive_maximum = Some(2);
    let mut server = Server::connected_by(Config::default(), narrow, InFlight::default());
    assert_eq!(server.connection.window(), 2);
    server.connection.publish(outbound(QoS::AtLeastOnce, 1)).unwrap();
    server.connection.publish(outbound(QoS::AtLeastOnce, 2)).unwrap();
    assert_eq!(server.connection.publish(outbound(QoS::AtLeastOnce, 3)), Err(Unsent::WindowFull));
    server.connection.publish(outbound(QoS::AtMostOnce, 4)).unwrap();
    acknowledge(&mut server, 2);
    assert_eq!(server.connection.window(), 1);
    let default = Server::connected(V311);
    assert_eq!(default.connection.window(), 1024, "a client without one gets ours");
}

#[test]
fn unacknowledged_messages_are_sent_again_first_with_the_same_identifier() {
    for (earlier, later) in [(V311, V311), (V311, V5), (V5, V311)] {
        let mut server = Server::connected(earlier);
        for tag in 1..=3 {
            server.connection.publish(outbound(QoS::AtLeastOnce, tag)).unwrap();
        }
        acknowledge(&mut server, 2);
        server.receive_bytes(&[0xc0, 0x80, 0x80, 0x80, 0x80]);
        assert!(server.connection.is_closed());
        let in_flight = server.connection.take_in_flight();
        assert_eq!(in_flight.tags().collect::<Vec<_>>(), [1, 3]);

        let mut server = Server::connected_by(Config::default(), connect(later), in_flight);
        server.connection.publish(outbound(QoS::AtLeastOnce, 4)).unwrap();
        let expected = [(1, true, "m1".into()), (3, true, "m3".into()), (4, false, "m4".into())];
        assert_eq!(messages(&mut server), expected);
        acknowledge(&mut server, 3);
        assert_eq!(server.events(), [acknowledged(3)]);
        assert_eq!(server.connection.take_in_flight().tags().collect::<Vec<_>>(), [1, 4]);
    }
}

#[test]
fn messages_sent_again_keep_to_the_window_and_the_output() {
    let mut server = Server::connected(V5);
    for tag in 1..=100 {
        server.connection.publish(outbound(QoS::AtLeastOnce, tag)).unwrap();
    }
    let in_flight = server.connection.take_in_flight();
    let mut narrow = connect(V5);
    narrow.properties.receive_maximum = Some(30);
    let config = Config { output_bytes_max: 64, ..Config::default() };
    let mut server = Server::connected_by(config, narrow, in_flight);
    assert_eq!(server.connection.window(), 0, "nothing overtakes");
    assert!(server.connection.output().len() < 64 + 40);
    assert_eq!(messages(&mut server).len(), 30);
    assert_eq!(server.connection.publish(outbound(QoS::AtLeastOnce, 101)), Err(Unsent::WindowFull));
    for number in 1..=100 {
        acknowledge(&mut server, number);
        messages(&mut server);
    }
    assert_eq!(server.events().len(), 100);
    assert_eq!(server.connection.window(), 30);
    assert!(server.connection.take_in_flight().is_empty());
}

#[test]
fn a_new_session_gets_nothing_again() {
    let mut server = Server::connected(V311);
    server.connection.publish(outbound(QoS::AtLeastOnce, 1)).unwrap();
    let in_flight = server.connection.take_in_flight();
    let mut server = Server::new(Config::default(), V311);
    server.receive(Packet::Connect(Box::new(connect(V311))));
    server.accept(mqtt_proto::session::Accept { in_flight, ..Default::default() });
    assert_eq!(server.sent().len(), 1);
}

/// rumqttd defect 15: the maximum packet size was parsed and ignored.
#[test]
fn the_clients_maximum_packet_size_is_honoured() {
    let mut small = connect(V5);
    small.properties.maximum_packet_size = Some(60);
    let mut server = Server::connected(V5);
    let mut large = outbound(QoS::AtLeastOnce, 7);
    large.payload = vec![0; 100].into();
    server.connection.publish(large.clone()).unwrap();
    let in_flight = server.connection.take_in_flight();

    let mut server = Server::connected_by(Config::default(), small, in_flight);
    assert_eq!(server.events(), [Event::Acknowledged { tag: 7, reason: ReasonCode::PacketTooLarge }]);
    assert_eq!(server.connection.publish(large), Err(Unsent::TooLarge { bytes: 108, limit: 60 }));
    assert!(server.sent().is_empty());
    assert_eq!(server.connection.window(), 1024);
    server.connection.publish(outbound(QoS::AtLeastOnce, 8)).unwrap();
}

/// rumqttd defect 5: QoS 0 reached a QoS 1 subscriber as QoS 1.
#[test]
fn qos_is_what_the_application_asked_for() {
    let mut server = Server::connected(V311);
    server.connection.publish(outbound(QoS::AtMostOnce, 1)).unwrap();
    assert_eq!(messages(&mut server), [(0, false, "m1".into())]);
    assert!(server.connection.take_in_flight().is_empty());
    assert_eq!(server.connection.publish(outbound(QoS::ExactlyOnce, 1)), Err(Unsent::QosUnavailable));
}

#[test]
fn what_cannot_be_sent_says_so() {
    let mut server = Server::new(Config::default(), V311);
    assert_eq!(server.connection.publish(outbound(QoS::AtMostOnce, 1)), Err(Unsent::NotConnected));
    let config = Config { output_bytes_max: 10, ..Config::default() };
    let mut server = Server::connected_by(config, connect(V311), InFlight::default());
    let mut wildcard = outbound(QoS::AtMostOnce, 1);
    wildcard.topic = text("a/#");
    let expected = Unsent::Unencodable(Unencodable::Topic(InvalidTopic::Wildcard));
    assert_eq!(server.connection.publish(wildcard), Err(expected));
    server.connection.publish(outbound(QoS::AtMostOnce, 2)).unwrap();
    server.connection.publish(outbound(QoS::AtMostOnce, 3)).unwrap();
    assert_eq!(server.connection.publish(outbound(QoS::AtMostOnce, 4)), Err(Unsent::OutputFull));
}

#[test]
fn a_version_5_client_can_refuse_a_message() {
    let mut server = Server::connected(V5);
    server.connection.publish(outbound(QoS::AtLeastOnce, 1)).unwrap();
    server.receive(Packet::PubAck(Ack::new(id(1), ReasonCode::PayloadFormatInvalid)));
    assert_eq!(server.events(), [Event::Acknowledged { tag: 1, reason: ReasonCode::PayloadFormatInvalid }]);
}

#[test]
fn steps_of_qos_2_are_refused() {
    let mut server = Server::connected(V5);
    server.receive(Packet::PubRec(Ack::new(id(1), ReasonCode::Success)));
    assert!(matches!(&server.sent()[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::QosNotSupported));
    server.assert_violated(Violation::QosStep { packet: mqtt_proto::wire::PacketType::PubRec });
}
