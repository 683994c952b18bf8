//! What a connected client may not do: the connection ends, or the request is refused and the
//! connection goes on, as the wire reference has it (§1.7); nothing has changed, and the hub
//! serves everybody else.

use bytes::{Bytes, BytesMut};
use mqtt_proto::Version;
use mqtt_proto::wire::{Packet, Publish, QoS, ReasonCode, encode};

use crate::support::device::{Device, reason_code, return_code};
use crate::support::facts::Facts;
use crate::support::hub::HubProcess;
use crate::support::packets::{connect, publish, telemetry_topic};
use crate::support::service::Service;

const BOTH: [Version; 2] = [Version::V311, Version::V5];

/// A hub with the devices `dev-1` and `dev-2` and the module `dev-1/m`. `dev-2` stays connected
/// and must not notice anything.
struct Setting {
    hub: HubProcess,
    service: Service,
    bystander: Device,
}

impl Setting {
    async fn start() -> Self {
        let hub = HubProcess::start();
        let service = hub.service();
        for identity in ["dev-1", "dev-2", "dev-1/m"] {
            service.register(identity).await;
        }
        let bystander = Device::connected(&hub, "dev-2").await;
        Self { hub, service, bystander }
    }

    async fn facts(&self) -> Facts {
        Facts::of(&self.service, &["dev-1", "dev-2", "dev-1/m"]).await
    }

    async fn connected(&self, version: Version, identity: &str) -> Device {
        Device::connected_with(&self.hub, &connect(version, identity)).await.0
    }

    /// `bytes` end the connection: without a word on 3.1.1, with `reason` on 5.
    async fn closes(&mut self, case: &str, identity: &str, versions: &[Version], bytes: &dyn Fn(Version) -> BytesMut, reason: ReasonCode) {
        let before = self.facts().await;
        let line = ["\"disconnected\"", &format!("\"identity\":\"{identity}\"")];
        for version in versions {
            let lines = self.hub.logged(&line);
            let mut device = self.connected(*version, identity).await;
            device.send_bytes(&bytes(*version)).await;
            match version {
                Version::V311 => device.expect_closed().await,
                Version::V5 => device.expect_disconnect(reason).await,
            }
            assert_eq!(self.hub.logged(&line), lines + 1, "{case}: one line of the log");
        }
        assert_eq!(self.facts().await, before, "{case}");
        self.bystander.expect_alive().await;
    }

    /// The same for one packet.
    async fn packet_closes(&mut self, case: &str, identity: &str, packet: &Packet, reason: ReasonCode) {
        self.closes(case, identity, &BOTH, &|version| encoded(packet, version), reason).await;
    }
}

fn encoded(packet: &Packet, version: Version) -> BytesMut {
    let mut bytes = BytesMut::new();
    encode(packet, version, &mut bytes).expect("a packet that can be written");
    bytes
}

fn message(topic: &str) -> Packet {
    Packet::Publish(publish(topic, Some(7), "{}"))
}

#[tokio::test]
async fn a_publish_to_a_topic_that_is_not_ones_own_ends_the_connection() {
    let mut setting = Setting::start().await;
    let mut check = async |identity, topic: &str, reason| setting.packet_closes(topic, identity, &message(topic), reason).await;
    let (unknown, foreign) = (ReasonCode::TopicNameInvalid, ReasonCode::NotAuthorized);
    for topic in ["a", "$iothub/twin/GET/", "$iothub/methods/res/ok/?$rid=1", "$SYS/broker", "/devices/dev-1/messages/events/", "ünbekannt"]
    {
        check("dev-1", topic, unknown).await;
    }
    // Row 84 of the negative certificates: the topic names another identity after CONNECT.
    for topic in ["devices/dev-2/messages/events/", "devices/dev-1/modules/m/messages/events/", "devices/dev-10/messages/events/"] {
        check("dev-1", topic, foreign).await;
    }
    check("dev-1/m", "devices/dev-1/messages/events/", foreign).await;
    check("dev-1/m", "devices/dev-1/modules/n/messages/events/", foreign).await;
    // What the hub sends, devices may not.
    check("dev-1", "devices/dev-1/messages/devicebound/", foreign).await;
    check("dev-1", "$iothub/methods/POST/reboot/?$rid=1", unknown).await;
    check("dev-1", "$iothub/twin/res/200/?$rid=1", unknown).await;
}

