//! CONNECT (§3.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::error::{Malformed, Unencodable};
use super::fixed_header::PacketType;
use super::property::{self, PropertyBlock, UserProperties};
use super::quality::QoS;
use super::reader::Reader;
use super::text::Text;
use super::topic::check_name;
use super::varint::{self, Varint};
use super::{DecodeLimits, writer};
use crate::Version;

const USERNAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;
const RESERVED: u8 = 0x01;

/// A client introduces itself. Decoded, it has memory of its own: keeping a part of it keeps no
/// read buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// The version that the client speaks from here on.
    pub version: Version,
    /// May be empty: the server then assigns one.
    pub client_id: Text,
    /// Forget an earlier session. 3.1.1 calls it clean session, and then also forgets this one when
    /// it ends.
    pub clean_start: bool,
    /// The client's longest silence in seconds; 0 for any.
    pub keep_alive_seconds: u16,
    /// Who connects.
    pub username: Option<Text>,
    /// How they prove it.
    pub password: Option<Bytes>,
    /// To be published if the connection ends without a DISCONNECT.
    pub will: Option<Will>,
    /// Empty in 3.1.1.
    pub properties: ConnectProperties,
}

/// A message that the server publishes for a client that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where it goes.
    pub topic: Text,
    /// What it says.
    pub payload: Bytes,
    /// How often it may arrive.
    pub qos: QoS,
    /// To be kept for later subscribers.
    pub retain: bool,
    /// Empty in 3.1.1.
    pub properties: WillProperties,
}

/// Properties of a will (MQTT 5 §3.1.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WillProperties {
    /// Seconds between the connection's end and the will, unless the session resumes.
    pub delay_interval: Option<u32>,
    /// Some(true): the payload is UTF-8 text.
    pub payload_format_utf8: Option<bool>,
    /// Seconds for which the message is of use.
    pub message_expiry_interval: Option<u32>,
    /// What the payload is.
    pub content_type: Option<Text>,
    /// Where an answer goes.
    pub response_topic: Option<Text>,
    /// What an answer repeats.
    pub correlation_data: Option<Bytes>,
    /// The application's own.
    pub user_properties: UserProperties,
}

/// Properties of CONNECT (MQTT 5 §3.1.2.11).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectProperties {
    /// Seconds that the session outlives the connection; 0xFFFFFFFF for ever; None is 0.
    pub session_expiry_interval: Option<u32>,
    /// Unacknowledged QoS 1 and 2 messages that the client takes, from 1; None is 65,535.
    pub receive_maximum: Option<u16>,
    /// The largest packet that the client takes, in bytes, from 1.
    pub maximum_packet_size: Option<u32>,
    /// The largest topic alias that the client takes; None is 0.
    pub topic_alias_maximum: Option<u16>,
    /// Whether CONNACK may carry response information.
    pub request_response_information: Option<bool>,
    /// Whether acknowledgements may carry reason strings and user properties; None is yes.
    pub request_problem_information: Option<bool>,
    /// The application's own.
    pub user_properties: UserProperties,
    /// The method of extended authentication.
    pub authentication_method: Option<Text>,
    /// The method's data.
    pub authentication_data: Option<Bytes>,
}

impl Connect {
    /// `minimal_length` tells whether the fixed header was written as short as version 5 demands.
    pub(super) fn decode(mut fields: Reader, minimal_length: bool, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let version = decode_version(&mut fields)?;
        if version == Version::V5 && !minimal_length {
            return Err(Malformed::VarintNotMinimal);
        }
        let flags = Flags::decode(fields.u8()?, version)?;
        let keep_alive_seconds = fields.u16()?;
        let properties = match version {
            Version::V311 => ConnectProperties::default(),
            Version::V5 => ConnectProperties::decode(&mut PropertyBlock::read(&mut fields, limits)?)?,
        };
        let this = Self {
            version,
            client_id: fields.text()?,
            clean_start: flags.clean_start,
            keep_alive_seconds,
            will: flags.will.map(|(qos, retain)| Will::decode(&mut fields, qos, retain, version, limits)).transpose()?,
            username: flags.username.then(|| fields.text()).transpose()?,
            password: flags.password.then(|| fields.binary()).transpose()?,
            properties,
        };
        fields.finish()?;
        Ok(this)
    }

