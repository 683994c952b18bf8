//! The codec's rules, each with the bytes that keep it and the bytes that break it.

use bytes::BytesMut;

use super::*;
use crate::Version::{V5, V311};

/// Bytes from hexadecimal digits; text in quotes stands for its bytes.
fn bytes(notation: &str) -> BytesMut {
    let mut bytes = BytesMut::new();
    for (index, part) in notation.split('"').enumerate() {
        if index % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<u8> = part.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        for pair in digits.chunks(2) {
            let pair = std::str::from_utf8(pair).unwrap();
            bytes.extend_from_slice(&[u8::from_str_radix(pair, 16).unwrap()]);
        }
    }
    bytes
}

fn decode_from(version: Version, sender: Sender, notation: &str) -> Result<Option<Packet>, Malformed> {
    decode(&mut bytes(notation), version, sender, &DecodeLimits::default())
}

/// What a client sent is malformed for this reason.
fn refused(version: Version, notation: &str, expected: Malformed) {
    assert_eq!(decode_from(version, Sender::Client, notation), Err(expected), "{version:?} {notation}");
}

/// What a client sent is a packet, which is written as it was read.
fn taken(version: Version, notation: &str) -> Packet {
    let packet = decode_from(version, Sender::Client, notation).unwrap().unwrap();
    let mut out = BytesMut::new();
    encode(&packet, version, &mut out).unwrap();
    assert_eq!(out, bytes(notation), "{packet:?}");
    packet
}

/// What a client sent is not all there yet.
fn incomplete(version: Version, notation: &str) {
    let mut buffer = bytes(notation);
    assert_eq!(decode(&mut buffer, version, Sender::Client, &DecodeLimits::default()), Ok(None), "{notation}");
    assert_eq!(buffer, bytes(notation), "nothing is taken");
}

#[test]
fn incomplete_comes_from_the_fixed_header_only() {
    for notation in ["", "30", "30 80", "30 05", "30 05 0001 61", "c0"] {
        incomplete(V311, notation);
        incomplete(V5, notation);
    }
    refused(V311, "30 02 0005", Malformed::Short);
    refused(V311, "32 03 0001 61", Malformed::Short);
    refused(V5, "30 04 0001 61 05", Malformed::Short);
    refused(V5, "30 03 0001 61", Malformed::Short);
    refused(V311, "40 01 00", Malformed::Short);
    refused(V311, "10 00", Malformed::Short);
}

#[test]
fn lengths_are_refused_before_their_bytes_arrive() {
    let too_large = |bytes, limit| Malformed::TooLarge { bytes, limit };
    refused(V311, "10 ff ff ff 7f", too_large(268_435_460, 16_384));
    refused(V311, "10 fe 7f", too_large(16_385, 16_384));
    incomplete(V311, "10 fd 7f");
    refused(V5, "30 fd 9f 10", too_large(266_241, 266_240));
    incomplete(V5, "30 fc 9f 10");
    refused(V311, "30 ff ff ff ff", Malformed::VarintTooLong);
}

#[test]
fn nothing_is_reserved_for_announced_bytes() {
    let mut buffer = bytes("30 fc 9f 10 00");
    let capacity = buffer.capacity();
    assert_eq!(decode(&mut buffer, V311, Sender::Client, &DecodeLimits::default()), Ok(None));
    assert_eq!(buffer.capacity(), capacity);
}