#[tokio::test]
async fn a_publish_that_the_hub_cannot_serve_ends_the_connection() {
    let mut setting = Setting::start().await;
    let topic = telemetry_topic("dev-1");
    let exactly_once = Publish { qos: QoS::ExactlyOnce, ..publish(&topic, Some(7), "{}") };
    setting.packet_closes("QoS 2", "dev-1", &Packet::Publish(exactly_once), ReasonCode::QosNotSupported).await;
    let retained = Publish { retain: true, ..publish(&topic, Some(7), "{}") };
    let bytes = |version| encoded(&Packet::Publish(retained.clone()), version);
    setting.closes("retain on MQTT 5", "dev-1", &[Version::V5], &bytes, ReasonCode::RetainNotSupported).await;
    let oversize = Packet::Publish(publish(&topic, Some(7), vec![b'x'; 266_240]));
    setting.packet_closes("over the packet size", "dev-1", &oversize, ReasonCode::PacketTooLarge).await;
}

#[tokio::test]
async fn a_message_that_is_not_taken_has_its_puback_on_mqtt_5_and_ends_the_connection_on_3_1_1() {
    let mut setting = Setting::start().await;
    let topic = telemetry_topic("dev-1");
    let many: String = (0..200).map(|number| format!("&p{number}=x")).collect();
    let cases = [
        ("a percent sign without digits", format!("{topic}a=%zz"), "{}".into(), ReasonCode::TopicNameInvalid),
        ("too many properties", format!("{topic}{}", &many[1..]), "{}".into(), ReasonCode::TopicNameInvalid),
        ("a bag over its size", format!("{topic}a={}", "x".repeat(17 * 1024)), "{}".into(), ReasonCode::TopicNameInvalid),
        ("a body over 256 KiB", topic.clone(), "x".repeat(256 * 1024 + 1), ReasonCode::QuotaExceeded),
    ];
    for (case, topic, body, reason) in cases {
        let packet = Packet::Publish(publish(&topic, Some(7), body));
        let bytes = |version| encoded(&packet, version);
        setting.closes(case, "dev-1", &[Version::V311], &bytes, reason).await;
        let before = setting.facts().await;
        let mut device = setting.connected(Version::V5, "dev-1").await;
        device.send(&packet).await;
        assert_eq!(device.expect_ack(7).await, reason, "{case}");
        device.expect_alive().await;
        assert_eq!(setting.facts().await, before, "{case}");
    }
}

#[tokio::test]
async fn a_filter_that_is_not_ones_own_is_refused_and_the_connection_goes_on() {
    let setting = Setting::start().await;
    let own = "devices/dev-1/messages/devicebound/#";
    for version in BOTH {
        let refused = Err(if version == Version::V5 { ReasonCode::NotAuthorized } else { ReasonCode::UnspecifiedError });
        let mut device = setting.connected(version, "dev-1").await;
        for filter in [
            "#",
            "+",
            "devices/#",
            "devices/+/messages/devicebound/#",
            "devices/dev-2/messages/devicebound/#",
            "devices/dev-1/#",
            "devices/dev-1/modules/m/#",
            "$iothub/#",
            "$iothub/methods/+/#",
            "$SYS/#",
            "other",
        ] {
            assert_eq!(device.subscribe(&[filter]).await, [refused], "{filter}");
        }
        assert_eq!(device.subscribe(&["other", own]).await, [refused, Ok(QoS::AtLeastOnce)], "each filter has its own answer");
        device.publish_acknowledged(&telemetry_topic("dev-1"), "on").await;
    }
    let own = setting.service.send_command("dev-2", "m-1", "for dev-2 alone").await;
    assert_eq!(own, 1);
}

#[tokio::test]
async fn qos_2_is_granted_as_1() {
    let setting = Setting::start().await;
    let mut device = setting.connected(Version::V311, "dev-1").await;
    device.send(&crate::support::packets::subscribe(1, &[("$iothub/twin/res/#", QoS::ExactlyOnce)])).await;
    match device.receive().await {
        Some(Packet::SubAck(answer)) => assert_eq!(answer.results, [Ok(QoS::AtLeastOnce)]),
        other => panic!("SUBACK expected, not {other:?}"),
    }
}

