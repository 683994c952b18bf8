//! The codec against two others, written by other people.
//!
//! Valid packets: the other codec reads what ours wrote, and ours reads what the other then writes as
//! the same packet. Mutated packets: both agree on whether it is a packet and on which, except for
//! the differences listed in [`stricter`] and [`laxer`], each with its reason.

use bytes::BytesMut;
use mqtt_proto::Version::{self, V5, V311};
use mqtt_proto::wire::{self, DecodeLimits, InvalidText, Malformed, Packet, Sender};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio_util::codec::{Decoder, Encoder};

use crate::packets::packet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oracle {
    Rmqtt,
    Rumqttc,
}

/// What another codec makes of bytes: written again, its packet is these bytes.
#[derive(Debug, PartialEq)]
enum Verdict {
    Packet(BytesMut),
    /// It reads a packet that it then cannot write.
    Unwritable(String),
    Incomplete,
    Refused(String),
}

impl Oracle {
    fn read(self, bytes: &[u8], version: Version) -> Verdict {
        let mut buffer = BytesMut::from(bytes);
        match (self, version) {
            (Self::Rmqtt, V311) => framed(&mut rmqtt_codec::v3::Codec::default(), &mut buffer, |(packet, _)| packet),
            (Self::Rmqtt, V5) => framed(&mut rmqtt_codec::v5::Codec::default(), &mut buffer, |(packet, _)| packet),
            (Self::Rumqttc, V311) => {
                use rumqttc::mqttbytes::Error;
                use rumqttc::mqttbytes::v4::Packet;
                match Packet::read(&mut buffer, usize::MAX) {
                    Ok(packet) => written(|out| packet.write(out, usize::MAX).map_err(|error| error.to_string())),
                    Err(Error::InsufficientBytes(_)) => Verdict::Incomplete,
                    Err(error) => Verdict::Refused(error.to_string()),
                }
            }
            (Self::Rumqttc, V5) => {
                use rumqttc::v5::mqttbytes::Error;
                use rumqttc::v5::mqttbytes::v5::Packet;
                match Packet::read(&mut buffer, None) {
                    Ok(packet) => written(|out| packet.write(out, None).map_err(|error| error.to_string())),
                    Err(Error::InsufficientBytes(_)) => Verdict::Incomplete,
                    Err(error) => Verdict::Refused(error.to_string()),
                }
            }
        }
    }
}

fn framed<C, P>(codec: &mut C, buffer: &mut BytesMut, packet: impl Fn(C::Item) -> P) -> Verdict
where
    C: Decoder + Encoder<P>,
    <C as Decoder>::Error: std::fmt::Debug,
    <C as Encoder<P>>::Error: std::fmt::Debug,
{
    match codec.decode(buffer) {
        Ok(Some(item)) => written(|out| codec.encode(packet(item), out).map_err(|error| format!("{error:?}"))),
        Ok(None) => Verdict::Incomplete,
        Err(error) => Verdict::Refused(format!("{error:?}")),
    }
}

fn written<T>(write: impl FnOnce(&mut BytesMut) -> Result<T, String>) -> Verdict {
    let mut out = BytesMut::new();
    match write(&mut out) {
        Ok(_) => Verdict::Packet(out),
        Err(error) => Verdict::Unwritable(error),
    }
}

fn ours(bytes: &[u8], version: Version, sender: Sender) -> Result<Option<Packet>, Malformed> {
    wire::decode(&mut BytesMut::from(bytes), version, sender, &DecodeLimits::default())
}

