//! Properties of MQTT 5 (§2.2.2): identifiers, and reading and writing a block of them.

use bytes::{BufMut, Bytes, BytesMut};

use super::error::{Malformed, Unencodable};
use super::reader::Reader;
use super::text::Text;
use super::topic::check_name;
use super::{DecodeLimits, varint, writer};

pub(super) const PAYLOAD_FORMAT_INDICATOR: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY_INTERVAL: u8 = 0x02;
pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const CORRELATION_DATA: u8 = 0x09;
pub(super) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
pub(super) const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT_IDENTIFIER: u8 = 0x12;
pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(super) const AUTHENTICATION_METHOD: u8 = 0x15;
pub(super) const AUTHENTICATION_DATA: u8 = 0x16;
pub(super) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
pub(super) const WILL_DELAY_INTERVAL: u8 = 0x18;
pub(super) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
pub(super) const RESPONSE_INFORMATION: u8 = 0x1a;
pub(super) const SERVER_REFERENCE: u8 = 0x1c;
pub(super) const REASON_STRING: u8 = 0x1f;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
pub(super) const MAXIMUM_QOS: u8 = 0x24;
pub(super) const RETAIN_AVAILABLE: u8 = 0x25;
pub(super) const USER_PROPERTY: u8 = 0x26;
pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
pub(super) const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 0x28;
pub(super) const SUBSCRIPTION_IDENTIFIER_AVAILABLE: u8 = 0x29;
pub(super) const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2a;

/// Name and value pairs of the application, in their order; names may repeat.
pub type UserProperties = Vec<(Text, Text)>;

/// A property block being read. Every property but those of the user may occur once, unless the
/// packet says otherwise.
#[derive(Debug)]
pub(super) struct PropertyBlock<'a> {
    reader: Reader,
    limits: &'a DecodeLimits,
    seen: u64,
}

impl<'a> PropertyBlock<'a> {
    /// Cuts the block off the front of a version 5 packet's fields.
    #[inline]
    pub(super) fn read(packet: &mut Reader, limits: &'a DecodeLimits) -> Result<Self, Malformed> {
        let length = packet.varint()?;
        Ok(Self { reader: Reader::new(packet.take(length as usize)?), limits, seen: 0 })
    }

    /// The next property's identifier; None at the end of the block. Its value must be read next.
    ///
    /// The identifiers all fit one byte, and a longer form of a variable byte integer is malformed,
    /// so a byte is all that is read.
    pub(super) fn next(&mut self) -> Result<Option<u8>, Malformed> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let identifier = self.reader.u8()?;
        if identifier > SHARED_SUBSCRIPTION_AVAILABLE {
            return Err(Malformed::Property { identifier });
        }
        Ok(Some(identifier))
    }

    /// Marks a property as seen; the second time is an error.
    fn once(&mut self, identifier: u8) -> Result<(), Malformed> {
        let bit = 1 << identifier;
        if self.seen & bit != 0 {
            return Err(Malformed::PropertyRepeated { identifier });
        }
        self.seen |= bit;
        Ok(())
    }

    pub(super) fn boolean(&mut self, identifier: u8) -> Result<bool, Malformed> {
        self.once(identifier)?;
        match self.reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::PropertyValue { identifier }),
        }
    }

    pub(super) fn u16(&mut self, identifier: u8) -> Result<u16, Malformed> {
        self.once(identifier)?;
        self.reader.u16()
    }

    pub(super) fn nonzero_u16(&mut self, identifier: u8) -> Result<u16, Malformed> {
        match self.u16(identifier)? {
            0 => Err(Malformed::PropertyValue { identifier }),
            number => Ok(number),
        }
    }

    pub(super) fn u32(&mut self, identifier: u8) -> Result<u32, Malformed> {
        self.once(identifier)?;
        self.reader.u32()
    }

    pub(super) fn nonzero_u32(&mut self, identifier: u8) -> Result<u32, Malformed> {
        match self.u32(identifier)? {
            0 => Err(Malformed::PropertyValue { identifier }),
            number => Ok(number),
        }
    }

    pub(super) fn text(&mut self, identifier: u8) -> Result<Text, Malformed> {
        self.once(identifier)?;
        self.reader.text()
    }

    /// A response topic: a topic name.
    pub(super) fn topic(&mut self, identifier: u8) -> Result<Text, Malformed> {
        let topic = self.text(identifier)?;
        check_name(&topic, false)?;
        Ok(topic)
    }

    pub(super) fn binary(&mut self, identifier: u8) -> Result<Bytes, Malformed> {
        self.once(identifier)?;
        self.reader.binary()
    }

    /// The subscription identifier of a SUBSCRIBE, at most one.
    pub(super) fn subscription_id(&mut self) -> Result<u32, Malformed> {
        self.once(SUBSCRIPTION_IDENTIFIER)?;
        self.subscription_ids()
    }

    /// A subscription identifier of a PUBLISH from a server, one for every subscription that
    /// matched.
    pub(super) fn subscription_ids(&mut self) -> Result<u32, Malformed> {
        match self.reader.varint()? {
            0 => Err(Malformed::PropertyValue { identifier: SUBSCRIPTION_IDENTIFIER }),
            number => Ok(number),
        }
    }

    pub(super) fn user(&mut self, properties: &mut UserProperties) -> Result<(), Malformed> {
        let limit = self.limits.user_properties_max;
        if properties.len() >= limit {
            return Err(Malformed::TooManyUserProperties { limit });
        }
        let name = self.reader.text()?;
        properties.push((name, self.reader.text()?));
        Ok(())
    }
}