    pub(super) fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        if version != self.version {
            return Err(Unencodable::OtherVersion);
        }
        writer::packet(out, PacketType::Connect, 0, &[], |out| {
            out.put_slice(b"\0\x04MQTT");
            out.put_u8(version.level());
            out.put_u8(self.flags());
            out.put_u16(self.keep_alive_seconds);
            if version == Version::V5 {
                property::block(out, |out| self.properties.encode(out))?;
            }
            writer::text(out, &self.client_id);
            if let Some(will) = &self.will {
                will.encode(version, out)?;
            }
            if let Some(username) = &self.username {
                writer::text(out, username);
            }
            match &self.password {
                Some(password) => writer::binary(out, password),
                None => Ok(()),
            }
        })
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.username.is_some() {
            flags |= USERNAME;
        }
        if self.password.is_some() {
            flags |= PASSWORD;
        }
        if self.clean_start {
            flags |= CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= WILL | (will.qos as u8) << 3;
            if will.retain {
                flags |= WILL_RETAIN;
            }
        }
        flags
    }
}

/// The protocol's name and level. A level that is not ours is told apart, because it has an answer.
fn decode_version(fields: &mut Reader) -> Result<Version, Malformed> {
    let name = fields.binary()?;
    if name != "MQTT" && name != "MQIsdp" {
        return Err(Malformed::ProtocolName);
    }
    match (name == "MQTT", fields.u8()?) {
        (true, 4) => Ok(Version::V311),
        (true, 5) => Ok(Version::V5),
        (_, level) => Err(Malformed::UnsupportedLevel { level }),
    }
}

/// The level that the CONNECT at the front of `bytes` asks for, once it has arrived. An answer to a
/// CONNECT that cannot be read is written in the version it announced.
pub(crate) fn announced_level(bytes: &[u8]) -> Option<u8> {
    let (_, after_type) = bytes.split_first()?;
    match varint::read(after_type) {
        Varint::Value { width, .. } => after_type.get(width..)?.strip_prefix(b"\0\x04MQTT")?.first().copied(),
        Varint::Incomplete | Varint::TooLong => None,
    }
}

/// CONNECT's flags byte.
struct Flags {
    username: bool,
    password: bool,
    /// QoS and retain.
    will: Option<(QoS, bool)>,
    clean_start: bool,
}

impl Flags {
    fn decode(flags: u8, version: Version) -> Result<Self, Malformed> {
        if flags & RESERVED != 0 {
            return Err(Malformed::ConnectReserved);
        }
        let username = flags & USERNAME != 0;
        let password = flags & PASSWORD != 0;
        if version == Version::V311 && password && !username {
            return Err(Malformed::PasswordWithoutUsername);
        }
        let qos = QoS::from_bits(flags >> 3 & 0b11).ok_or(Malformed::WillFlags)?;
        let retain = flags & WILL_RETAIN != 0;
        let will = flags & WILL != 0;
        if !will && (retain || qos != QoS::AtMostOnce) {
            return Err(Malformed::WillFlags);
        }
        Ok(Self { username, password, will: will.then_some((qos, retain)), clean_start: flags & CLEAN_START != 0 })
    }
}

impl Will {
    fn decode(fields: &mut Reader, qos: QoS, retain: bool, version: Version, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let properties = match version {
            Version::V311 => WillProperties::default(),
            Version::V5 => WillProperties::decode(&mut PropertyBlock::read(fields, limits)?)?,
        };
        let topic = fields.text()?;
        check_name(&topic, false)?;
        Ok(Self { topic, payload: fields.binary()?, qos, retain, properties })
    }

    fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        check_name(&self.topic, false)?;
        if version == Version::V5 {
            property::block(out, |out| self.properties.encode(out))?;
        }
        writer::text(out, &self.topic);
        writer::binary(out, &self.payload)
    }
}

