//! The CONNECT packets of unmodified clients, rebuilt from captures of what they sent.

use bytes::BytesMut;
use mqtt_proto::Version::V311;
use mqtt_proto::wire::{self, Connect, ConnectProperties, DecodeLimits, Packet, Sender, Text};

/// A client of Python, authenticated by its certificate: a user name without a password.
const PYTHON_USERNAME: &str =
    "localhost/dev1/?api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0%283.11.7%3BLinux%3Bx86_64%29";

/// A module on Node, with a token.
const NODE_USERNAME: &str = "localhost/dev1/mod1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18.4%20(node%20v20)";
const NODE_PASSWORD: &str = "SharedAccessSignature sr=localhost%2Fdevices%2Fdev1%2Fmodules%2Fmod1&sig=ev02km%3D&se=1795236845";

/// What the clients wrote, byte by byte.
fn capture(flags: u8, keep_alive: u16, fields: &[&str]) -> BytesMut {
    let mut body = BytesMut::from(&b"\0\x04MQTT\x04"[..]);
    body.extend_from_slice(&[flags]);
    body.extend_from_slice(&keep_alive.to_be_bytes());
    for field in fields {
        body.extend_from_slice(&u16::try_from(field.len()).unwrap().to_be_bytes());
        body.extend_from_slice(field.as_bytes());
    }
    assert!((128..16_384).contains(&body.len()));
    let mut packet = BytesMut::from(&[0x10, 0x80 | (body.len() & 0x7f) as u8, (body.len() >> 7) as u8][..]);
    packet.extend_from_slice(&body);
    packet
}

fn check(mut capture: BytesMut, expected: Connect) {
    let bytes = capture.clone();
    let packet = Packet::Connect(Box::new(expected));
    let decoded = wire::decode(&mut capture, V311, Sender::Client, &DecodeLimits::default());
    assert_eq!(decoded, Ok(Some(packet.clone())));
    let mut written = BytesMut::new();
    wire::encode(&packet, V311, &mut written).unwrap();
    assert_eq!(written, bytes);
}

fn text(text: &str) -> Text {
    Text::try_from(text).unwrap()
}

#[test]
fn python_connects_with_a_certificate() {
    let expected = Connect {
        version: V311,
        client_id: text("dev1"),
        clean_start: false,
        keep_alive_seconds: 60,
        username: Some(text(PYTHON_USERNAME)),
        password: None,
        will: None,
        properties: ConnectProperties::default(),
    };
    check(capture(0x80, 60, &["dev1", PYTHON_USERNAME]), expected);
}

#[test]
fn node_connects_a_module_with_a_token() {
    let expected = Connect {
        version: V311,
        client_id: text("dev1/mod1"),
        clean_start: false,
        keep_alive_seconds: 180,
        username: Some(text(NODE_USERNAME)),
        password: Some(NODE_PASSWORD.into()),
        will: None,
        properties: ConnectProperties::default(),
    };
    check(capture(0xc0, 180, &["dev1/mod1", NODE_USERNAME, NODE_PASSWORD]), expected);
}