/// Rules of the standard that ours keeps and the other codec does not.
fn stricter(oracle: Oracle, version: Version, malformed: Malformed) -> Option<&'static str> {
    use Malformed as M;
    match (malformed, oracle, version) {
        (M::Direction { .. }, ..) => Some("the others decode for both sides at once"),
        (M::Filter(_), ..) => Some("the others leave the grammar of filters to the broker"),
        (M::Topic(_), ..) => Some("the others leave wildcards in topic names to the broker"),
        (M::Text(InvalidText::Null), ..) => Some("the others accept U+0000, against MQTT-1.5.3-2"),
        (M::Trailing { .. }, ..) => Some("the others ignore bytes behind the last field"),
        (M::DuplicateWithoutQos, ..) => Some("the others accept DUP at QoS 0, against MQTT-3.3.1-2"),
        (M::ConnAckFlags { .. }, ..) => Some("the others accept reserved flags or a session of a refused client"),
        (M::NoEntries { .. }, ..) => Some("the others accept packets without an entry, against MQTT-3.8.3-3"),
        (M::VarintNotMinimal, _, V5) => Some("the others accept needlessly long lengths, against MQTT5-1.5.5-1"),
        (M::SubscribeOptions { .. }, ..) => Some("the others ignore reserved bits, against MQTT-3.8.3-4"),
        (M::AuthenticationMethodMissing, ..) => Some("the others accept authentication data without a method"),
        (M::Flags { .. }, Oracle::Rumqttc, _) => Some("rumqttc ignores the fixed header's flags, against MQTT-2.2.2-2"),
        (M::ConnectReserved, Oracle::Rumqttc, _) => Some("rumqttc ignores the reserved bit, against MQTT-3.1.2-3"),
        (M::WillFlags | M::PasswordWithoutUsername, Oracle::Rumqttc, _) => Some("rumqttc does not compare connect flags"),
        (M::PacketIdZero, Oracle::Rumqttc, _) => Some("rumqttc checks identifiers of PUBLISH only"),
        (M::Text(InvalidText::NotUtf8), Oracle::Rumqttc, V5) => Some("rumqttc keeps topics of version 5 as bytes"),
        (M::PropertyValue { .. } | M::PropertyRepeated { .. } | M::Property { .. }, Oracle::Rumqttc, V5) => {
            Some("rumqttc checks few of the values of properties, repetitions not at all")
        }
        (M::Short, Oracle::Rumqttc, V5) => Some("rumqttc lets a property run past the end of its block"),
        _ => None,
    }
}

/// Packets that ours accepts and the other codec does not.
fn laxer(oracle: Oracle, packet: &Packet) -> Option<&'static str> {
    match (packet, oracle) {
        (Packet::Connect(connect), Oracle::Rmqtt) if connect.client_id.is_empty() => {
            Some("an empty client id is answered by the session, with CONNACK 2")
        }
        (Packet::Connect(connect), Oracle::Rumqttc) if !is_utf8(connect.password.as_deref()) => {
            Some("passwords are bytes, to rumqttc they are text")
        }
        (Packet::Connect(connect), Oracle::Rumqttc) if connect.will.as_ref().is_some_and(|will| !is_utf8(Some(&will.payload))) => {
            Some("wills are bytes, to rumqttc they are text")
        }
        (Packet::Auth(_), Oracle::Rumqttc) => Some("rumqttc does not read AUTH"),
        (Packet::Disconnect(_), Oracle::Rumqttc) => Some("rumqttc misreads a DISCONNECT without properties"),
        _ => None,
    }
}

fn is_utf8(bytes: Option<&[u8]>) -> bool {
    bytes.is_none_or(|bytes| std::str::from_utf8(bytes).is_ok())
}

