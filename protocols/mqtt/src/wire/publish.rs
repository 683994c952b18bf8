//! PUBLISH (§3.3).

use bytes::{BufMut, Bytes, BytesMut};

use super::error::{Malformed, Unencodable};
use super::fixed_header::{FixedHeader, PacketType};
use super::property::{self, PropertyBlock, UserProperties};
use super::quality::{PacketId, QoS};
use super::reader::Reader;
use super::text::Text;
use super::topic::{InvalidTopic, check_name};
use super::{DecodeLimits, Sender, writer};
use crate::Version;

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Publish {
    /// Where it goes. Empty only in version 5 with a topic alias.
    pub topic: Text,
    /// What it says.
    pub payload: Bytes,
    /// How often it may arrive.
    pub qos: QoS,
    /// From a client: to be kept for later subscribers. From a server: was kept.
    pub retain: bool,
    /// It may have been sent before.
    pub dup: bool,
    /// Present for QoS 1 and 2, and only there.
    pub packet_id: Option<PacketId>,
    /// Empty in 3.1.1.
    pub properties: PublishProperties,
}

/// Properties of a message (MQTT 5 §3.3.2.3). The default, without any, allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PublishProperties {
    /// Some(true): the payload is UTF-8 text. Some(false) or None: bytes.
    pub payload_format_utf8: Option<bool>,
    /// Seconds for which the message is of use.
    pub message_expiry_interval: Option<u32>,
    /// A number for the topic, from 1.
    pub topic_alias: Option<u16>,
    /// Where an answer goes.
    pub response_topic: Option<Text>,
    /// What an answer repeats.
    pub correlation_data: Option<Bytes>,
    /// The application's own.
    pub user_properties: UserProperties,
    /// From a server: of the subscriptions that matched, from 1.
    pub subscription_ids: Vec<u32>,
    /// What the payload is.
    pub content_type: Option<Text>,
}

impl PublishProperties {
    fn decode(block: &mut PropertyBlock<'_>, sender: Sender) -> Result<Self, Malformed> {
        let mut this = Self::default();
        while let Some(identifier) = block.next()? {
            match identifier {
                property::PAYLOAD_FORMAT_INDICATOR => this.payload_format_utf8 = Some(block.boolean(identifier)?),
                property::MESSAGE_EXPIRY_INTERVAL => this.message_expiry_interval = Some(block.u32(identifier)?),
                property::TOPIC_ALIAS => this.topic_alias = Some(block.nonzero_u16(identifier)?),
                property::RESPONSE_TOPIC => this.response_topic = Some(block.topic(identifier)?),
                property::CORRELATION_DATA => this.correlation_data = Some(block.binary(identifier)?),
                property::USER_PROPERTY => block.user(&mut this.user_properties)?,
                property::SUBSCRIPTION_IDENTIFIER if sender == Sender::Server => {
                    this.subscription_ids.push(block.subscription_ids()?);
                }
                property::CONTENT_TYPE => this.content_type = Some(block.text(identifier)?),
                _ => return Err(Malformed::Property { identifier }),
            }
        }
        Ok(this)
    }

    fn is_empty(&self) -> bool {
        let Self {
            payload_format_utf8,
            message_expiry_interval,
            topic_alias,
            response_topic,
            correlation_data,
            user_properties,
            subscription_ids,
            content_type,
        } = self;
        payload_format_utf8.is_none()
            && message_expiry_interval.is_none()
            && topic_alias.is_none()
            && response_topic.is_none()
            && correlation_data.is_none()
            && user_properties.is_empty()
            && subscription_ids.is_empty()
            && content_type.is_none()
    }

    fn encode(&self, out: &mut BytesMut) -> Result<(), Unencodable> {
        property::check_nonzero(property::TOPIC_ALIAS, self.topic_alias == Some(0))?;
        property::put_boolean(out, property::PAYLOAD_FORMAT_INDICATOR, self.payload_format_utf8);
        property::put_u32(out, property::MESSAGE_EXPIRY_INTERVAL, self.message_expiry_interval);
        property::put_u16(out, property::TOPIC_ALIAS, self.topic_alias);
        property::put_topic(out, property::RESPONSE_TOPIC, self.response_topic.as_ref())?;
        property::put_binary(out, property::CORRELATION_DATA, self.correlation_data.as_ref())?;
        property::put_user(out, &self.user_properties);
        for number in &self.subscription_ids {
            property::put_subscription_id(out, *number)?;
        }
        property::put_text(out, property::CONTENT_TYPE, self.content_type.as_ref());
        Ok(())
    }
}

impl Publish {
    #[inline]
    pub(super) fn decode(
        header: &FixedHeader,
        mut fields: Reader,
        version: Version,
        sender: Sender,
        limits: &DecodeLimits,
    ) -> Result<Self, Malformed> {
        let qos = QoS::from_bits(header.flags >> 1 & 0b11).ok_or(Malformed::Qos)?;
        let dup = header.flags & 0b1000 != 0;
        if dup && qos == QoS::AtMostOnce {
            return Err(Malformed::DuplicateWithoutQos);
        }
        let topic = fields.text()?;
        check_name(&topic, version == Version::V5)?;
        let packet_id = if qos == QoS::AtMostOnce { None } else { Some(fields.packet_id()?) };
        let properties = match version {
            Version::V311 => PublishProperties::default(),
            Version::V5 => PublishProperties::decode(&mut PropertyBlock::read(&mut fields, limits)?, sender)?,
        };
        if topic.is_empty() && properties.topic_alias.is_none() {
            return Err(InvalidTopic::Empty.into());
        }
        let retain = header.flags & 1 != 0;
        Ok(Self { topic, payload: fields.into_rest(), qos, retain, dup, packet_id, properties })
    }

    #[inline]
    pub(super) fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        encode_publish(&self.into(), version, out)
    }
}

/// A PUBLISH about to be written, whose parts need not lie in one [`Publish`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishParts<'a> {
    pub(crate) topic: &'a Text,
    pub(crate) payload: &'a Bytes,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) packet_id: Option<PacketId>,
    pub(crate) properties: &'a PublishProperties,
}

impl<'a> From<&'a Publish> for PublishParts<'a> {
    fn from(publish: &'a Publish) -> Self {
        let Publish { topic, payload, qos, retain, dup, packet_id, properties } = publish;
        Self { topic, payload, qos: *qos, retain: *retain, dup: *dup, packet_id: *packet_id, properties }
    }
}

/// Writes a PUBLISH.
#[inline]
pub(crate) fn encode_publish(publish: &PublishParts<'_>, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
    check_name(publish.topic, version == Version::V5 && publish.properties.topic_alias.is_some())?;
    if (publish.qos == QoS::AtMostOnce) != publish.packet_id.is_none() {
        return Err(Unencodable::PacketId);
    }
    if publish.dup && publish.qos == QoS::AtMostOnce {
        return Err(Unencodable::DuplicateWithoutQos);
    }
    let flags = u8::from(publish.dup) << 3 | (publish.qos as u8) << 1 | u8::from(publish.retain);
    out.reserve(publish.topic.len() + publish.payload.len() + 16);
    writer::packet(out, PacketType::Publish, flags, publish.payload, |out| {
        writer::text(out, publish.topic);
        if let Some(packet_id) = publish.packet_id {
            out.put_u16(packet_id.get());
        }
        match version {
            Version::V311 => Ok(()),
            Version::V5 if publish.properties.is_empty() => {
                out.put_u8(0);
                Ok(())
            }
            Version::V5 => property::block(out, |out| publish.properties.encode(out)),
        }
    })
}
