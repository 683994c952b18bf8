//! A client and a server joined by a link that delays and cuts bytes, with an application that
//! answers late and in any order. Whatever the seed, the promises hold.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mqtt_proto::Version::{self, V5, V311};
use mqtt_proto::session::{Accept, Config, Connection, Event, InFlight, Outbound, Receipt};
use mqtt_proto::wire::{self, Ack, DecodeLimits, Packet, PublishProperties, QoS, ReasonCode, Sender};

use crate::server::{connect, id, message, text};

/// Numbers that look random and repeat with their seed (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// One direction of a connection: bytes arrive in order, each chunk after its own delay.
#[derive(Default)]
struct Wire {
    chunks: VecDeque<(Instant, BytesMut)>,
}

impl Wire {
    fn send(&mut self, mut bytes: BytesMut, now: Instant, random: &mut Random) {
        let mut arrival = self.chunks.back().map_or(now, |(arrival, _)| *arrival);
        while !bytes.is_empty() {
            let chunk = bytes.split_to(1 + random.below(bytes.len().min(40)));
            arrival = arrival.max(now) + Duration::from_millis(random.below(20) as u64);
            self.chunks.push_back((arrival, chunk));
        }
    }

    fn arrive(&mut self, into: &mut BytesMut, now: Instant) {
        while self.chunks.front().is_some_and(|(arrival, _)| *arrival <= now) {
            into.extend_from_slice(&self.chunks.pop_front().unwrap().1);
        }
    }
}

/// A client that survives its connections: it sends its messages in order and again until they are
/// acknowledged.
struct Client {
    version: Version,
    to_send: u16,
    unacknowledged: VecDeque<u16>,
    sent: u16,
    acknowledged: Vec<u16>,
    received: BTreeMap<u64, usize>,
    to_acknowledge: Vec<u16>,
    input: BytesMut,
    connected: bool,
}

impl Client {
    const WINDOW: usize = 8;

    fn start(&mut self) -> BytesMut {
        self.input.clear();
        self.to_acknowledge.clear();
        self.connected = false;
        let mut connect = connect(self.version);
        if self.version == V5 {
            connect.properties.receive_maximum = Some(5);
        }
        encode(&Packet::Connect(Box::new(connect)), self.version)
    }

    /// Sends again what an earlier connection left, in its order.
    fn resume(&mut self) -> BytesMut {
        let mut out = BytesMut::new();
        for number in &self.unacknowledged {
            let mut again = message("t", *number);
            again.dup = true;
            wire::encode(&Packet::Publish(again), self.version, &mut out).unwrap();
        }
        out
    }

