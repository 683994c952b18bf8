//! What the fuzzers run, as plain functions of bytes. Each asserts what must hold for any input; a
//! panic is a finding.
//!
//! The first byte of the input chooses version and side; a fuzzer finds the rest.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::Version;
use crate::session::{Accept, Config, Connection, Event, Outbound};
use crate::wire::{self, DecodeLimits, Packet, PublishProperties, QoS, ReasonCode, Sender, Text};

/// Decodes the bytes as a stream of packets. Every packet takes bytes away, waiting takes none, and
/// what was decoded can be written and says the same when it is read again.
pub fn mqtt_decode(input: &[u8]) {
    let Some((&choice, stream)) = input.split_first() else { return };
    let version = if choice & 1 == 0 { Version::V311 } else { Version::V5 };
    let sender = if choice & 2 == 0 { Sender::Client } else { Sender::Server };
    let limits = DecodeLimits::default();
    let mut buffer = BytesMut::from(stream);
    loop {
        let before = buffer.len();
        match wire::decode(&mut buffer, version, sender, &limits) {
            Ok(Some(packet)) => {
                assert!(buffer.len() < before, "a packet takes bytes away");
                assert_reads_back(&packet, version, sender, &limits);
            }
            Ok(None) => {
                assert_eq!(buffer.len(), before, "waiting takes nothing");
                return;
            }
            Err(_) => return,
        }
    }
}

fn assert_reads_back(packet: &Packet, version: Version, sender: Sender, limits: &DecodeLimits) {
    // A CONNECT brings its own version.
    let version = if let Packet::Connect(connect) = packet { connect.version } else { version };
    let mut out = BytesMut::new();
    assert_eq!(wire::encode(packet, version, &mut out), Ok(()), "what was read can be written");
    assert_eq!(wire::decode(&mut out, version, sender, limits).as_ref(), Ok(&Some(packet.clone())));
}

/// Feeds the bytes to a session in pieces, whose lengths they choose themselves, with an application
/// that accepts everything and answers late. The session keeps its bounds, and nothing follows its
/// end.
pub fn mqtt_session(input: &[u8]) {
    let mut now = Instant::now();
    let config = Config { in_flight_max: 4, output_bytes_max: 256, ..Config::default() };
    let mut connection = Connection::new(config, now);
    let (mut buffer, mut rest, mut waiting) = (BytesMut::new(), input, Vec::new());
    while let Some((&length, after)) = rest.split_first() {
        let (piece, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        buffer.extend_from_slice(piece);
        now += Duration::from_millis(u64::from(length) * 100);
        connection.handle_input(&mut buffer, now);
        connection.handle_timeout(now);
        let mut ended = false;
        while let Some(event) = connection.poll_event() {
            assert!(!ended, "nothing follows the end");
            ended = answer(&mut connection, event, &mut waiting, now);
        }
        assert!(waiting.len() <= 5, "the window holds");
        if length % 3 == 0 {
            waiting.drain(..).rev().for_each(|receipt| connection.acknowledge(receipt, ReasonCode::Success));
        }
        assert!(connection.output().len() < 256 + 512, "the output is bounded");
        if length % 2 == 0 {
            connection.output().clear();
        }
        assert_eq!(connection.is_closed(), connection.next_timeout().is_none());
    }
}

/// True if the event is the last one.
fn answer(connection: &mut Connection, event: Event, waiting: &mut Vec<crate::session::Receipt>, now: Instant) -> bool {
    match event {
        Event::Connect(_) => connection.accept(Accept { session_present: true, ..Accept::default() }, now),
        Event::Publish { publish, receipt } => {
            waiting.extend(receipt);
            let properties = PublishProperties { topic_alias: None, ..publish.properties };
            let (topic, payload): (Text, _) = (publish.topic, publish.payload.slice(..publish.payload.len().min(16)));
            let qos = QoS::AtLeastOnce;
            // An echo: refused when the window or the output is full, which is an answer too.
            let _sent = connection.publish(Outbound { topic, payload, qos, retain: false, properties, tag: 0 });
        }
        Event::Subscribe { receipt, filters, .. } => {
            let results: Vec<_> = filters.iter().map(|filter| Ok(filter.qos)).collect();
            connection.complete_subscribe(receipt, &results);
        }
        Event::Unsubscribe { receipt, .. } => connection.complete_unsubscribe(receipt, &[ReasonCode::Success]),
        Event::Acknowledged { .. } => {}
        Event::Disconnected { .. } | Event::Closed(_) => return true,
    }
    false
}

#[cfg(test)]
mod tests;