impl WillProperties {
    fn decode(block: &mut PropertyBlock<'_>) -> Result<Self, Malformed> {
        let mut this = Self::default();
        while let Some(identifier) = block.next()? {
            match identifier {
                property::WILL_DELAY_INTERVAL => this.delay_interval = Some(block.u32(identifier)?),
                property::PAYLOAD_FORMAT_INDICATOR => this.payload_format_utf8 = Some(block.boolean(identifier)?),
                property::MESSAGE_EXPIRY_INTERVAL => this.message_expiry_interval = Some(block.u32(identifier)?),
                property::CONTENT_TYPE => this.content_type = Some(block.text(identifier)?),
                property::RESPONSE_TOPIC => this.response_topic = Some(block.topic(identifier)?),
                property::CORRELATION_DATA => this.correlation_data = Some(block.binary(identifier)?),
                property::USER_PROPERTY => block.user(&mut this.user_properties)?,
                _ => return Err(Malformed::Property { identifier }),
            }
        }
        Ok(this)
    }

    fn encode(&self, out: &mut BytesMut) -> Result<(), Unencodable> {
        property::put_u32(out, property::WILL_DELAY_INTERVAL, self.delay_interval);
        property::put_boolean(out, property::PAYLOAD_FORMAT_INDICATOR, self.payload_format_utf8);
        property::put_u32(out, property::MESSAGE_EXPIRY_INTERVAL, self.message_expiry_interval);
        property::put_text(out, property::CONTENT_TYPE, self.content_type.as_ref());
        property::put_topic(out, property::RESPONSE_TOPIC, self.response_topic.as_ref())?;
        property::put_binary(out, property::CORRELATION_DATA, self.correlation_data.as_ref())?;
        property::put_user(out, &self.user_properties);
        Ok(())
    }
}

impl ConnectProperties {
    fn decode(block: &mut PropertyBlock<'_>) -> Result<Self, Malformed> {
        let mut this = Self::default();
        while let Some(identifier) = block.next()? {
            match identifier {
                property::SESSION_EXPIRY_INTERVAL => this.session_expiry_interval = Some(block.u32(identifier)?),
                property::RECEIVE_MAXIMUM => this.receive_maximum = Some(block.nonzero_u16(identifier)?),
                property::MAXIMUM_PACKET_SIZE => this.maximum_packet_size = Some(block.nonzero_u32(identifier)?),
                property::TOPIC_ALIAS_MAXIMUM => this.topic_alias_maximum = Some(block.u16(identifier)?),
                property::REQUEST_RESPONSE_INFORMATION => {
                    this.request_response_information = Some(block.boolean(identifier)?);
                }
                property::REQUEST_PROBLEM_INFORMATION => {
                    this.request_problem_information = Some(block.boolean(identifier)?);
                }
                property::USER_PROPERTY => block.user(&mut this.user_properties)?,
                property::AUTHENTICATION_METHOD => this.authentication_method = Some(block.text(identifier)?),
                property::AUTHENTICATION_DATA => this.authentication_data = Some(block.binary(identifier)?),
                _ => return Err(Malformed::Property { identifier }),
            }
        }
        if this.authentication_data.is_some() && this.authentication_method.is_none() {
            return Err(Malformed::AuthenticationMethodMissing);
        }
        Ok(this)
    }

    fn encode(&self, out: &mut BytesMut) -> Result<(), Unencodable> {
        property::check_nonzero(property::RECEIVE_MAXIMUM, self.receive_maximum == Some(0))?;
        property::check_nonzero(property::MAXIMUM_PACKET_SIZE, self.maximum_packet_size == Some(0))?;
        if self.authentication_data.is_some() && self.authentication_method.is_none() {
            return Err(Unencodable::PropertyValue { identifier: property::AUTHENTICATION_DATA });
        }
        property::put_u32(out, property::SESSION_EXPIRY_INTERVAL, self.session_expiry_interval);
        property::put_u16(out, property::RECEIVE_MAXIMUM, self.receive_maximum);
        property::put_u32(out, property::MAXIMUM_PACKET_SIZE, self.maximum_packet_size);
        property::put_u16(out, property::TOPIC_ALIAS_MAXIMUM, self.topic_alias_maximum);
        property::put_boolean(out, property::REQUEST_RESPONSE_INFORMATION, self.request_response_information);
        property::put_boolean(out, property::REQUEST_PROBLEM_INFORMATION, self.request_problem_information);
        property::put_user(out, &self.user_properties);
        property::put_text(out, property::AUTHENTICATION_METHOD, self.authentication_method.as_ref());
        property::put_binary(out, property::AUTHENTICATION_DATA, self.authentication_data.as_ref())
    }
}
