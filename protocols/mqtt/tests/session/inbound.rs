use mqtt_proto::Version::{V5, V311};
use mqtt_proto::session::{Config, Event, InFlight, Violation};
use mqtt_proto::wire::{Ack, InvalidTopic, Malformed, Packet, ReasonCode};

use crate::server::{Server, connect, id, message, text};

fn pubacks(server: &mut Server) -> Vec<u16> {
    server
        .sent()
        .into_iter()
        .map(|packet| match packet {
            Packet::PubAck(ack) => ack.packet_id.get(),
            other => panic!("not PUBACK: {other:?}"),
        })
        .collect()
}

#[test]
fn pubacks_leave_in_arrival_order() {
    for version in [V311, V5] {
        let mut server = Server::connected(version);
        for number in [7, 3, 9, 65_535] {
            server.receive(Packet::Publish(message("a", number)));
        }
        let receipts = server.receipts();
        server.connection.acknowledge(receipts[3], ReasonCode::Success);
        server.connection.acknowledge(receipts[1], ReasonCode::Success);
        assert_eq!(pubacks(&mut server), []);
        server.connection.acknowledge(receipts[0], ReasonCode::Success);
        assert_eq!(pubacks(&mut server), [7, 3]);
        server.connection.acknowledge(receipts[0], ReasonCode::Success);
        assert_eq!(pubacks(&mut server), [], "a receipt is good for one answer");
        server.connection.acknowledge(receipts[2], ReasonCode::Success);
        assert_eq!(pubacks(&mut server), [9, 65_535]);
    }
}

#[test]
fn version_5_is_told_how_it_went() {
    let mut server = Server::connected(V5);
    server.receive(Packet::Publish(message("a", 1)));
    server.receive(Packet::Publish(message("a", 2)));
    let receipts = server.receipts();
    server.connection.acknowledge(receipts[0], ReasonCode::QuotaExceeded);
    server.connection.acknowledge(receipts[1], ReasonCode::Banned);
    let expected =
        [Packet::PubAck(Ack::new(id(1), ReasonCode::QuotaExceeded)), Packet::PubAck(Ack::new(id(2), ReasonCode::UnspecifiedError))];
    assert_eq!(server.sent(), expected);
}

#[test]
fn qos_0_needs_no_answer() {
    let mut server = Server::connected(V311);
    server.receive(Packet::Publish(message("a", 0)));
    assert_eq!(server.events(), [Event::Publish { publish: message("a", 0), receipt: None }]);
    assert!(server.sent().is_empty());
}

#[test]
fn reading_stops_for_3_1_1_while_the_window_is_full() {
    let config = Config { in_flight_max: 2, ..Config::default() };
    let mut server = Server::connected_by(config, connect(V311), InFlight::default());
    for number in 1..=5 {
        server.receive(Packet::Publish(message("a", number)));
    }
    let receipts = server.receipts();
    assert_eq!(receipts.len(), 2);
    assert!(!server.connection.wants_input());
    server.connection.acknowledge(receipts[0], ReasonCode::Success);
    assert!(server.connection.wants_input());
    server.receive_bytes(&[]);
    assert_eq!(server.receipts().len(), 1);
    assert!(!server.connection.wants_input());
}

