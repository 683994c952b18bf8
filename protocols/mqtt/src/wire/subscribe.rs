//! SUBSCRIBE and SUBACK (§3.8, §3.9).

use bytes::{BufMut, BytesMut};

use super::ack::{AckProperties, decode_reason, encode_reason};
use super::error::{Malformed, Unencodable};
use super::fixed_header::PacketType;
use super::property::{self, PropertyBlock, UserProperties};
use super::quality::{PacketId, QoS};
use super::reader::Reader;
use super::reason::ReasonCode;
use super::text::Text;
use super::topic::{check_filter, is_shared};
use super::{DecodeLimits, writer};
use crate::Version;

/// A wish for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// To be repeated in SUBACK.
    pub packet_id: PacketId,
    /// At least one.
    pub filters: Vec<SubscribeFilter>,
    /// Empty in 3.1.1.
    pub properties: SubscribeProperties,
}

/// One filter of a SUBSCRIBE with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeFilter {
    /// Which topics.
    pub filter: Text,
    /// The most that messages may be sent with.
    pub qos: QoS,
    /// Version 5: not the client's own messages.
    pub no_local: bool,
    /// Version 5: forward the retain flag as it came.
    pub retain_as_published: bool,
    /// Version 5: when retained messages are sent.
    pub retain_handling: RetainHandling,
}

/// When a subscription is answered with retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// 0: at every SUBSCRIBE.
    #[default]
    Send = 0,
    /// 1: when the subscription is new.
    SendIfNew = 1,
    /// 2: never.
    DoNotSend = 2,
}

/// Properties of SUBSCRIBE (MQTT 5 §3.8.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscribeProperties {
    /// Comes back in every message that these subscriptions match, from 1.
    pub subscription_id: Option<u32>,
    /// The application's own.
    pub user_properties: UserProperties,
}

/// The answer to SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// The SUBSCRIBE's.
    pub packet_id: PacketId,
    /// For each filter in its order, the granted QoS or why not. 3.1.1 knows one failure only,
    /// [`ReasonCode::UnspecifiedError`], and every other is written as it.
    pub results: Vec<Result<QoS, ReasonCode>>,
    /// Empty in 3.1.1.
    pub properties: AckProperties,
}

impl Subscribe {
    pub(super) fn decode(mut fields: Reader, version: Version, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let packet_id = fields.packet_id()?;
        let properties = match version {
            Version::V311 => SubscribeProperties::default(),
            Version::V5 => SubscribeProperties::decode(&mut fields, limits)?,
        };
        let mut filters = Vec::new();
        while !fields.is_empty() {
            if filters.len() >= limits.filters_max {
                return Err(Malformed::TooManyFilters { limit: limits.filters_max });
            }
            filters.push(SubscribeFilter::decode(&mut fields, version, limits)?);
        }
        if filters.is_empty() {
            return Err(Malformed::NoEntries { packet: PacketType::Subscribe });
        }
        Ok(Self { packet_id, filters, properties })
    }

    pub(super) fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        let packet = PacketType::Subscribe;
        if self.filters.is_empty() {
            return Err(Unencodable::NoEntries { packet });
        }
        writer::packet(out, packet, packet.fixed_flags(), &[], |out| {
            out.put_u16(self.packet_id.get());
            if version == Version::V5 {
                self.properties.encode(out)?;
            }
            for filter in &self.filters {
                writer::text(out, &filter.filter);
                out.put_u8(filter.options(version));
            }
            Ok(())
        })
    }
}

impl SubscribeFilter {
    /// A filter without the options of version 5.
    pub fn new(filter: Text, qos: QoS) -> Self {
        Self { filter, qos, no_local: false, retain_as_published: false, retain_handling: RetainHandling::Send }
    }

