//! UNSUBSCRIBE and UNSUBACK (§3.10, §3.11).

use bytes::{BufMut, BytesMut};

use super::ack::{AckProperties, decode_reason, encode_reason};
use super::error::{Malformed, Unencodable};
use super::fixed_header::PacketType;
use super::property::{self, PropertyBlock, UserProperties};
use super::quality::PacketId;
use super::reader::Reader;
use super::reason::ReasonCode;
use super::text::Text;
use super::topic::check_filter;
use super::{DecodeLimits, writer};
use crate::Version;

/// A wish for no more messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// To be repeated in UNSUBACK.
    pub packet_id: PacketId,
    /// At least one, as they were subscribed to.
    pub filters: Vec<Text>,
    /// Empty in 3.1.1.
    pub user_properties: UserProperties,
}

/// The answer to UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsubAck {
    /// The UNSUBSCRIBE's.
    pub packet_id: PacketId,
    /// For each filter in its order. Empty in 3.1.1, which has none.
    pub reasons: Vec<ReasonCode>,
    /// Empty in 3.1.1.
    pub properties: AckProperties,
}

impl Unsubscribe {
    pub(super) fn decode(mut fields: Reader, version: Version, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let packet_id = fields.packet_id()?;
        let user_properties = match version {
            Version::V311 => UserProperties::new(),
            Version::V5 => decode_user_properties(&mut fields, limits)?,
        };
        let mut filters = Vec::new();
        while !fields.is_empty() {
            if filters.len() >= limits.filters_max {
                return Err(Malformed::TooManyFilters { limit: limits.filters_max });
            }
            let filter = fields.text()?;
            check_filter(&filter, version, limits)?;
            filters.push(filter);
        }
        if filters.is_empty() {
            return Err(Malformed::NoEntries { packet: PacketType::Unsubscribe });
        }
        Ok(Self { packet_id, filters, user_properties })
    }

    pub(super) fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        let packet = PacketType::Unsubscribe;
        if self.filters.is_empty() {
            return Err(Unencodable::NoEntries { packet });
        }
        writer::packet(out, packet, packet.fixed_flags(), &[], |out| {
            out.put_u16(self.packet_id.get());
            if version == Version::V5 {
                property::block(out, |out| {
                    property::put_user(out, &self.user_properties);
                    Ok(())
                })?;
            }
            for filter in &self.filters {
                writer::text(out, filter);
            }
            Ok(())
        })
    }
}

fn decode_user_properties(fields: &mut Reader, limits: &DecodeLimits) -> Result<UserProperties, Malformed> {
    let mut block = PropertyBlock::read(fields, limits)?;
    let mut user_properties = UserProperties::new();
    while let Some(identifier) = block.next()? {
        match identifier {
            property::USER_PROPERTY => block.user(&mut user_properties)?,
            _ => return Err(Malformed::Property { identifier }),
        }
    }
    Ok(user_properties)
}

impl UnsubAck {
    pub(super) fn decode(mut fields: Reader, version: Version, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let packet = PacketType::UnsubAck;
        let packet_id = fields.packet_id()?;
        if version == Version::V311 {
            fields.finish()?;
            return Ok(Self { packet_id, reasons: Vec::new(), properties: AckProperties::default() });
        }
        let properties = AckProperties::decode(&mut fields, limits)?;
        let codes = fields.into_rest();
        if codes.is_empty() {
            return Err(Malformed::NoEntries { packet });
        }
        let reasons = codes.iter().map(|code| decode_reason(packet, *code)).collect::<Result<_, _>>()?;
        Ok(Self { packet_id, reasons, properties })
    }

    pub(super) fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        let packet = PacketType::UnsubAck;
        if version == Version::V5 && self.reasons.is_empty() {
            return Err(Unencodable::NoEntries { packet });
        }
        writer::packet(out, packet, 0, &[], |out| {
            out.put_u16(self.packet_id.get());
            if version == Version::V311 {
                return Ok(());
            }
            self.properties.encode(out)?;
            for reason in &self.reasons {
                encode_reason(packet, *reason)?;
                out.put_u8((*reason).into());
            }
            Ok(())
        })
    }
}
