//! Packets of every type, as they may be in each version.

use bytes::Bytes;
use mqtt_proto::Version::{self, V5, V311};
use mqtt_proto::wire::{
    Ack, AckProperties, Auth, ConnAck, ConnAckCode, ConnAckProperties, Connect, ConnectProperties, ConnectReturnCode, Disconnect, Packet,
    PacketId, PacketType, Publish, PublishProperties, QoS, ReasonCode, RetainHandling, Sender, SubAck, Subscribe, SubscribeFilter,
    SubscribeProperties, Text, UnsubAck, Unsubscribe, UserProperties, Will, WillProperties,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Text> {
    "[a-z €ß/%$=&]{0,12}".prop_map(|text| Text::try_from(text).unwrap())
}

fn topic() -> impl Strategy<Value = Text> {
    prop_oneof!["[a-z€/$]{1,20}", Just("devices/d1/messages/events/%24.mid=1&a=b".to_owned())]
        .prop_map(|text| Text::try_from(text).unwrap())
}

fn filter() -> impl Strategy<Value = Text> {
    prop_oneof![Just("#"), Just("+/a/#"), Just("$iothub/twin/res/#"), Just("a/b"), Just("/"), Just("ä/+")]
        .prop_map(|text| Text::try_from(text).unwrap())
}

fn binary() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn user_properties() -> impl Strategy<Value = UserProperties> {
    vec((text(), text()), 0..4)
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|number| PacketId::new(number).unwrap())
}

fn reason(packet: PacketType) -> impl Strategy<Value = ReasonCode> {
    let allowed: Vec<_> = ReasonCode::ALL.iter().copied().filter(|reason| reason.is_allowed_in(packet)).collect();
    proptest::sample::select(allowed)
}

/// The value in version 5, its default in 3.1.1.
fn in_v5<T: Default + Clone + std::fmt::Debug + 'static>(version: Version, value: impl Strategy<Value = T> + 'static) -> BoxedStrategy<T> {
    match version {
        V311 => Just(T::default()).boxed(),
        V5 => value.boxed(),
    }
}

/// Any packet that this side may send.
pub(crate) fn packet(version: Version, sender: Sender) -> BoxedStrategy<Packet> {
    let common = prop_oneof![
        4 => publish(version, sender).prop_map(Packet::Publish),
        1 => ack(version, PacketType::PubAck).prop_map(Packet::PubAck),
        1 => ack(version, PacketType::PubRec).prop_map(Packet::PubRec),
        1 => ack(version, PacketType::PubRel).prop_map(Packet::PubRel),
        1 => ack(version, PacketType::PubComp).prop_map(Packet::PubComp),
    ];
    let own = match sender {
        Sender::Client => prop_oneof![
            connect(version).prop_map(|connect| Packet::Connect(Box::new(connect))),
            subscribe(version).prop_map(Packet::Subscribe),
            unsubscribe(version).prop_map(Packet::Unsubscribe),
            Just(Packet::PingReq),
            disconnect(version, sender).prop_map(Packet::Disconnect),
        ]
        .boxed(),
        Sender::Server => prop_oneof![
            connack(version).prop_map(|connack| Packet::ConnAck(Box::new(connack))),
            suback(version).prop_map(Packet::SubAck),
            unsuback(version).prop_map(Packet::UnsubAck),
            Just(Packet::PingResp),
        ]
        .boxed(),
    };
    match (version, sender) {
        (V311, _) => prop_oneof![common, own].boxed(),
        (V5, Sender::Client) => prop_oneof![4 => common, 4 => own, 1 => auth().prop_map(Packet::Auth)].boxed(),
        (V5, Sender::Server) => {
            let farewell = disconnect(version, sender).prop_map(Packet::Disconnect);
            prop_oneof![4 => common, 4 => own, 1 => farewell, 1 => auth().prop_map(Packet::Auth)].boxed()
        }
    }
}

fn publish(version: Version, sender: Sender) -> impl Strategy<Value = Publish> {
    let properties = in_v5(version, publish_properties(sender));
    (topic(), binary(), qos(), any::<bool>(), any::<bool>(), packet_id(), properties).prop_map(
        |(topic, payload, qos, retain, dup, packet_id, properties)| {
            let acknowledged = qos != QoS::AtMostOnce;
            let packet_id = acknowledged.then_some(packet_id);
            Publish { topic, payload, qos, retain, dup: dup && acknowledged, packet_id, properties }
        },
    )
}