#[test]
fn version_5_lengths_are_minimal() {
    refused(V5, "c0 80 00", Malformed::VarintNotMinimal);
    refused(V5, "30 84 00 0001 61 00", Malformed::VarintNotMinimal);
    refused(V5, "30 05 0001 61 8000", Malformed::VarintNotMinimal);
    refused(V311, r#"10 8d 00 0004 "MQTT" 05 02 003c 00 0000"#, Malformed::VarintNotMinimal);
    assert!(decode_from(V311, Sender::Client, "c0 80 00").unwrap().is_some(), "3.1.1 does not demand it");
}

#[test]
fn packet_types_exist_in_their_version() {
    refused(V311, "00 00", Malformed::PacketType { number: 0 });
    refused(V5, "00", Malformed::PacketType { number: 0 });
    refused(V311, "f0 00", Malformed::PacketType { number: 15 });
    taken(V5, "f0 00");
}

#[test]
fn flags_are_those_of_the_type() {
    for (first, packet) in [("61", PacketType::PubRel), ("83", PacketType::Subscribe), ("a0", PacketType::Unsubscribe)] {
        refused(V311, first, Malformed::Flags { packet, flags: u8::from_str_radix(&first[1..], 16).unwrap() });
    }
    for (first, packet) in [("11", PacketType::Connect), ("41", PacketType::PubAck), ("c1", PacketType::PingReq)] {
        refused(V5, first, Malformed::Flags { packet, flags: 1 });
    }
    refused(V5, "e8", Malformed::Flags { packet: PacketType::Disconnect, flags: 8 });
    refused(V311, "36 05 0001 61 0001", Malformed::Qos);
    refused(V311, "38 03 0001 61", Malformed::DuplicateWithoutQos);
}

#[test]
fn a_client_does_not_send_what_servers_send() {
    for (first, packet) in
        [("20", PacketType::ConnAck), ("90", PacketType::SubAck), ("b0", PacketType::UnsubAck), ("d0", PacketType::PingResp)]
    {
        let expected = Malformed::Direction { packet, sender: Sender::Client };
        refused(V311, first, expected);
        refused(V5, first, expected);
    }
}

#[test]
fn a_server_does_not_send_what_clients_send() {
    let check = |version, first, packet| {
        let expected = Err(Malformed::Direction { packet, sender: Sender::Server });
        assert_eq!(decode_from(version, Sender::Server, first), expected);
    };
    check(V311, "10", PacketType::Connect);
    check(V311, "82", PacketType::Subscribe);
    check(V5, "a2", PacketType::Unsubscribe);
    check(V5, "c0", PacketType::PingReq);
    check(V311, "e0", PacketType::Disconnect);
    assert!(decode_from(V5, Sender::Server, "e0 00").unwrap().is_some());
}

#[test]
fn packet_identifiers_are_not_zero() {
    for notation in ["32 05 0001 61 0000", "40 02 0000", "62 02 0000", "82 06 0000 0001 61 00", "a2 05 0000 0001 61"] {
        refused(V311, notation, Malformed::PacketIdZero);
    }
    taken(V311, "32 05 0001 61 0001");
    taken(V311, "3d 05 0001 61 ffff");
}

#[test]
fn topics_are_text_without_wildcards() {
    taken(V311, "30 03 0001 2f");
    taken(V311, "30 05 0003 e282ac");
    refused(V311, "30 02 0000", InvalidTopic::Empty.into());
    refused(V311, "30 03 0001 23", InvalidTopic::Wildcard.into());
    refused(V5, "30 04 0001 2b 00", InvalidTopic::Wildcard.into());
    refused(V311, "30 03 0001 00", InvalidText::Null.into());
    refused(V311, "30 03 0001 ff", InvalidText::NotUtf8.into());
    refused(V311, "30 05 0003 eda080", InvalidText::NotUtf8.into());
}

#[test]
fn a_topic_may_be_empty_with_an_alias() {
    taken(V5, "30 06 0000 03 23 0001");
    refused(V5, "30 03 0000 00", InvalidTopic::Empty.into());
    refused(V5, "30 06 0000 03 23 0000", Malformed::PropertyValue { identifier: 0x23 });
}

#[test]
fn subscriptions_have_valid_filters_and_options() {
    taken(V311, r#"82 08 0001 0003 "a/#" 01"#);
    taken(V5, r#"82 0b 0001 02 0b07 0003 "a/#" 2d"#);
    taken(V5, r#"82 10 0001 00 000a "$share/g/a" 29"#);
    refused(V311, "82 02 0001", Malformed::NoEntries { packet: PacketType::Subscribe });
    refused(V5, "82 03 0001 00", Malformed::NoEntries { packet: PacketType::Subscribe });
    refused(V311, r#"82 08 0001 0003 "a#b" 01"#, InvalidFilter::MultiLevelWildcard.into());
    refused(V311, "82 05 0001 0000 01", InvalidFilter::Empty.into());
    refused(V311, r#"82 06 0001 0001 "a" 03"#, Malformed::SubscribeOptions { options: 3 });
    refused(V311, r#"82 06 0001 0001 "a" 04"#, Malformed::SubscribeOptions { options: 4 });
    refused(V5, r#"82 07 0001 00 0001 "a" 40"#, Malformed::SubscribeOptions { options: 0x40 });
    refused(V5, r#"82 07 0001 00 0001 "a" 30"#, Malformed::SubscribeOptions { options: 0x30 });
    refused(V5, r#"82 0e 0001 00 0008 "$share/g" 00"#, InvalidFilter::Share.into());
    refused(V5, r#"82 10 0001 00 000a "$share/g/a" 04"#, Malformed::NoLocalShared);
    refused(V311, r#"82 05 0001 0001 "a""#, Malformed::Short);
}

#[test]
fn unsubscribe_names_valid_filters() {
    taken(V311, r#"a2 07 0001 0003 "a/#""#);
    refused(V311, "a2 02 0001", Malformed::NoEntries { packet: PacketType::Unsubscribe });
    refused(V311, r#"a2 06 0001 0002 "a+""#, InvalidFilter::SingleLevelWildcard.into());
}

#[test]
fn filters_in_one_packet_are_bounded() {
    let mut subscribe = bytes("82 82 02 0001");
    subscribe.extend((0..64).flat_map(|_| *b"\0\x01a\0"));
    let limits = DecodeLimits { filters_max: 63, ..DecodeLimits::default() };
    let mut again = subscribe.clone();
    assert!(decode(&mut again, V311, Sender::Client, &DecodeLimits::default()).unwrap().is_some());
    let expected = Err(Malformed::TooManyFilters { limit: 63 });
    assert_eq!(decode(&mut subscribe, V311, Sender::Client, &limits), expected);
}

#[test]
fn connect_flags_agree() {
    taken(V311, r#"10 0c 0004 "MQTT" 04 02 003c 0000"#);
    taken(V311, r#"10 11 0004 "MQTT" 04 2e 003c 0000 0001 "w" 0000"#);
    taken(V311, r#"10 12 0004 "MQTT" 04 c2 003c 0000 0001 "u" 0001 00"#);
    taken(V5, r#"10 0f 0004 "MQTT" 05 42 003c 00 0000 0000"#);
    refused(V311, r#"10 0c 0004 "MQTT" 04 03 003c 0000"#, Malformed::ConnectReserved);
    refused(V311, r#"10 0c 0004 "MQTT" 04 0a 003c 0000"#, Malformed::WillFlags);
    refused(V311, r#"10 0c 0004 "MQTT" 04 22 003c 0000"#, Malformed::WillFlags);
    refused(V311, r#"10 0c 0004 "MQTT" 04 1e 003c 0000"#, Malformed::WillFlags);
    refused(V311, r#"10 0e 0004 "MQTT" 04 42 003c 0000 0000"#, Malformed::PasswordWithoutUsername);
    refused(V311, r#"10 11 0004 "MQTT" 04 06 003c 0000 0001 "+" 0000"#, InvalidTopic::Wildcard.into());
    refused(V311, r#"10 0d 0004 "MQTT" 04 02 003c 0000 00"#, Malformed::Trailing { bytes: 1 });
}

#[test]
fn other_protocol_levels_are_told_apart() {
    refused(V311, r#"10 0c 0004 "MQTT" 03 02 003c 0000"#, Malformed::UnsupportedLevel { level: 3 });
    refused(V311, r#"10 0c 0004 "MQTT" 06 02 003c 0000"#, Malformed::UnsupportedLevel { level: 6 });
    refused(V311, r#"10 0c 0004 "MQTT" 84 02 003c 0000"#, Malformed::UnsupportedLevel { level: 0x84 });
    refused(V311, r#"10 0e 0006 "MQIsdp" 03 02 003c 0000"#, Malformed::UnsupportedLevel { level: 3 });
    refused(V311, r#"10 0c 0004 "mqtt" 04 02 003c 0000"#, Malformed::ProtocolName);
}

#[test]
fn properties_belong_to_their_packet_and_occur_once() {
    refused(V5, "30 06 0001 61 02 2401", Malformed::Property { identifier: 0x24 });
    refused(V5, "30 06 0001 61 02 0b01", Malformed::Property { identifier: 0x0b });
    refused(V5, "30 06 0001 61 02 7f01", Malformed::Property { identifier: 0x7f });
    refused(V5, "30 07 0001 61 03 81 00 01", Malformed::Property { identifier: 0x81 });
    refused(V5, "30 08 0001 61 04 0101 0101", Malformed::PropertyRepeated { identifier: 1 });
    refused(V5, "30 06 0001 61 02 0102", Malformed::PropertyValue { identifier: 1 });
    refused(V5, r#"10 10 0004 "MQTT" 05 02 003c 03 21 0000 0000"#, Malformed::PropertyValue { identifier: 0x21 });
    refused(V5, r#"10 12 0004 "MQTT" 05 02 003c 05 27 00000000 0000"#, Malformed::PropertyValue { identifier: 0x27 });
    refused(V5, r#"10 11 0004 "MQTT" 05 02 003c 04 16 0001 00 0000"#, Malformed::AuthenticationMethodMissing);
    refused(V5, r#"82 0b 0001 04 0b010b02 0001 "a" 00"#, Malformed::PropertyRepeated { identifier: 0x0b });
    refused(V5, r#"82 09 0001 02 0b00 0001 "a" 00"#, Malformed::PropertyValue { identifier: 0x0b });
    refused(V5, "40 09 0001 00 05 11 00000000", Malformed::Property { identifier: 0x11 });
}

#[test]
fn user_properties_may_repeat_and_are_bounded() {
    taken(V5, "30 0e 0001 61 0a 26 0000 0000 26 0000 0000");
    let limits = DecodeLimits { user_properties_max: 1, ..DecodeLimits::default() };
    let mut twice = bytes("30 0e 0001 61 0a 26 0000 0000 26 0000 0000");
    let expected = Err(Malformed::TooManyUserProperties { limit: 1 });
    assert_eq!(decode(&mut twice, V5, Sender::Client, &limits), expected);
}

/// rumqttd defect 11: a bad property length was read as "need more bytes", and the packet vanished.
#[test]
fn a_property_block_is_consumed_exactly() {
    refused(V5, "30 06 0001 61 03 0101", Malformed::Short);
    refused(V5, "40 05 0001 00 02 1f", Malformed::Short);
    refused(V5, "40 06 0001 00 02 1f 00", Malformed::Short);
    refused(V5, "40 05 0001 00 00 00", Malformed::Trailing { bytes: 1 });
    refused(V5, "e0 03 00 00 00", Malformed::Trailing { bytes: 1 });
    refused(V5, "30 05 0001 61 01 01", Malformed::Short);
}

#[test]
fn reason_codes_belong_to_their_packet() {
    taken(V5, "40 02 0001");
    taken(V5, "40 03 0001 10");
    taken(V5, "50 03 0001 97");
    taken(V5, "62 03 0001 92");
    taken(V5, "e0 01 04");
    refused(V5, "40 03 0001 01", Malformed::Code { packet: PacketType::PubAck, code: 1 });
    refused(V5, "62 03 0001 80", Malformed::Code { packet: PacketType::PubRel, code: 0x80 });
    refused(V5, "e0 01 8c", Malformed::Code { packet: PacketType::Disconnect, code: 0x8c });
    refused(V5, "f0 01 80", Malformed::Code { packet: PacketType::Auth, code: 0x80 });
    refused(V311, "40 03 0001 00", Malformed::Trailing { bytes: 1 });
}

#[test]
fn properties_of_one_side_are_refused_from_the_other() {
    refused(V5, "e0 05 00 03 1c 0000", Malformed::Property { identifier: 0x1c });
    let expected = Err(Malformed::Property { identifier: 0x11 });
    assert_eq!(decode_from(V5, Sender::Server, "e0 07 00 05 11 00000001"), expected);
}

#[test]
fn a_refused_connection_has_no_session() {
    let check = |version, notation, expected: Result<(), Malformed>| {
        assert_eq!(decode_from(version, Sender::Server, notation).map(|_| ()), expected, "{notation}");
    };
    check(V311, "20 02 01 00", Ok(()));
    check(V311, "20 02 01 05", Err(Malformed::ConnAckFlags { flags: 1 }));
    check(V311, "20 02 02 00", Err(Malformed::ConnAckFlags { flags: 2 }));
    check(V311, "20 02 00 06", Err(Malformed::Code { packet: PacketType::ConnAck, code: 6 }));
    check(V5, "20 03 01 87 00", Err(Malformed::ConnAckFlags { flags: 1 }));
    check(V5, "20 03 00 8e 00", Err(Malformed::Code { packet: PacketType::ConnAck, code: 0x8e }));
    check(V5, "20 05 00 00 02 24 02", Err(Malformed::PropertyValue { identifier: 0x24 }));
    check(V311, "90 03 0001 81", Err(Malformed::Code { packet: PacketType::SubAck, code: 0x81 }));
}

#[test]
fn decoded_fields_are_slices_of_the_packet() {
    let mut buffer = bytes(r#"30 08 0001 "a" "hello""#);
    let range = buffer.as_ptr_range();
    let Some(Packet::Publish(publish)) = decode(&mut buffer, V311, Sender::Client, &DecodeLimits::default()).unwrap() else {
        panic!("a PUBLISH")
    };
    assert!(range.contains(&publish.payload.as_ptr()));
    assert!(range.contains(&publish.topic.as_ptr()));
    assert!(!range.contains(&publish.topic.detached().as_ptr()));
}

#[test]
fn a_connect_keeps_no_read_buffer() {
    let mut buffer = bytes(r#"10 10 0004 "MQTT" 04 02 003c 0004 "dev1""#);
    let range = buffer.as_ptr_range();
    let Some(Packet::Connect(connect)) = decode(&mut buffer, V311, Sender::Client, &DecodeLimits::default()).unwrap() else {
        panic!("a CONNECT")
    };
    assert_eq!(connect.client_id, "dev1");
    assert!(!range.contains(&connect.client_id.as_ptr()));
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    let text = |text: &str| Text::try_from(text).unwrap();
    let check = |packet: Packet, version, expected| {
        let mut out = BytesMut::from("before");
        assert_eq!(encode(&packet, version, &mut out), Err(expected));
        assert_eq!(out, "before");
    };
    let publish = |topic, qos, id| Publish { topic: text(topic), qos, packet_id: PacketId::new(id), ..Publish::default() };
    check(Packet::Publish(publish("", QoS::AtMostOnce, 0)), V5, InvalidTopic::Empty.into());
    check(Packet::Publish(publish("a/#", QoS::AtMostOnce, 0)), V311, InvalidTopic::Wildcard.into());
    check(Packet::Publish(publish("a", QoS::AtLeastOnce, 0)), V311, Unencodable::PacketId);
    check(Packet::Publish(publish("a", QoS::AtMostOnce, 1)), V5, Unencodable::PacketId);
    let mut long = publish("a", QoS::AtMostOnce, 0);
    long.properties.correlation_data = Some(vec![0; 65_536].into());
    check(Packet::Publish(long), V5, Unencodable::BinaryTooLong { length: 65_536 });
    let ack = Ack::new(PacketId::FIRST, ReasonCode::Banned);
    let code = Unencodable::Code { packet: PacketType::PubAck, reason: ReasonCode::Banned };
    check(Packet::PubAck(ack), V5, code);
}

#[test]
fn lengths_grow_around_what_they_count() {
    for length in [0, 100, 127, 128, 200, 16_300, 16_383, 16_384, 20_000] {
        let mut publish = Publish { topic: "t".parse().unwrap(), payload: vec![7; length].into(), ..Publish::default() };
        publish.properties.user_properties = vec![("n".parse().unwrap(), "x".repeat(length).try_into().unwrap())];
        let mut out = BytesMut::new();
        encode(&Packet::Publish(publish.clone()), V5, &mut out).unwrap();
        let decoded = decode(&mut out, V5, Sender::Client, &DecodeLimits::default());
        assert_eq!(decoded, Ok(Some(Packet::Publish(publish))));
        assert!(out.is_empty());
    }
}