/// Writes a property block with its length.
#[inline]
pub(super) fn block(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut) -> Result<(), Unencodable>) -> Result<(), Unencodable> {
    writer::length_prefixed(out, 0, body)
}

pub(super) fn put_boolean(out: &mut BytesMut, identifier: u8, value: Option<bool>) {
    if let Some(value) = value {
        out.put_u8(identifier);
        out.put_u8(u8::from(value));
    }
}

pub(super) fn put_u16(out: &mut BytesMut, identifier: u8, value: Option<u16>) {
    if let Some(value) = value {
        out.put_u8(identifier);
        out.put_u16(value);
    }
}

pub(super) fn put_u32(out: &mut BytesMut, identifier: u8, value: Option<u32>) {
    if let Some(value) = value {
        out.put_u8(identifier);
        out.put_u32(value);
    }
}

pub(super) fn put_text(out: &mut BytesMut, identifier: u8, value: Option<&Text>) {
    if let Some(value) = value {
        out.put_u8(identifier);
        writer::text(out, value);
    }
}

pub(super) fn put_topic(out: &mut BytesMut, identifier: u8, value: Option<&Text>) -> Result<(), Unencodable> {
    if let Some(topic) = value {
        check_name(topic, false)?;
    }
    put_text(out, identifier, value);
    Ok(())
}

pub(super) fn put_binary(out: &mut BytesMut, identifier: u8, value: Option<&Bytes>) -> Result<(), Unencodable> {
    match value {
        Some(value) => {
            out.put_u8(identifier);
            writer::binary(out, value)
        }
        None => Ok(()),
    }
}

pub(super) fn put_subscription_id(out: &mut BytesMut, number: u32) -> Result<(), Unencodable> {
    if number == 0 || number > super::VARINT_MAX {
        return Err(Unencodable::PropertyValue { identifier: SUBSCRIPTION_IDENTIFIER });
    }
    let mut place = [0; 4];
    let width = varint::width(number as usize);
    out.put_u8(SUBSCRIPTION_IDENTIFIER);
    if let Some(place) = place.get_mut(..width) {
        varint::write(number as usize, place);
        out.put_slice(place);
    }
    Ok(())
}

pub(super) fn put_user(out: &mut BytesMut, properties: &UserProperties) {
    for (name, value) in properties {
        out.put_u8(USER_PROPERTY);
        writer::text(out, name);
        writer::text(out, value);
    }
}

/// Refuses a zero where the standard has none.
pub(super) fn check_nonzero(identifier: u8, is_zero: bool) -> Result<(), Unencodable> {
    if is_zero { Err(Unencodable::PropertyValue { identifier }) } else { Ok(()) }
}
