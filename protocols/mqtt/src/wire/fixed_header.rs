//! The first two to five bytes of every packet (§2.2 in 3.1.1, §2.1 in 5).

use super::error::Malformed;
use super::varint::{self, Varint};
use super::{DecodeLimits, Sender};
use crate::Version;

/// The type of a packet, by the number in its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// 1: the client wants to connect.
    Connect = 1,
    /// 2: the server's answer to CONNECT.
    ConnAck = 2,
    /// 3: a message, either way.
    Publish = 3,
    /// 4: a QoS 1 message has arrived.
    PubAck = 4,
    /// 5: a QoS 2 message has arrived.
    PubRec = 5,
    /// 6: a QoS 2 message may be forgotten by its receiver.
    PubRel = 6,
    /// 7: it is forgotten.
    PubComp = 7,
    /// 8: the client wants messages.
    Subscribe = 8,
    /// 9: the server's answer.
    SubAck = 9,
    /// 10: the client wants no more of them.
    Unsubscribe = 10,
    /// 11: the server's answer.
    UnsubAck = 11,
    /// 12: the client is alive.
    PingReq = 12,
    /// 13: so is the server.
    PingResp = 13,
    /// 14: the connection ends in order.
    Disconnect = 14,
    /// 15: a step of extended authentication, version 5 only.
    Auth = 15,
}

impl PacketType {
    fn from_number(number: u8, version: Version) -> Result<Self, Malformed> {
        Ok(match number {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 if version == Version::V5 => Self::Auth,
            number => return Err(Malformed::PacketType { number }),
        })
    }

    /// Whether this side may send packets of this type.
    pub fn is_sent_by(self, sender: Sender, version: Version) -> bool {
        match self {
            Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::PingReq => sender == Sender::Client,
            Self::ConnAck | Self::SubAck | Self::UnsubAck | Self::PingResp => sender == Sender::Server,
            Self::Disconnect => sender == Sender::Client || version == Version::V5,
            Self::Publish | Self::PubAck | Self::PubRec | Self::PubRel | Self::PubComp | Self::Auth => true,
        }
    }

    /// The lower four bits of the first byte; PUBLISH has its own.
    pub(super) fn fixed_flags(self) -> u8 {
        match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            Self::Connect
            | Self::ConnAck
            | Self::Publish
            | Self::PubAck
            | Self::PubRec
            | Self::PubComp
            | Self::SubAck
            | Self::UnsubAck
            | Self::PingReq
            | Self::PingResp
            | Self::Disconnect
            | Self::Auth => 0,
        }
    }
}

/// A complete fixed header, checked as far as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FixedHeader {
    pub(super) packet: PacketType,
    pub(super) flags: u8,
    /// Bytes of this header.
    pub(super) width: usize,
    /// Bytes after this header.
    pub(super) remaining: usize,
    /// Whether the length is written as short as it can be. A CONNECT shows only later whether
    /// that is demanded.
    pub(super) minimal: bool,
}

impl FixedHeader {
    /// Reads the header at the front of `bytes`; None while it is incomplete.
    ///
    /// Everything that the first byte gives away is checked before the rest is waited for.
    #[inline]
    pub(super) fn read(bytes: &[u8], version: Version, sender: Sender) -> Result<Option<Self>, Malformed> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let packet = PacketType::from_number(first >> 4, version)?;
        let flags = first & 0x0f;
        if !packet.is_sent_by(sender, version) {
            return Err(Malformed::Direction { packet, sender });
        }
        if packet != PacketType::Publish && flags != packet.fixed_flags() {
            return Err(Malformed::Flags { packet, flags });
        }
        match varint::read(rest) {
            Varint::Incomplete => Ok(None),
            Varint::TooLong => Err(Malformed::VarintTooLong),
            Varint::Value { minimal: false, .. } if version == Version::V5 => Err(Malformed::VarintNotMinimal),
            Varint::Value { value, width, minimal } => {
                Ok(Some(Self { packet, flags, width: width + 1, remaining: value as usize, minimal }))
            }
        }
    }

    pub(super) fn packet_bytes(&self) -> usize {
        self.width + self.remaining
    }

    /// Refuses the packet by its announced length, before anyone waits for its bytes.
    #[inline]
    pub(super) fn check_size(&self, limits: &DecodeLimits) -> Result<(), Malformed> {
        let limit = match self.packet {
            PacketType::Connect => limits.connect_bytes_max.min(limits.packet_bytes_max),
            PacketType::ConnAck
            | PacketType::Publish
            | PacketType::PubAck
            | PacketType::PubRec
            | PacketType::PubRel
            | PacketType::PubComp
            | PacketType::Subscribe
            | PacketType::SubAck
            | PacketType::Unsubscribe
            | PacketType::UnsubAck
            | PacketType::PingReq
            | PacketType::PingResp
            | PacketType::Disconnect
            | PacketType::Auth => limits.packet_bytes_max,
        };
        let bytes = self.packet_bytes();
        if bytes > limit { Err(Malformed::TooLarge { bytes, limit }) } else { Ok(()) }
    }
}
