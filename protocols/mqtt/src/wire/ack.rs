//! PUBACK, PUBREC, PUBREL and PUBCOMP (§3.4 to §3.7), which look alike.

use bytes::{BufMut, BytesMut};

use super::error::{Malformed, Unencodable};
use super::fixed_header::PacketType;
use super::property::{self, PropertyBlock, UserProperties};
use super::quality::PacketId;
use super::reader::Reader;
use super::reason::ReasonCode;
use super::text::Text;
use super::{DecodeLimits, writer};
use crate::Version;

/// A step of acknowledging a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The message's.
    pub packet_id: PacketId,
    /// How it went; always success in 3.1.1.
    pub reason: ReasonCode,
    /// Empty in 3.1.1.
    pub properties: AckProperties,
}

/// Properties of acknowledgements of every kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AckProperties {
    /// For people to read.
    pub reason_string: Option<Text>,
    /// The application's own.
    pub user_properties: UserProperties,
}

impl AckProperties {
    pub(super) fn decode(fields: &mut Reader, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let mut block = PropertyBlock::read(fields, limits)?;
        let mut this = Self::default();
        while let Some(identifier) = block.next()? {
            match identifier {
                property::REASON_STRING => this.reason_string = Some(block.text(identifier)?),
                property::USER_PROPERTY => block.user(&mut this.user_properties)?,
                _ => return Err(Malformed::Property { identifier }),
            }
        }
        Ok(this)
    }

    pub(super) fn encode(&self, out: &mut BytesMut) -> Result<(), Unencodable> {
        property::block(out, |out| {
            property::put_text(out, property::REASON_STRING, self.reason_string.as_ref());
            property::put_user(out, &self.user_properties);
            Ok(())
        })
    }

    fn is_empty(&self) -> bool {
        self.reason_string.is_none() && self.user_properties.is_empty()
    }
}

impl Ack {
    /// An acknowledgement without properties.
    pub fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self { packet_id, reason, properties: AckProperties::default() }
    }

    pub(super) fn decode(packet: PacketType, mut fields: Reader, version: Version, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let mut this = Self::new(fields.packet_id()?, ReasonCode::Success);
        if version == Version::V5 && !fields.is_empty() {
            this.reason = decode_reason(packet, fields.u8()?)?;
            if !fields.is_empty() {
                this.properties = AckProperties::decode(&mut fields, limits)?;
            }
        }
        fields.finish()?;
        Ok(this)
    }

    pub(crate) fn encode(&self, packet: PacketType, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        writer::packet(out, packet, packet.fixed_flags(), &[], |out| {
            out.put_u16(self.packet_id.get());
            if version == Version::V311 {
                return Ok(());
            }
            encode_reason(packet, self.reason)?;
            if self.reason != ReasonCode::Success || !self.properties.is_empty() {
                out.put_u8(self.reason.into());
            }
            if self.properties.is_empty() { Ok(()) } else { self.properties.encode(out) }
        })
    }
}

/// A code from the wire, if this packet may carry it.
pub(super) fn decode_reason(packet: PacketType, number: u8) -> Result<ReasonCode, Malformed> {
    match ReasonCode::try_from(number) {
        Ok(reason) if reason.is_allowed_in(packet) => Ok(reason),
        Ok(_) | Err(_) => Err(Malformed::Code { packet, code: number }),
    }
}

/// Refuses to write a code that this packet may not carry.
pub(super) fn encode_reason(packet: PacketType, reason: ReasonCode) -> Result<(), Unencodable> {
    if reason.is_allowed_in(packet) { Ok(()) } else { Err(Unencodable::Code { packet, reason }) }
}
