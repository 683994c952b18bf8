//! Nanoseconds that encoding and decoding a QoS 1 PUBLISH takes, beside two independent codecs, in
//! one run: 64-byte topic, 256-byte payload, 64 packets in a buffer. Decoding includes the copy of
//! those bytes into a fresh buffer, as a read from a socket would leave them.
//!
//! `cargo bench -p mqtt-proto`

#![expect(clippy::print_stdout, reason = "printing figures is what it is for")]

use std::hint::black_box;
use std::num::NonZeroU16;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use mqtt_proto::Version;
use mqtt_proto::session::{Accept, Config, Connection, Event};
use mqtt_proto::wire::{self, Connect, ConnectProperties, DecodeLimits, Packet, PacketId, Publish, QoS, ReasonCode, Sender, Text};
use rmqtt_codec::types::{Publish as RmqttPublish, QoS as RmqttQos};
use tokio_util::codec::{Decoder, Encoder};

const PACKETS: usize = 64;
const ROUNDS: usize = 4_000;
/// The best of several passes: other work on the machine only ever adds.
const PASSES: usize = 7;

fn main() {
    println!("QoS 1 PUBLISH, 64-byte topic, 256-byte payload; ns a packet, best of {PASSES} passes");
    println!("{:<24}{:>8}{:>8}", "", "decode", "encode");
    row("mqtt-proto 3.1.1", ours(Version::V311));
    row("mqtt-proto 5", ours(Version::V5));
    row("rmqtt-codec 3.1.1", rmqtt_v3());
    row("rmqtt-codec 5", rmqtt_v5());
    row("rumqttc 3.1.1", rumqttc_v4());
    row("rumqttc 5", rumqttc_v5());
    println!("{:<24}{:>8.1}", "copy alone", copy_alone());
    println!("{:<24}{:>8.1}", "session: PUBLISH, PUBACK", session());
}

fn row(name: &str, (decode, encode): (f64, f64)) {
    println!("{name:<24}{decode:>8.1}{encode:>8.1}");
}

/// Nanoseconds a packet.
fn measure(mut round: impl FnMut()) -> f64 {
    let pass = |round: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            round();
        }
        start.elapsed().as_nanos() as f64 / (ROUNDS * PACKETS) as f64
    };
    (0..PASSES).map(|_| pass(&mut round)).fold(f64::INFINITY, f64::min)
}

fn topic() -> String {
    format!("{:-<64}", "devices/bench-device/messages/events/")
}

fn payload() -> Bytes {
    Bytes::from(vec![b'x'; 256])
}

/// A full buffer in the wire format, which is the same whoever wrote it.
fn full_buffer(version: Version) -> BytesMut {
    let mut buffer = BytesMut::new();
    for number in 1..=PACKETS {
        wire::encode(&publish(number as u16), version, &mut buffer).expect("encodes");
    }
    buffer
}

fn publish(number: u16) -> Packet {
    Packet::Publish(Publish {
        topic: Text::try_from(topic()).expect("text"),
        payload: payload(),
        qos: QoS::AtLeastOnce,
        packet_id: PacketId::new(number),
        ..Publish::default()
    })
}

fn ours(version: Version) -> (f64, f64) {
    let buffer = full_buffer(version);
    let limits = DecodeLimits::default();
    let decode = measure(|| {
        let mut input = BytesMut::from(&buffer[..]);
        while let Some(packet) = wire::decode(&mut input, version, Sender::Client, &limits).expect("decodes") {
            black_box(packet);
        }
    });
    let packet = publish(1);
    let mut out = BytesMut::with_capacity(64 * 1024);
    let encode = measure(|| {
        out.clear();
        for _ in 0..PACKETS {
            wire::encode(black_box(&packet), version, &mut out).expect("encodes");
        }
    });
    (decode, encode)
}

fn rmqtt_publish(properties: bool) -> Box<RmqttPublish> {
    Box::new(RmqttPublish {
        dup: false,
        retain: false,
        qos: RmqttQos::AtLeastOnce,
        topic: topic().into(),
        packet_id: NonZeroU16::new(1),
        payload: payload(),
        properties: properties.then(Default::default),
    })
}

