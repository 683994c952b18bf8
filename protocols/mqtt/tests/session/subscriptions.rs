use mqtt_proto::Version::{self, V5, V311};
use mqtt_proto::session::{Config, Event, InFlight, Violation};
use mqtt_proto::wire::{
    AckProperties, Packet, QoS, ReasonCode, SubAck, Subscribe, SubscribeFilter, SubscribeProperties, UnsubAck, Unsubscribe,
};

use crate::server::{Server, connect, id, message, text};

fn subscribe(number: u16, filters: &[&str]) -> Subscribe {
    Subscribe {
        packet_id: id(number),
        filters: filters.iter().map(|filter| SubscribeFilter::new(text(filter), QoS::AtLeastOnce)).collect(),
        properties: SubscribeProperties::default(),
    }
}

fn suback(number: u16, results: Vec<Result<QoS, ReasonCode>>) -> Packet {
    Packet::SubAck(SubAck { packet_id: id(number), results, properties: AckProperties::default() })
}

fn unsubscribe(number: u16, filters: &[&str]) -> Packet {
    let filters = filters.iter().map(|filter| text(filter)).collect();
    Packet::Unsubscribe(Unsubscribe { packet_id: id(number), filters, user_properties: Vec::new() })
}

/// Subscribes and answers with these results; the SUBACK.
fn answered(version: Version, filters: &[&str], results: &[Result<QoS, ReasonCode>]) -> Vec<Packet> {
    let mut server = Server::connected(version);
    server.receive(Packet::Subscribe(subscribe(4, filters)));
    let [Event::Subscribe { receipt, .. }] = server.events()[..] else { panic!("no SUBSCRIBE") };
    server.connection.complete_subscribe(receipt, results);
    server.connection.complete_subscribe(receipt, results);
    server.sent()
}

#[test]
fn suback_answers_each_filter_once() {
    let granted = [Ok(QoS::AtLeastOnce), Err(ReasonCode::NotAuthorized)];
    assert_eq!(answered(V5, &["a", "b"], &granted), [suback(4, granted.to_vec())]);
    let failed = vec![Ok(QoS::AtLeastOnce), Err(ReasonCode::UnspecifiedError)];
    assert_eq!(answered(V311, &["a", "b"], &granted), [suback(4, failed.clone())]);
    assert_eq!(answered(V5, &["a", "b"], &granted[..1]), [suback(4, failed.clone())]);
    assert_eq!(answered(V5, &["a"], &granted), [suback(4, vec![Ok(QoS::AtLeastOnce)])]);
    let unsayable = [Ok(QoS::AtLeastOnce), Err(ReasonCode::Banned)];
    assert_eq!(answered(V5, &["a", "b"], &unsayable), [suback(4, failed)]);
}

/// rumqttd defect 7: UNSUBSCRIBE of an unknown filter was never acknowledged, of two filters twice.
#[test]
fn every_unsubscribe_is_answered_once() {
    for version in [V311, V5] {
        let mut server = Server::connected(version);
        server.receive(unsubscribe(9, &["a", "unknown"]));
        let [Event::Unsubscribe { receipt, .. }] = server.events()[..] else { panic!("no UNSUBSCRIBE") };
        let results = [ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
        server.connection.complete_unsubscribe(receipt, &results);
        server.connection.complete_unsubscribe(receipt, &results);
        let reasons = if version == V5 { results.to_vec() } else { Vec::new() };
        let expected = UnsubAck { packet_id: id(9), reasons, properties: AckProperties::default() };
        assert_eq!(server.sent(), [Packet::UnsubAck(expected)]);
    }
}

#[test]
fn dollar_topics_are_the_applications_business() {
    let mut server = Server::connected(V311);
    server.receive(Packet::Subscribe(subscribe(1, &["$iothub/methods/POST/#", "$share/g", "$SYS/#"])));
    let events = server.events();
    assert!(matches!(&events[..], [Event::Subscribe { filters, .. }] if filters.len() == 3));
}

#[test]
fn unavailable_subscriptions_end_a_version_5_connection() {
    let check = |config: Config, request: Subscribe, violation: Violation| {
        let mut server = Server::connected_by(config, connect(V5), InFlight::default());
        server.receive(Packet::Subscribe(request));
        let sent = server.sent();
        assert!(matches!(&sent[..], [Packet::Disconnect(d)] if d.reason == violation.reason()), "{sent:?}");
        server.assert_violated(violation);
    };
    check(Config::default(), subscribe(1, &["$share/g/a"]), Violation::SharedSubscription);
    let mut numbered = subscribe(1, &["a"]);
    numbered.properties.subscription_id = Some(7);
    check(Config::default(), numbered, Violation::SubscriptionId);
    let config = Config { wildcard_subscription_available: false, ..Config::default() };
    check(config, subscribe(1, &["a/#"]), Violation::WildcardSubscription);
}

#[test]
fn subscription_identifiers_reach_the_application_where_they_are_available() {
    let config = Config { subscription_id_available: true, ..Config::default() };
    let mut server = Server::connected_by(config, connect(V5), InFlight::default());
    let mut numbered = subscribe(1, &["a"]);
    numbered.properties.subscription_id = Some(268_435_455);
    server.receive(Packet::Subscribe(numbered));
    let events = server.events();
    assert!(matches!(events[..], [Event::Subscribe { subscription_id: Some(268_435_455), .. }]));
}

#[test]
fn requests_share_the_identifiers_of_messages() {
    let mut server = Server::connected(V311);
    server.receive(Packet::Subscribe(subscribe(1, &["a"])));
    server.receive(Packet::Publish(message("a", 1)));
    server.assert_violated(Violation::PacketIdInUse { packet_id: id(1) });
    let mut server = Server::connected(V311);
    server.receive(Packet::Publish(message("a", 1)));
    server.receive(unsubscribe(1, &["a"]));
    server.assert_violated(Violation::PacketIdInUse { packet_id: id(1) });
}

#[test]
fn reading_stops_while_many_requests_wait() {
    let mut server = Server::connected(V5);
    for number in 1..=20 {
        server.receive(Packet::Subscribe(subscribe(number, &["a"])));
    }
    let events = server.events();
    assert_eq!(events.len(), 16);
    assert!(!server.connection.wants_input());
    let Event::Subscribe { receipt, .. } = events[5] else { panic!("no SUBSCRIBE") };
    server.connection.complete_subscribe(receipt, &[Ok(QoS::AtMostOnce)]);
    assert!(server.connection.wants_input());
}