/// The packet without what the other codec does not keep: rmqtt-codec takes a property with the
/// standard's default value for one that is absent, rumqttc an empty user name for none.
fn as_kept(mut packet: Packet, oracle: Oracle) -> Packet {
    match (&mut packet, oracle) {
        (Packet::Publish(publish), Oracle::Rmqtt) => drop_default(&mut publish.properties.payload_format_utf8, false),
        (Packet::Connect(connect), Oracle::Rmqtt) => {
            let properties = &mut connect.properties;
            drop_default(&mut properties.session_expiry_interval, 0);
            drop_default(&mut properties.receive_maximum, u16::MAX);
            drop_default(&mut properties.topic_alias_maximum, 0);
            drop_default(&mut properties.request_response_information, false);
            drop_default(&mut properties.request_problem_information, true);
            if let Some(will) = &mut connect.will {
                drop_default(&mut will.properties.payload_format_utf8, false);
            }
        }
        (Packet::ConnAck(connack), Oracle::Rmqtt) => {
            let properties = &mut connack.properties;
            drop_default(&mut properties.receive_maximum, u16::MAX);
            drop_default(&mut properties.topic_alias_maximum, 0);
            drop_default(&mut properties.retain_available, true);
            drop_default(&mut properties.wildcard_subscription_available, true);
            drop_default(&mut properties.subscription_id_available, true);
            drop_default(&mut properties.shared_subscription_available, true);
        }
        (Packet::Connect(connect), Oracle::Rumqttc) if connect.username.as_deref().is_none_or(str::is_empty) => {
            connect.username = None;
            connect.password = None;
        }
        _ => {}
    }
    packet
}

fn drop_default<T: PartialEq>(property: &mut Option<T>, default: T) {
    property.take_if(|value| *value == default);
}

/// What differs, unless there is a reason.
fn unexplained(oracle: Oracle, bytes: &[u8], version: Version, sender: Sender) -> Option<String> {
    let theirs = oracle.read(bytes, version);
    match (ours(bytes, version, sender), theirs) {
        (Ok(Some(packet)), Verdict::Packet(again)) => {
            let again = ours(&again, version, sender).map(|packet| packet.map(|packet| as_kept(packet, oracle)));
            let packet = as_kept(packet, oracle);
            (again != Ok(Some(packet.clone()))).then(|| format!("{packet:?} became {again:?}"))
        }
        (Ok(Some(packet)), other) => laxer(oracle, &packet).is_none().then(|| format!("{packet:?} and {other:?}")),
        (Ok(None), Verdict::Incomplete) | (Err(_), Verdict::Refused(_) | Verdict::Incomplete) => None,
        (Ok(None), other) => Some(format!("incomplete and {other:?}")),
        (Err(malformed), other) => stricter(oracle, version, malformed).is_none().then(|| format!("{malformed:?} and {other:?}")),
    }
}

/// Compares packets, each with `changes` of its bytes changed.
fn check(oracle: Oracle, changes: usize) {
    for version in [V311, V5] {
        for sender in [Sender::Client, Sender::Server] {
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[changes as u8; 32]);
            let mut runner = TestRunner::new_with_rng(Config::default(), rng);
            let change = (any::<prop::sample::Index>(), any::<u8>());
            let strategy = (packet(version, sender), prop::collection::vec(change, changes));
            for _ in 0..4_000 {
                let (packet, changes) = strategy.new_tree(&mut runner).unwrap().current();
                let mut bytes = BytesMut::new();
                wire::encode(&packet, version, &mut bytes).unwrap();
                for (position, byte) in changes {
                    let index = position.index(bytes.len());
                    bytes[index] = byte;
                }
                let difference = unexplained(oracle, &bytes, version, sender);
                assert_eq!(difference, None, "{oracle:?} {version:?} {sender:?} {bytes:02x?}");
            }
        }
    }
}

#[test]
fn rmqtt_codec_reads_the_same() {
    check(Oracle::Rmqtt, 0);
}

#[test]
fn rumqttc_reads_the_same() {
    check(Oracle::Rumqttc, 0);
}

#[test]
fn rmqtt_codec_agrees_on_mutated_packets() {
    check(Oracle::Rmqtt, 1);
    check(Oracle::Rmqtt, 3);
}

#[test]
fn rumqttc_agrees_on_mutated_packets() {
    check(Oracle::Rumqttc, 1);
    check(Oracle::Rumqttc, 3);
}