    fn decode(fields: &mut Reader, version: Version, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let filter = fields.text()?;
        check_filter(&filter, version, limits)?;
        let options = fields.u8()?;
        let invalid = Malformed::SubscribeOptions { options };
        let qos = QoS::from_bits(options & 0b11).ok_or(invalid)?;
        let reserved = match version {
            Version::V311 => 0b1111_1100,
            Version::V5 => 0b1100_0000,
        };
        if options & reserved != 0 {
            return Err(invalid);
        }
        let no_local = options & 0b100 != 0;
        if no_local && is_shared(&filter) {
            return Err(Malformed::NoLocalShared);
        }
        let retain_handling = match options >> 4 & 0b11 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(invalid),
        };
        Ok(Self { filter, qos, no_local, retain_as_published: options & 0b1000 != 0, retain_handling })
    }

    fn options(&self, version: Version) -> u8 {
        let qos = self.qos as u8;
        match version {
            Version::V311 => qos,
            Version::V5 => (self.retain_handling as u8) << 4 | u8::from(self.retain_as_published) << 3 | u8::from(self.no_local) << 2 | qos,
        }
    }
}

impl SubscribeProperties {
    fn decode(fields: &mut Reader, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let mut block = PropertyBlock::read(fields, limits)?;
        let mut this = Self::default();
        while let Some(identifier) = block.next()? {
            match identifier {
                property::SUBSCRIPTION_IDENTIFIER => this.subscription_id = Some(block.subscription_id()?),
                property::USER_PROPERTY => block.user(&mut this.user_properties)?,
                _ => return Err(Malformed::Property { identifier }),
            }
        }
        Ok(this)
    }

    fn encode(&self, out: &mut BytesMut) -> Result<(), Unencodable> {
        property::block(out, |out| {
            if let Some(number) = self.subscription_id {
                property::put_subscription_id(out, number)?;
            }
            property::put_user(out, &self.user_properties);
            Ok(())
        })
    }
}

impl SubAck {
    pub(super) fn decode(mut fields: Reader, version: Version, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let packet_id = fields.packet_id()?;
        let properties = match version {
            Version::V311 => AckProperties::default(),
            Version::V5 => AckProperties::decode(&mut fields, limits)?,
        };
        let codes = fields.into_rest();
        if codes.is_empty() {
            return Err(Malformed::NoEntries { packet: PacketType::SubAck });
        }
        let results = codes.iter().map(|code| decode_result(*code, version)).collect::<Result<_, _>>()?;
        Ok(Self { packet_id, results, properties })
    }

    pub(super) fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        let packet = PacketType::SubAck;
        if self.results.is_empty() {
            return Err(Unencodable::NoEntries { packet });
        }
        writer::packet(out, packet, 0, &[], |out| {
            out.put_u16(self.packet_id.get());
            if version == Version::V5 {
                self.properties.encode(out)?;
            }
            for result in &self.results {
                out.put_u8(encode_result(*result, version)?);
            }
            Ok(())
        })
    }
}

fn decode_result(code: u8, version: Version) -> Result<Result<QoS, ReasonCode>, Malformed> {
    if let Some(qos) = QoS::from_bits(code) {
        return Ok(Ok(qos));
    }
    let reason = decode_reason(PacketType::SubAck, code)?;
    if version == Version::V311 && reason != ReasonCode::UnspecifiedError {
        return Err(Malformed::Code { packet: PacketType::SubAck, code });
    }
    Ok(Err(reason))
}

fn encode_result(result: Result<QoS, ReasonCode>, version: Version) -> Result<u8, Unencodable> {
    match (result, version) {
        (Ok(qos), _) => Ok(qos as u8),
        (Err(_), Version::V311) => Ok(ReasonCode::UnspecifiedError.into()),
        (Err(reason), Version::V5) if !reason.is_error() => Err(Unencodable::Code { packet: PacketType::SubAck, reason }),
        (Err(reason), Version::V5) => encode_reason(PacketType::SubAck, reason).map(|()| reason.into()),
    }
}