    fn step(&mut self, random: &mut Random) -> BytesMut {
        let mut out = BytesMut::new();
        while let Some(packet) = wire::decode(&mut self.input, self.version, Sender::Server, &DecodeLimits::default()).unwrap() {
            match packet {
                Packet::ConnAck(_) => {
                    self.connected = true;
                    out.extend(self.resume());
                }
                Packet::PubAck(ack) => {
                    assert_eq!(self.unacknowledged.pop_front(), Some(ack.packet_id.get()), "in the order of sending");
                    self.acknowledged.push(ack.packet_id.get());
                }
                Packet::Publish(publish) => {
                    let tag = std::str::from_utf8(&publish.payload).unwrap().parse().unwrap();
                    *self.received.entry(tag).or_default() += 1;
                    self.to_acknowledge.push(publish.packet_id.unwrap().get());
                    assert!(self.to_acknowledge.len() <= 5 || self.version == V311, "the receive maximum");
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        if self.connected {
            self.send(&mut out, random);
        }
        out
    }

    fn send(&mut self, out: &mut BytesMut, random: &mut Random) {
        while self.sent < self.to_send && self.unacknowledged.len() < Self::WINDOW {
            self.sent += 1;
            self.unacknowledged.push_back(self.sent);
            out.extend(encode(&Packet::Publish(message("t", self.sent)), self.version));
        }
        if random.below(3) == 0 && !self.to_acknowledge.is_empty() {
            let number = self.to_acknowledge.swap_remove(random.below(self.to_acknowledge.len()));
            out.extend(encode(&Packet::PubAck(Ack::new(id(number), ReasonCode::Success)), self.version));
        }
    }
}

fn encode(packet: &Packet, version: Version) -> BytesMut {
    let mut out = BytesMut::new();
    wire::encode(packet, version, &mut out).unwrap();
    out
}

/// The application behind the server: it stores messages before it acknowledges them, late and in any
/// order, and sends messages of its own.
struct Application {
    stored: Vec<u16>,
    waiting: Vec<Receipt>,
    to_publish: VecDeque<u64>,
    done: Vec<u64>,
}

impl Application {
    fn step(&mut self, connection: &mut Connection, now: Instant, in_flight: &mut InFlight, random: &mut Random) {
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Connect(_) => {
                    let in_flight = std::mem::take(in_flight);
                    connection.accept(Accept { session_present: true, in_flight, ..Accept::default() }, now);
                }
                Event::Publish { publish, receipt } => {
                    self.stored.push(publish.packet_id.unwrap().get());
                    self.waiting.push(receipt.unwrap());
                }
                Event::Acknowledged { tag, .. } => self.done.push(tag),
                other => panic!("unexpected {other:?}"),
            }
        }
        if random.below(2) == 0 && !self.waiting.is_empty() {
            let receipt = self.waiting.swap_remove(random.below(self.waiting.len()));
            connection.acknowledge(receipt, ReasonCode::Success);
        }
        while connection.window() > 0 && !self.to_publish.is_empty() {
            let tag = self.to_publish.pop_front().unwrap();
            let properties = PublishProperties::default();
            let payload = tag.to_string().into();
            let message = Outbound { topic: text("t"), payload, qos: QoS::AtLeastOnce, retain: false, properties, tag };
            connection.publish(message).unwrap();
        }
    }
}

/// Runs until both sides have everything, over connections that are cut now and then.
fn run(version: Version, seed: u64, cuts: usize) -> (Client, Application) {
    let mut random = Random(seed | 1);
    let mut now = Instant::now();
    let mut client = Client {
        version,
        to_send: 200,
        unacknowledged: VecDeque::new(),
        sent: 0,
        acknowledged: Vec::new(),
        received: BTreeMap::new(),
        to_acknowledge: Vec::new(),
        input: BytesMut::new(),
        connected: false,
    };
    let mut application = Application { stored: Vec::new(), waiting: Vec::new(), to_publish: (0..100).collect(), done: Vec::new() };
    let mut in_flight = InFlight::default();
    for connection_number in 0..=cuts {
        let config = Config { in_flight_max: 8, ..Config::default() };
        let mut connection = Connection::new(config, now);
        let (mut up, mut down, mut input) = (Wire::default(), Wire::default(), BytesMut::new());
        application.waiting.clear();
        up.send(client.start(), now, &mut random);
        let steps = if connection_number == cuts { 1_000_000 } else { 200 + random.below(400) };
        for _ in 0..steps {
            if client.acknowledged.len() == 200 && application.done.len() == 100 {
                break;
            }
            now += Duration::from_millis(1);
            up.arrive(&mut input, now);
            connection.handle_input(&mut input, now);
            connection.handle_timeout(now);
            application.step(&mut connection, now, &mut in_flight, &mut random);
            connection.handle_input(&mut input, now);
            down.send(connection.output().split(), now, &mut random);
            down.arrive(&mut client.input, now);
            up.send(client.step(&mut random), now, &mut random);
        }
        if connection.version().is_some() && !connection.is_closed() {
            let left = connection.take_in_flight();
            in_flight = if left.is_empty() { in_flight } else { left };
        }
    }
    (client, application)
}

fn check(version: Version, seed: u64, cuts: usize) {
    let (client, application) = run(version, seed, cuts);
    let all: Vec<u16> = (1..=200).collect();
    assert_eq!(client.acknowledged, all, "{version:?} seed {seed}: acknowledged once, in order");
    let mut first = Vec::new();
    for number in &application.stored {
        if !first.contains(number) {
            first.push(*number);
        }
    }
    assert_eq!(first, all, "{version:?} seed {seed}: stored before acknowledged, first copies in order");
    let tags: Vec<u64> = client.received.keys().copied().collect();
    assert_eq!(tags, (0..100).collect::<Vec<_>>(), "{version:?} seed {seed}: received");
    let mut done = application.done;
    done.sort_unstable();
    assert_eq!(done, tags, "{version:?} seed {seed}: the application hears of each once");
    if cuts == 0 {
        assert_eq!(application.stored, all, "once each");
        assert!(client.received.values().all(|times| *times == 1), "once each");
    }
}

#[test]
fn one_connection_carries_everything_once() {
    for seed in 1..40 {
        check(V311, seed, 0);
        check(V5, seed, 0);
    }
}

#[test]
fn cut_connections_lose_nothing_and_keep_the_order() {
    for seed in 1..40 {
        check(V311, seed, 5);
        check(V5, seed, 5);
    }
}
