//! A connection under test with its present moment and its buffers.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use mqtt_proto::Version;
use mqtt_proto::session::{Accept, CloseReason, Config, Connection, Event, InFlight, Receipt, Violation};
use mqtt_proto::wire::{self, Connect, ConnectProperties, DecodeLimits, Packet, PacketId, Publish, PublishProperties, QoS, Sender, Text};

pub(crate) fn text(text: &str) -> Text {
    Text::try_from(text).unwrap()
}

pub(crate) fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

pub(crate) fn connect(version: Version) -> Connect {
    Connect {
        version,
        client_id: text("dev1"),
        clean_start: false,
        keep_alive_seconds: 60,
        username: None,
        password: None,
        will: None,
        properties: ConnectProperties::default(),
    }
}

pub(crate) fn message(topic: &str, packet_id: u16) -> Publish {
    Publish {
        topic: text(topic),
        payload: "body".into(),
        qos: if packet_id == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce },
        retain: false,
        dup: false,
        packet_id: PacketId::new(packet_id),
        properties: PublishProperties::default(),
    }
}

pub(crate) struct Server {
    pub(crate) connection: Connection,
    pub(crate) now: Instant,
    pub(crate) input: BytesMut,
    version: Version,
}

impl Server {
    pub(crate) fn new(config: Config, version: Version) -> Self {
        let now = Instant::now();
        Self { connection: Connection::new(config, now), now, input: BytesMut::new(), version }
    }

    /// A client of this version is connected, and its CONNACK has been taken.
    pub(crate) fn connected(version: Version) -> Self {
        Self::connected_by(Config::default(), connect(version), InFlight::default())
    }

    pub(crate) fn connected_by(config: Config, connect: Connect, in_flight: InFlight) -> Self {
        let mut server = Self::new(config, connect.version);
        server.receive(Packet::Connect(Box::new(connect)));
        assert!(matches!(server.events()[..], [Event::Connect(_)]));
        server.accept(Accept { session_present: true, in_flight, ..Accept::default() });
        let connack = server.take_one();
        assert!(matches!(connack, Packet::ConnAck(_)), "{connack:?}");
        server
    }

    pub(crate) fn accept(&mut self, accept: Accept) {
        self.connection.accept(accept, self.now);
        self.connection.handle_input(&mut self.input, self.now);
    }

    pub(crate) fn receive(&mut self, packet: Packet) {
        wire::encode(&packet, self.version, &mut self.input).unwrap();
        self.connection.handle_input(&mut self.input, self.now);
    }

    pub(crate) fn receive_bytes(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.connection.handle_input(&mut self.input, self.now);
    }

    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now += duration;
        self.connection.handle_timeout(self.now);
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    /// The receipts of the QoS 1 messages that have come.
    pub(crate) fn receipts(&mut self) -> Vec<Receipt> {
        self.events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Publish { receipt, .. } => receipt,
                other => panic!("not a message: {other:?}"),
            })
            .collect()
    }

    /// Everything that the server has sent since the last call.
    pub(crate) fn sent(&mut self) -> Vec<Packet> {
        let mut sent = Vec::new();
        loop {
            let mut output = self.connection.output().split();
            if output.is_empty() {
                return sent;
            }
            while let Some(packet) = self.decode(&mut output) {
                sent.push(packet);
            }
            assert!(output.is_empty(), "whole packets");
        }
    }

    /// The first packet that the server has sent; the others are left.
    pub(crate) fn take_one(&mut self) -> Packet {
        let mut output = self.connection.output().clone();
        let whole = output.len();
        let packet = self.decode(&mut output).unwrap();
        self.connection.output().advance(whole - output.len());
        packet
    }

    fn decode(&self, output: &mut BytesMut) -> Option<Packet> {
        wire::decode(output, self.version, Sender::Server, &DecodeLimits::default()).unwrap()
    }

    /// The connection ended for this violation, after everything that came before.
    pub(crate) fn assert_violated(&mut self, expected: Violation) {
        assert_eq!(self.events().last(), Some(&Event::Closed(CloseReason::Violation(expected))));
        assert!(self.connection.is_closed());
        assert!(!self.connection.wants_input());
        assert_eq!(self.connection.next_timeout(), None);
    }
}