fn publish_properties(sender: Sender) -> impl Strategy<Value = PublishProperties> {
    let numbers = if sender == Sender::Server { 0..3 } else { 0..1 };
    (
        option::of(any::<bool>()),
        option::of(any::<u32>()),
        option::of(1..=u16::MAX),
        option::of(topic()),
        option::of(binary()),
        user_properties(),
        vec(1..=268_435_455_u32, numbers),
        option::of(text()),
    )
        .prop_map(|(format, expiry, alias, response, correlation, user, subscriptions, content)| PublishProperties {
            payload_format_utf8: format,
            message_expiry_interval: expiry,
            topic_alias: alias,
            response_topic: response,
            correlation_data: correlation,
            user_properties: user,
            subscription_ids: subscriptions,
            content_type: content,
        })
}

fn ack_properties() -> impl Strategy<Value = AckProperties> {
    (option::of(text()), user_properties()).prop_map(|(reason_string, user_properties)| AckProperties { reason_string, user_properties })
}

fn ack(version: Version, packet: PacketType) -> impl Strategy<Value = Ack> {
    let reason = match version {
        V311 => Just(ReasonCode::Success).boxed(),
        V5 => reason(packet).boxed(),
    };
    (packet_id(), reason, in_v5(version, ack_properties())).prop_map(|(packet_id, reason, properties)| Ack {
        packet_id,
        reason,
        properties,
    })
}

fn will(version: Version) -> impl Strategy<Value = Will> {
    let properties = (
        option::of(any::<u32>()),
        option::of(any::<bool>()),
        option::of(any::<u32>()),
        option::of(text()),
        option::of(topic()),
        option::of(binary()),
        user_properties(),
    )
        .prop_map(|(delay, format, expiry, content, response, correlation, user)| WillProperties {
            delay_interval: delay,
            payload_format_utf8: format,
            message_expiry_interval: expiry,
            content_type: content,
            response_topic: response,
            correlation_data: correlation,
            user_properties: user,
        });
    (topic(), binary(), qos(), any::<bool>(), in_v5(version, properties)).prop_map(|(topic, payload, qos, retain, properties)| Will {
        topic,
        payload,
        qos,
        retain,
        properties,
    })
}

fn connect(version: Version) -> impl Strategy<Value = Connect> {
    let properties = (
        (option::of(any::<u32>()), option::of(1..=u16::MAX), option::of(1..=u32::MAX), option::of(any::<u16>())),
        (option::of(any::<bool>()), option::of(any::<bool>()), user_properties()),
        option::of((text(), option::of(binary()))),
    )
        .prop_map(|((expiry, receive, size, alias), (response, problem, user), authentication)| ConnectProperties {
            session_expiry_interval: expiry,
            receive_maximum: receive,
            maximum_packet_size: size,
            topic_alias_maximum: alias,
            request_response_information: response,
            request_problem_information: problem,
            user_properties: user,
            authentication_data: authentication.as_ref().and_then(|(_, data)| data.clone()),
            authentication_method: authentication.map(|(method, _)| method),
        });
    let login = (option::of(text()), option::of(binary()));
    (text(), any::<bool>(), any::<u16>(), login, option::of(will(version)), in_v5(version, properties)).prop_map(
        move |(client_id, clean_start, keep_alive_seconds, (username, password), will, properties)| Connect {
            version,
            client_id,
            clean_start,
            keep_alive_seconds,
            password: password.filter(|_| version == V5 || username.is_some()),
            username,
            will,
            properties,
        },
    )
}

fn connack(version: Version) -> impl Strategy<Value = ConnAck> {
    let code = match version {
        V311 => proptest::sample::select(ConnectReturnCode::ALL).prop_map(ConnAckCode::Return).boxed(),
        V5 => reason(PacketType::ConnAck).prop_map(ConnAckCode::Reason).boxed(),
    };
    (any::<bool>(), code, in_v5(version, connack_properties())).prop_map(|(session_present, code, properties)| ConnAck {
        session_present: session_present && code.is_success(),
        code,
        properties,
    })
}