#[test]
fn version_5_is_held_to_the_receive_maximum() {
    let config = Config { in_flight_max: 2, ..Config::default() };
    let mut server = Server::connected_by(config, connect(V5), InFlight::default());
    server.receive(Packet::Publish(message("a", 1)));
    server.receive(Packet::Publish(message("a", 2)));
    server.receive(Packet::PingReq);
    assert_eq!(server.sent(), [Packet::PingResp], "a full window does not stop other packets");
    server.receive(Packet::Publish(message("a", 3)));
    let sent = server.sent();
    assert!(matches!(&sent[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::ReceiveMaximumExceeded));
    server.assert_violated(Violation::ReceiveMaximum { limit: 2 });
}

#[test]
fn a_duplicate_of_a_waiting_message_is_answered_once() {
    let mut server = Server::connected(V311);
    let mut again = message("a", 5);
    server.receive(Packet::Publish(again.clone()));
    again.dup = true;
    server.receive(Packet::Publish(again.clone()));
    let receipts = server.receipts();
    assert_eq!(receipts.len(), 1);
    server.connection.acknowledge(receipts[0], ReasonCode::Success);
    assert_eq!(pubacks(&mut server), [5]);
    server.receive(Packet::Publish(again));
    assert_eq!(server.receipts().len(), 1, "after the PUBACK the identifier is free");
}

#[test]
fn a_waiting_identifier_is_not_used_for_something_new() {
    let mut server = Server::connected(V5);
    server.receive(Packet::Publish(message("a", 5)));
    server.receive(Packet::Publish(message("b", 5)));
    let sent = server.sent();
    assert!(matches!(&sent[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::ProtocolError));
    server.assert_violated(Violation::PacketIdInUse { packet_id: id(5) });
}

/// rumqttd defect 1: a topic whose first character is not ASCII.
#[test]
fn non_ascii_topics_are_delivered() {
    let mut server = Server::connected(V311);
    server.receive(Packet::Publish(message("größe", 0)));
    server.receive(Packet::Publish(message("€/x", 0)));
    assert_eq!(server.events().len(), 2);
}

/// rumqttd defect 8: `a/+/b` was accepted as a topic and acknowledged.
#[test]
fn wildcard_topics_end_the_connection() {
    let mut server = Server::connected(V311);
    server.receive_bytes(b"\x32\x09\0\x05a/+/b\0\x01");
    server.assert_violated(Violation::Malformed(Malformed::Topic(InvalidTopic::Wildcard)));
    assert!(server.sent().is_empty());
}

/// rumqttd defect 11: a bad property length made the packet vanish.
#[test]
fn a_bad_property_length_is_no_lost_packet() {
    let mut server = Server::connected(V5);
    server.receive_bytes(&[0x30, 5, 0, 1, b'a', 9, 0]);
    let sent = server.sent();
    assert!(matches!(&sent[..], [Packet::Disconnect(d)] if d.reason == ReasonCode::MalformedPacket));
    server.assert_violated(Violation::Malformed(Malformed::Short));
}

#[test]
fn aliases_stand_for_topics() {
    let mut server = Server::connected(V5);
    let mut aliased = message("devices/dev1/messages/events/", 0);
    aliased.properties.topic_alias = Some(10);
    server.receive(Packet::Publish(aliased.clone()));
    aliased.topic = text("");
    server.receive(Packet::Publish(aliased.clone()));
    let resolved = Event::Publish { publish: message("devices/dev1/messages/events/", 0), receipt: None };
    assert_eq!(server.events(), [resolved.clone(), resolved]);
    aliased.topic = text("other");
    server.receive(Packet::Publish(aliased.clone()));
    aliased.topic = text("");
    server.receive(Packet::Publish(aliased));
    let reset = Event::Publish { publish: message("other", 0), receipt: None };
    assert_eq!(server.events(), [reset.clone(), reset]);
}

#[test]
fn aliases_are_bounded_and_set_before_use() {
    let check = |alias, topic, violation: Violation, reason| {
        let mut server = Server::connected(V5);
        let mut aliased = message(topic, 0);
        aliased.properties.topic_alias = Some(alias);
        server.receive(Packet::Publish(aliased));
        assert!(matches!(&server.sent()[..], [Packet::Disconnect(d)] if d.reason == reason));
        server.assert_violated(violation);
    };
    check(11, "a", Violation::TopicAliasInvalid { alias: 11, limit: 10 }, ReasonCode::TopicAliasInvalid);
    check(1, "", Violation::TopicAliasUnknown { alias: 1 }, ReasonCode::ProtocolError);
}

#[test]
fn input_split_anywhere_gives_the_same_events() {
    let mut whole = bytes::BytesMut::new();
    for packet in [
        Packet::Connect(Box::new(connect(V311))),
        Packet::Publish(message("devices/dev1/messages/events/", 1)),
        Packet::PingReq,
        Packet::Publish(message("€", 0)),
        Packet::PubAck(Ack::new(id(9), ReasonCode::Success)),
        Packet::Publish(message("a", 2)),
    ] {
        mqtt_proto::wire::encode(&packet, V311, &mut whole).unwrap();
    }
    whole.extend_from_slice(&[0xe0, 0]);
    let play = |cuts: &[usize]| {
        let mut server = Server::new(Config::default(), V311);
        let mut events = Vec::new();
        let mut start = 0;
        for end in cuts.iter().copied().chain([whole.len()]) {
            server.receive_bytes(&whole[start..end]);
            start = end;
            if server.connection.version().is_some() && server.connection.next_timeout().is_some() {
                server.accept(Default::default());
            }
            events.extend(server.events());
        }
        (events, server.sent())
    };
    let expected = play(&[]);
    assert_eq!(expected.0.len(), 5);
    for cut in 0..=whole.len() {
        assert_eq!(play(&[cut]), expected, "cut at {cut}");
    }
    let every: Vec<usize> = (0..whole.len()).collect();
    assert_eq!(play(&every), expected);
}

#[test]
fn a_flood_that_wants_answers_is_not_read_on() {
    let config = Config { output_bytes_max: 100, ..Config::default() };
    let mut server = Server::connected_by(config, connect(V311), InFlight::default());
    server.receive_bytes(&[0xc0, 0].repeat(10_000));
    assert_eq!(server.connection.output().len(), 100);
    assert!(!server.connection.wants_input());
    assert_eq!(server.sent().len(), 50);
    assert!(server.connection.wants_input());
}