/// Packets that break the standard, as raw bytes of version 3.1.1 unless said otherwise.
#[tokio::test]
async fn a_malformed_packet_ends_its_connection_and_nothing_else() {
    let mut setting = Setting::start().await;
    let topic = telemetry_topic("dev-1");
    let mut check = async |case, versions: &[Version], bytes: &[u8], reason| {
        setting.closes(case, "dev-1", versions, &|_| BytesMut::from(bytes), reason).await;
    };
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    let named = |flags: u8, rest: &[u8]| -> Vec<u8> {
        let name = topic.as_bytes();
        let body: Vec<u8> = (name.len() as u16).to_be_bytes().iter().chain(name).chain(rest).copied().collect();
        [&[0x30 | flags, body.len() as u8], body.as_slice()].concat()
    };
    check("packet type 0", &BOTH, b"\x00\x00", malformed).await;
    check("QoS 3", &BOTH, &named(0b0110, b"\x00\x01"), malformed).await;
    check("packet id 0", &[Version::V311], &named(0b0010, b"\x00\x00{}"), malformed).await;
    check("a topic that ends beyond the packet", &BOTH, b"\x30\x04\x00\x10ab", malformed).await;
    check("an empty topic", &[Version::V311], b"\x30\x02\x00\x00", malformed).await;
    check("a length of five bytes", &BOTH, b"\x30\xff\xff\xff\xff\x7f", malformed).await;
    check("SUBSCRIBE without its flags", &BOTH, b"\x80\x06\x00\x01\x00\x01a\x00", malformed).await;
    check("SUBSCRIBE without a filter", &[Version::V311], b"\x82\x02\x00\x01", protocol).await;
    check("PINGREQ with content", &BOTH, b"\xc0\x01\x00", malformed).await;
    check("U+0000 in a topic", &BOTH, b"\x30\x05\x00\x03a\x00b", malformed).await;
    check("no UTF-8 in a topic", &BOTH, b"\x30\x05\x00\x03a\xffb", malformed).await;
}

#[tokio::test]
async fn a_second_connect_ends_the_connection() {
    let mut setting = Setting::start().await;
    let bytes = |version| encoded(&Packet::Connect(Box::new(connect(version, "dev-1"))), version);
    setting.closes("CONNECT twice", "dev-1", &BOTH, &bytes, ReasonCode::ProtocolError).await;
}

#[tokio::test]
async fn whoever_does_not_begin_with_connect_is_closed_without_an_answer() {
    let mut setting = Setting::start().await;
    let before = setting.facts().await;
    let oversize = {
        let mut login = connect(Version::V311, "dev-1");
        login.password = Some(Bytes::from(vec![b'x'; 17 * 1024]));
        encoded(&Packet::Connect(Box::new(login)), Version::V311)
    };
    let early = encoded(&message(&telemetry_topic("dev-1")), Version::V311);
    let cases: [(&str, &[u8]); 5] = [
        ("PUBLISH first", &early),
        ("PINGREQ first", b"\xc0\x00"),
        ("a CONNECT over its size", &oversize),
        ("a CONNECT that announces 256 MiB", b"\x10\xff\xff\xff\x7f\x00\x04MQTT"),
        ("HTTP", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    ];
    for (case, bytes) in cases {
        let mut device = Device::certified(&setting.hub, "dev-1").await;
        device.send_bytes(bytes).await;
        device.expect_closed().await;
        assert_eq!(setting.facts().await, before, "{case}");
    }
    setting.bystander.expect_alive().await;
}

#[tokio::test]
async fn other_versions_are_answered_in_the_nearest_one_known() {
    let setting = Setting::start().await;
    let mqtt_3_1 = b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01d";
    let mqtt_6 = b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x3c\x00\x01d";
    for (bytes, version) in [(&mqtt_3_1[..], Version::V311), (&mqtt_6[..], Version::V5)] {
        let mut device = Device::certified(&setting.hub, "dev-1").await;
        device.speak(version);
        device.send_bytes(bytes).await;
        match (device.until_closed().await.as_slice(), version) {
            ([Packet::ConnAck(answer)], Version::V311) => assert_eq!(return_code(answer), 1),
            ([Packet::ConnAck(answer)], Version::V5) => assert_eq!(reason_code(answer), ReasonCode::UnsupportedProtocolVersion),
            (other, _) => panic!("CONNACK expected, not {other:?}"),
        }
    }
}