fn connack_properties() -> impl Strategy<Value = ConnAckProperties> {
    let maximum_qos = prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)];
    let numbers = (
        option::of(any::<u32>()),
        option::of(1..=u16::MAX),
        option::of(maximum_qos),
        option::of(1..=u32::MAX),
        option::of(any::<u16>()),
        option::of(any::<u16>()),
    );
    let available = vec(option::of(any::<bool>()), 4);
    let texts = vec(option::of(text()), 5);
    (numbers, available, texts, user_properties(), option::of(binary())).prop_map(
        |((expiry, receive, maximum_qos, size, alias, keep_alive), available, texts, user, data)| ConnAckProperties {
            session_expiry_interval: expiry,
            receive_maximum: receive,
            maximum_qos,
            retain_available: available[0],
            maximum_packet_size: size,
            assigned_client_id: texts[0].clone(),
            topic_alias_maximum: alias,
            reason_string: texts[1].clone(),
            user_properties: user,
            wildcard_subscription_available: available[1],
            subscription_id_available: available[2],
            shared_subscription_available: available[3],
            server_keep_alive: keep_alive,
            response_information: texts[2].clone(),
            server_reference: texts[3].clone(),
            authentication_method: texts[4].clone(),
            authentication_data: data,
        },
    )
}

fn subscribe(version: Version) -> impl Strategy<Value = Subscribe> {
    let handling = prop_oneof![Just(RetainHandling::Send), Just(RetainHandling::SendIfNew), Just(RetainHandling::DoNotSend)];
    let options = match version {
        V311 => Just((false, false, RetainHandling::Send)).boxed(),
        V5 => (any::<bool>(), any::<bool>(), handling).boxed(),
    };
    let filter = (filter(), qos(), options).prop_map(|(filter, qos, options)| {
        let (no_local, retain_as_published, retain_handling) = options;
        SubscribeFilter { filter, qos, no_local, retain_as_published, retain_handling }
    });
    let properties = (option::of(1..=268_435_455_u32), user_properties())
        .prop_map(|(subscription_id, user_properties)| SubscribeProperties { subscription_id, user_properties });
    (packet_id(), vec(filter, 1..5), in_v5(version, properties)).prop_map(|(packet_id, filters, properties)| Subscribe {
        packet_id,
        filters,
        properties,
    })
}

fn suback(version: Version) -> impl Strategy<Value = SubAck> {
    let failure = match version {
        V311 => Just(ReasonCode::UnspecifiedError).boxed(),
        V5 => reason(PacketType::SubAck).prop_filter("a failure", |reason| reason.is_error()).boxed(),
    };
    let result = prop_oneof![qos().prop_map(Ok), failure.prop_map(Err)];
    (packet_id(), vec(result, 1..5), in_v5(version, ack_properties())).prop_map(|(packet_id, results, properties)| SubAck {
        packet_id,
        results,
        properties,
    })
}

fn unsubscribe(version: Version) -> impl Strategy<Value = Unsubscribe> {
    (packet_id(), vec(filter(), 1..5), in_v5(version, user_properties())).prop_map(|(packet_id, filters, user_properties)| Unsubscribe {
        packet_id,
        filters,
        user_properties,
    })
}

fn unsuback(version: Version) -> impl Strategy<Value = UnsubAck> {
    (packet_id(), in_v5(version, vec(reason(PacketType::UnsubAck), 1..5)), in_v5(version, ack_properties()))
        .prop_map(|(packet_id, reasons, properties)| UnsubAck { packet_id, reasons, properties })
}

fn disconnect(version: Version, sender: Sender) -> BoxedStrategy<Disconnect> {
    if version == V311 {
        return Just(Disconnect::new(ReasonCode::Success)).boxed();
    }
    let texts = (option::of(text()), user_properties(), option::of(text()));
    (reason(PacketType::Disconnect), option::of(any::<u32>()), texts)
        .prop_map(move |(reason, expiry, (reason_string, user_properties, reference))| Disconnect {
            reason,
            session_expiry_interval: expiry.filter(|_| sender == Sender::Client),
            reason_string,
            user_properties,
            server_reference: reference.filter(|_| sender == Sender::Server),
        })
        .boxed()
}

fn auth() -> impl Strategy<Value = Auth> {
    (reason(PacketType::Auth), option::of((text(), option::of(binary()))), option::of(text()), user_properties()).prop_map(
        |(reason, authentication, reason_string, user_properties)| Auth {
            reason,
            authentication_data: authentication.as_ref().and_then(|(_, data)| data.clone()),
            authentication_method: authentication.map(|(method, _)| method),
            reason_string,
            user_properties,
        },
    )
}

/// A version and a side.
pub(crate) fn connection() -> impl Strategy<Value = (Version, Sender)> {
    (prop_oneof![Just(V311), Just(V5)], prop_oneof![Just(Sender::Client), Just(Sender::Server)])
}