fn rmqtt_v3() -> (f64, f64) {
    let buffer = full_buffer(Version::V311);
    let mut codec = rmqtt_codec::v3::Codec::default();
    let decode = measure(|| {
        let mut input = BytesMut::from(&buffer[..]);
        while let Some(packet) = codec.decode(&mut input).expect("decodes") {
            black_box(packet);
        }
    });
    let packet = rmqtt_codec::v3::Packet::Publish(rmqtt_publish(false));
    let mut out = BytesMut::with_capacity(64 * 1024);
    // Its encoder takes the packet by value; the clone is part of using it.
    let encode = measure(|| {
        out.clear();
        for _ in 0..PACKETS {
            codec.encode(black_box(&packet).clone(), &mut out).expect("encodes");
        }
    });
    (decode, encode)
}

fn rmqtt_v5() -> (f64, f64) {
    let buffer = full_buffer(Version::V5);
    let mut codec = rmqtt_codec::v5::Codec::default();
    let decode = measure(|| {
        let mut input = BytesMut::from(&buffer[..]);
        while let Some(packet) = codec.decode(&mut input).expect("decodes") {
            black_box(packet);
        }
    });
    let packet = rmqtt_codec::v5::Packet::Publish(rmqtt_publish(true));
    let mut out = BytesMut::with_capacity(64 * 1024);
    let encode = measure(|| {
        out.clear();
        for _ in 0..PACKETS {
            codec.encode(black_box(&packet).clone(), &mut out).expect("encodes");
        }
    });
    (decode, encode)
}

fn rumqttc_v4() -> (f64, f64) {
    use rumqttc::mqttbytes::v4::Packet;
    let buffer = full_buffer(Version::V311);
    let decode = measure(|| {
        let mut input = BytesMut::from(&buffer[..]);
        for _ in 0..PACKETS {
            black_box(Packet::read(&mut input, 1 << 20).expect("decodes"));
        }
    });
    let mut publish = rumqttc::Publish::from_bytes(topic(), rumqttc::QoS::AtLeastOnce, payload());
    publish.pkid = 1;
    let packet = Packet::Publish(publish);
    let mut out = BytesMut::with_capacity(64 * 1024);
    let encode = measure(|| {
        out.clear();
        for _ in 0..PACKETS {
            black_box(&packet).write(&mut out, 1 << 20).expect("encodes");
        }
    });
    (decode, encode)
}

fn rumqttc_v5() -> (f64, f64) {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
    let buffer = full_buffer(Version::V5);
    let decode = measure(|| {
        let mut input = BytesMut::from(&buffer[..]);
        for _ in 0..PACKETS {
            black_box(Packet::read(&mut input, None).expect("decodes"));
        }
    });
    let mut publish = Publish::new(topic(), QoS::AtLeastOnce, payload(), None);
    publish.pkid = 1;
    let packet = Packet::Publish(publish);
    let mut out = BytesMut::with_capacity(64 * 1024);
    let encode = measure(|| {
        out.clear();
        for _ in 0..PACKETS {
            black_box(&packet).write(&mut out, None).expect("encodes");
        }
    });
    (decode, encode)
}

fn copy_alone() -> f64 {
    let buffer = full_buffer(Version::V311);
    measure(|| {
        black_box(BytesMut::from(&buffer[..]));
    })
}

/// A message's whole way through the session: decoded, told, acknowledged.
fn session() -> f64 {
    let now = Instant::now();
    let mut connection = Connection::new(Config::default(), now);
    let mut input = BytesMut::new();
    let connect = Connect {
        version: Version::V311,
        client_id: Text::try_from("bench").expect("text"),
        clean_start: true,
        keep_alive_seconds: 60,
        username: None,
        password: None,
        will: None,
        properties: ConnectProperties::default(),
    };
    wire::encode(&Packet::Connect(Box::new(connect)), Version::V311, &mut input).expect("encodes");
    connection.handle_input(&mut input, now);
    connection.poll_event();
    connection.accept(Accept::default(), now);
    let buffer = full_buffer(Version::V311);
    measure(|| {
        let mut input = BytesMut::from(&buffer[..]);
        connection.handle_input(&mut input, now);
        while let Some(event) = connection.poll_event() {
            if let Event::Publish { publish, receipt: Some(receipt) } = event {
                black_box(publish);
                connection.acknowledge(receipt, ReasonCode::Success);
            }
        }
        black_box(connection.output()).clear();
    })
}
