//! QoS 1 messages to the client that wait for its PUBACK.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::event::{Outbound, Unsent};
use super::handshake::Terms;
use super::identifiers::PacketIds;
use crate::wire::{PacketId, PublishParts, PublishProperties, QoS, Text, encode_publish};

/// Messages that a client has not acknowledged, in the order in which they were first sent.
/// Outlives the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InFlight {
    messages: VecDeque<Sent>,
    /// Where to look for the next identifier.
    next: Option<PacketId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    packet_id: PacketId,
    tag: u64,
    topic: Text,
    payload: Bytes,
    retain: bool,
    properties: PublishProperties,
}

impl InFlight {
    /// How many messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages' tags, in order.
    pub fn tags(&self) -> impl Iterator<Item = u64> + '_ {
        self.messages.iter().map(|sent| sent.tag)
    }

    /// Keeps the messages whose tag `keep` wants: the others will not be sent again.
    pub fn retain(&mut self, mut keep: impl FnMut(u64) -> bool) {
        self.messages.retain(|sent| keep(sent.tag));
    }
}

/// The window of unacknowledged messages.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Sent on this connection.
    sent: VecDeque<Sent>,
    /// Sent on an earlier one only.
    backlog: VecDeque<Sent>,
    packet_ids: PacketIds,
    next: Option<PacketId>,
    limit: usize,
}

/// What became of the next message to be sent again.
pub(super) enum Resent {
    /// There is none, or no room in the window.
    Nothing,
    /// It is in the output.
    Sent,
    /// This client does not take it.
    Dropped { tag: u64 },
}

impl Window {
    /// A window of `limit` messages that starts with those of an earlier connection.
    pub(super) fn resume(limit: usize, in_flight: InFlight) -> Self {
        let mut packet_ids = PacketIds::default();
        for sent in &in_flight.messages {
            packet_ids.insert(sent.packet_id);
        }
        Self { sent: VecDeque::new(), backlog: in_flight.messages, packet_ids, next: in_flight.next, limit }
    }

    pub(super) fn room(&self) -> usize {
        if self.backlog.is_empty() { self.limit.saturating_sub(self.sent.len()) } else { 0 }
    }

    /// Writes a QoS 0 or 1 message and remembers it if it is to be acknowledged.
    pub(super) fn publish(&mut self, mut message: Outbound, terms: &Terms, out: &mut BytesMut) -> Result<(), Unsent> {
        message.properties.topic_alias = None;
        let packet_id = match message.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce if self.room() == 0 => return Err(Unsent::WindowFull),
            QoS::AtLeastOnce | QoS::ExactlyOnce => Some(self.free_packet_id()),
        };
        let Outbound { topic, payload, qos, retain, properties, tag } = message;
        let parts = PublishParts { topic: &topic, payload: &payload, qos, retain, dup: false, packet_id, properties: &properties };
        write(&parts, terms, out)?;
        if let Some(packet_id) = packet_id {
            self.packet_ids.insert(packet_id);
            self.next = Some(packet_id.next());
            self.sent.push_back(Sent { packet_id, tag, topic, payload, retain, properties });
        }
        Ok(())
    }

    /// Writes the next message of an earlier connection again.
    pub(super) fn resend_next(&mut self, terms: &Terms, out: &mut BytesMut) -> Resent {
        if self.sent.len() >= self.limit {
            return Resent::Nothing;
        }
        let Some(message) = self.backlog.pop_front() else { return Resent::Nothing };
        let parts = PublishParts {
            topic: &message.topic,
            payload: &message.payload,
            qos: QoS::AtLeastOnce,
            retain: message.retain,
            dup: true,
            packet_id: Some(message.packet_id),
            properties: &message.properties,
        };
        match write(&parts, terms, out) {
            Ok(()) => {
                self.sent.push_back(message);
                Resent::Sent
            }
            Err(_) => {
                self.packet_ids.remove(message.packet_id);
                Resent::Dropped { tag: message.tag }
            }
        }
    }

    /// The tag of the message with this identifier, which leaves the window. None for an identifier
    /// that waits for nothing.
    pub(super) fn acknowledge(&mut self, packet_id: PacketId) -> Option<u64> {
        let index = self.sent.iter().position(|sent| sent.packet_id == packet_id)?;
        self.packet_ids.remove(packet_id);
        self.sent.remove(index).map(|sent| sent.tag)
    }

    /// Everything unacknowledged, in order.
    pub(super) fn take(&mut self) -> InFlight {
        let mut messages = std::mem::take(&mut self.sent);
        messages.append(&mut self.backlog);
        self.packet_ids = PacketIds::default();
        InFlight { messages, next: self.next }
    }

    /// The next identifier that no message has. The window is smaller than the range, so there is
    /// one.
    fn free_packet_id(&self) -> PacketId {
        let mut packet_id = self.next.unwrap_or(PacketId::FIRST);
        while self.packet_ids.contains(packet_id) {
            packet_id = packet_id.next();
        }
        packet_id
    }
}

fn write(parts: &PublishParts<'_>, terms: &Terms, out: &mut BytesMut) -> Result<(), Unsent> {
    let start = out.len();
    encode_publish(parts, terms.version, out)?;
    let bytes = out.len() - start;
    if bytes > terms.packet_bytes_max {
        out.truncate(start);
        return Err(Unsent::TooLarge { bytes, limit: terms.packet_bytes_max });
    }
    Ok(())
}
