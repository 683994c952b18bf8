//! The codec: bytes to packets and back, for both versions and both directions.
//!
//! [`decode`] is strict. It says "incomplete" only while the fixed header or the bytes that it
//! announces are missing; whatever is wrong inside a complete packet is [`Malformed`]. Lengths are
//! checked against [`DecodeLimits`] before anyone waits for the bytes, and nothing is reserved for
//! bytes that have not arrived. Text and binary fields are slices of the packet; a 3.1.1 PUBLISH
//! costs no allocation.
//!
//! [`encode`] writes what the version has a field for: to 3.1.1, properties and reason codes are
//! left out.

mod ack;
mod connack;
mod connect;
mod disconnect;
mod error;
mod fixed_header;
mod property;
mod publish;
mod quality;
mod reader;
mod reason;
mod subscribe;
#[cfg(test)]
mod tests;
mod text;
mod topic;
mod unsubscribe;
mod varint;
mod writer;

use bytes::{Buf, Bytes, BytesMut};

pub use ack::{Ack, AckProperties};
pub use connack::{ConnAck, ConnAckCode, ConnAckProperties};
pub(crate) use connect::announced_level;
pub use connect::{Connect, ConnectProperties, Will, WillProperties};
pub use disconnect::{Auth, Disconnect};
pub use error::{Malformed, Unencodable};
pub use fixed_header::PacketType;
pub use property::UserProperties;
pub use publish::{Publish, PublishProperties};
pub(crate) use publish::{PublishParts, encode_publish};
pub use quality::{PacketId, QoS};
pub use reason::{ConnectReturnCode, ReasonCode};
pub use subscribe::{RetainHandling, SubAck, Subscribe, SubscribeFilter, SubscribeProperties};
pub use text::{FIELD_BYTES_MAX, InvalidText, Text};
pub use topic::{InvalidFilter, InvalidTopic, has_wildcard, is_shared};
pub use unsubscribe::{UnsubAck, Unsubscribe};
pub use varint::VARINT_MAX;

use crate::Version;
use fixed_header::FixedHeader;
use reader::Reader;

/// Which side of the connection sent the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The side that sends CONNECT.
    Client,
    /// The side that answers it.
    Server,
}

/// The most that a packet may hold. The peer is cut off beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of any packet, its fixed header included.
    pub packet_bytes_max: usize,
    /// Bytes of CONNECT, before anything is known of the client.
    pub connect_bytes_max: usize,
    /// Filters in one SUBSCRIBE or UNSUBSCRIBE.
    pub filters_max: usize,
    /// Bytes of one topic filter.
    pub filter_bytes_max: usize,
    /// Levels of one topic filter.
    pub filter_levels_max: usize,
    /// User properties in one packet; a will counts by itself.
    pub user_properties_max: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            packet_bytes_max: 266_240,
            connect_bytes_max: 16 * 1024,
            filters_max: 64,
            filter_bytes_max: 1024,
            filter_levels_max: 32,
            user_properties_max: 128,
        }
    }
}

/// Any packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The client introduces itself.
    Connect(Box<Connect>),
    /// The server's verdict.
    ConnAck(Box<ConnAck>),
    /// A message.
    Publish(Publish),
    /// A QoS 1 message has arrived.
    PubAck(Ack),
    /// A QoS 2 message has arrived.
    PubRec(Ack),
    /// A QoS 2 message may be forgotten.
    PubRel(Ack),
    /// A QoS 2 message is forgotten.
    PubComp(Ack),
    /// A wish for messages.
    Subscribe(Subscribe),
    /// The answer to it.
    SubAck(SubAck),
    /// A wish for no more messages.
    Unsubscribe(Unsubscribe),
    /// The answer to it.
    UnsubAck(UnsubAck),
    /// The client is alive.
    PingReq,
    /// So is the server.
    PingResp,
    /// The end.
    Disconnect(Disconnect),
    /// A step of extended authentication.
    Auth(Auth),
}

impl Packet {
    /// The packet's type.
    pub fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}

/// Takes one complete packet off the front of `buffer`; None, with nothing taken, until there is
/// one.
///
/// `version` is that of the connection; a CONNECT brings its own, so before it either will do.
///
/// # Errors
/// [`Malformed`]: the connection cannot go on, and what is left in `buffer` means nothing.
#[inline]
pub fn decode(buffer: &mut BytesMut, version: Version, sender: Sender, limits: &DecodeLimits) -> Result<Option<Packet>, Malformed> {
    let Some(header) = FixedHeader::read(buffer, version, sender)? else { return Ok(None) };
    header.check_size(limits)?;
    if buffer.len() < header.packet_bytes() {
        return Ok(None);
    }
    let mut frame = buffer.split_to(header.packet_bytes()).freeze();
    frame.advance(header.width);
    decode_fields(&header, frame, version, sender, limits).map(Some)
}

#[inline]
fn decode_fields(header: &FixedHeader, frame: Bytes, version: Version, sender: Sender, limits: &DecodeLimits) -> Result<Packet, Malformed> {
    let fields = Reader::new(frame);
    Ok(match header.packet {
        PacketType::Publish => Packet::Publish(Publish::decode(header, fields, version, sender, limits)?),
        PacketType::PubAck => Packet::PubAck(Ack::decode(header.packet, fields, version, limits)?),
        PacketType::PubRec => Packet::PubRec(Ack::decode(header.packet, fields, version, limits)?),
        PacketType::PubRel => Packet::PubRel(Ack::decode(header.packet, fields, version, limits)?),
        PacketType::PubComp => Packet::PubComp(Ack::decode(header.packet, fields, version, limits)?),
        PacketType::Connect => {
            // What a CONNECT says is kept as long as the connection: it must not keep the read buffer.
            let fields = Reader::new(Bytes::copy_from_slice(&fields.into_rest()));
            Packet::Connect(Box::new(Connect::decode(fields, header.minimal, limits)?))
        }
        PacketType::ConnAck => Packet::ConnAck(Box::new(ConnAck::decode(fields, version, limits)?)),
        PacketType::Subscribe => Packet::Subscribe(Subscribe::decode(fields, version, limits)?),
        PacketType::SubAck => Packet::SubAck(SubAck::decode(fields, version, limits)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe::decode(fields, version, limits)?),
        PacketType::UnsubAck => Packet::UnsubAck(UnsubAck::decode(fields, version, limits)?),
        PacketType::PingReq => fields.finish().map(|()| Packet::PingReq)?,
        PacketType::PingResp => fields.finish().map(|()| Packet::PingResp)?,
        PacketType::Disconnect => Packet::Disconnect(Disconnect::decode(fields, version, sender, limits)?),
        PacketType::Auth => Packet::Auth(Auth::decode(fields, limits)?),
    })
}

/// Appends a packet to `out`.
///
/// # Errors
/// [`Unencodable`], with `out` as it was.
pub fn encode(packet: &Packet, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
    match packet {
        Packet::Connect(connect) => connect.encode(version, out),
        Packet::ConnAck(connack) => connack.encode(version, out),
        Packet::Publish(publish) => publish.encode(version, out),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.encode(packet.packet_type(), version, out)
        }
        Packet::Subscribe(subscribe) => subscribe.encode(version, out),
        Packet::SubAck(suback) => suback.encode(version, out),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.encode(version, out),
        Packet::UnsubAck(unsuback) => unsuback.encode(version, out),
        Packet::PingReq | Packet::PingResp => writer::packet(out, packet.packet_type(), 0, &[], |_| Ok(())),
        Packet::Disconnect(disconnect) => disconnect.encode(version, out),
        Packet::Auth(auth) => auth.encode(version, out),
    }
}
