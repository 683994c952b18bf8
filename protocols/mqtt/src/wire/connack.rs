//! CONNACK (§3.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::ack::{decode_reason, encode_reason};
use super::error::{Malformed, Unencodable};
use super::fixed_header::PacketType;
use super::property::{self, PropertyBlock, UserProperties};
use super::quality::QoS;
use super::reader::Reader;
use super::reason::{ConnectReturnCode, ReasonCode};
use super::text::Text;
use super::{DecodeLimits, writer};
use crate::Version;

/// The answer to CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    /// An earlier session goes on. Only together with success.
    pub session_present: bool,
    /// The verdict, in the version's own codes.
    pub code: ConnAckCode,
    /// Empty in 3.1.1.
    pub properties: ConnAckProperties,
}

/// CONNACK's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnAckCode {
    /// In 3.1.1.
    Return(ConnectReturnCode),
    /// In 5.
    Reason(ReasonCode),
}

/// Properties of CONNACK (MQTT 5 §3.2.2.3). None is the standard's default everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnAckProperties {
    /// Seconds that the session outlives the connection, if not what the client asked for.
    pub session_expiry_interval: Option<u32>,
    /// Unacknowledged QoS 1 and 2 messages that the server takes, from 1.
    pub receive_maximum: Option<u16>,
    /// The best QoS that the server has: 0 or 1; 2 is said by saying nothing.
    pub maximum_qos: Option<QoS>,
    /// Whether messages can be retained.
    pub retain_available: Option<bool>,
    /// The largest packet that the server takes, in bytes, from 1.
    pub maximum_packet_size: Option<u32>,
    /// The client id that the server chose.
    pub assigned_client_id: Option<Text>,
    /// The largest topic alias that the server takes.
    pub topic_alias_maximum: Option<u16>,
    /// For people to read.
    pub reason_string: Option<Text>,
    /// The application's own.
    pub user_properties: UserProperties,
    /// Whether filters may have wildcards.
    pub wildcard_subscription_available: Option<bool>,
    /// Whether subscriptions may be numbered.
    pub subscription_id_available: Option<bool>,
    /// Whether subscriptions may be shared.
    pub shared_subscription_available: Option<bool>,
    /// The keep-alive in seconds that counts instead of the client's.
    pub server_keep_alive: Option<u16>,
    /// The base of response topics.
    pub response_information: Option<Text>,
    /// Where to go instead.
    pub server_reference: Option<Text>,
    /// The method of extended authentication.
    pub authentication_method: Option<Text>,
    /// The method's data.
    pub authentication_data: Option<Bytes>,
}

impl ConnAckCode {
    /// Whether the client is accepted.
    pub fn is_success(self) -> bool {
        match self {
            Self::Return(code) => code == ConnectReturnCode::Accepted,
            Self::Reason(reason) => reason == ReasonCode::Success,
        }
    }
}

impl ConnAck {
    pub(super) fn decode(mut fields: Reader, version: Version, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let packet = PacketType::ConnAck;
        let flags = fields.u8()?;
        let number = fields.u8()?;
        let code = match version {
            Version::V311 => ConnAckCode::Return(number.try_into().map_err(|code| Malformed::Code { packet, code })?),
            Version::V5 => ConnAckCode::Reason(decode_reason(packet, number)?),
        };
        if flags > 1 || flags == 1 && !code.is_success() {
            return Err(Malformed::ConnAckFlags { flags });
        }
        let properties = match version {
            Version::V311 => ConnAckProperties::default(),
            Version::V5 => ConnAckProperties::decode(&mut PropertyBlock::read(&mut fields, limits)?)?,
        };
        fields.finish()?;
        Ok(Self { session_present: flags == 1, code, properties })
    }

    pub(super) fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        let packet = PacketType::ConnAck;
        let number = match (self.code, version) {
            (ConnAckCode::Return(code), Version::V311) => code.into(),
            (ConnAckCode::Reason(reason), Version::V5) => encode_reason(packet, reason).map(|()| reason.into())?,
            (ConnAckCode::Return(_), Version::V5) | (ConnAckCode::Reason(_), Version::V311) => {
                return Err(Unencodable::OtherVersion);
            }
        };
        writer::packet(out, packet, 0, &[], |out| {
            out.put_u8(u8::from(self.session_present && self.code.is_success()));
            out.put_u8(number);
            match version {
                Version::V311 => Ok(()),
                Version::V5 => property::block(out, |out| self.properties.encode(out)),
            }
        })
    }
}

impl ConnAckProperties {
    fn decode(block: &mut PropertyBlock<'_>) -> Result<Self, Malformed> {
        let mut this = Self::default();
        while let Some(identifier) = block.next()? {
            match identifier {
                property::SESSION_EXPIRY_INTERVAL => this.session_expiry_interval = Some(block.u32(identifier)?),
                property::RECEIVE_MAXIMUM => this.receive_maximum = Some(block.nonzero_u16(identifier)?),
                property::MAXIMUM_QOS => this.maximum_qos = Some(decode_maximum_qos(block)?),
                property::RETAIN_AVAILABLE => this.retain_available = Some(block.boolean(identifier)?),
                property::MAXIMUM_PACKET_SIZE => this.maximum_packet_size = Some(block.nonzero_u32(identifier)?),
                property::ASSIGNED_CLIENT_IDENTIFIER => this.assigned_client_id = Some(block.text(identifier)?),
                property::TOPIC_ALIAS_MAXIMUM => this.topic_alias_maximum = Some(block.u16(identifier)?),
                property::REASON_STRING => this.reason_string = Some(block.text(identifier)?),
                property::USER_PROPERTY => block.user(&mut this.user_properties)?,
                property::WILDCARD_SUBSCRIPTION_AVAILABLE => {
                    this.wildcard_subscription_available = Some(block.boolean(identifier)?);
                }
                property::SUBSCRIPTION_IDENTIFIER_AVAILABLE => {
                    this.subscription_id_available = Some(block.boolean(identifier)?);
                }
                property::SHARED_SUBSCRIPTION_AVAILABLE => {
                    this.shared_subscription_available = Some(block.boolean(identifier)?);
                }
                property::SERVER_KEEP_ALIVE => this.server_keep_alive = Some(block.u16(identifier)?),
                property::RESPONSE_INFORMATION => this.response_information = Some(block.text(identifier)?),
                property::SERVER_REFERENCE => this.server_reference = Some(block.text(identifier)?),
                property::AUTHENTICATION_METHOD => this.authentication_method = Some(block.text(identifier)?),
                property::AUTHENTICATION_DATA => this.authentication_data = Some(block.binary(identifier)?),
                _ => return Err(Malformed::Property { identifier }),
            }
        }
        Ok(this)
    }

    fn encode(&self, out: &mut BytesMut) -> Result<(), Unencodable> {
        property::check_nonzero(property::RECEIVE_MAXIMUM, self.receive_maximum == Some(0))?;
        property::check_nonzero(property::MAXIMUM_PACKET_SIZE, self.maximum_packet_size == Some(0))?;
        let maximum_qos = self.maximum_qos.map(encode_maximum_qos).transpose()?;
        property::put_u32(out, property::SESSION_EXPIRY_INTERVAL, self.session_expiry_interval);
        property::put_u16(out, property::RECEIVE_MAXIMUM, self.receive_maximum);
        property::put_boolean(out, property::MAXIMUM_QOS, maximum_qos);
        property::put_boolean(out, property::RETAIN_AVAILABLE, self.retain_available);
        property::put_u32(out, property::MAXIMUM_PACKET_SIZE, self.maximum_packet_size);
        property::put_text(out, property::ASSIGNED_CLIENT_IDENTIFIER, self.assigned_client_id.as_ref());
        property::put_u16(out, property::TOPIC_ALIAS_MAXIMUM, self.topic_alias_maximum);
        property::put_text(out, property::REASON_STRING, self.reason_string.as_ref());
        property::put_user(out, &self.user_properties);
        property::put_boolean(out, property::WILDCARD_SUBSCRIPTION_AVAILABLE, self.wildcard_subscription_available);
        property::put_boolean(out, property::SUBSCRIPTION_IDENTIFIER_AVAILABLE, self.subscription_id_available);
        property::put_boolean(out, property::SHARED_SUBSCRIPTION_AVAILABLE, self.shared_subscription_available);
        property::put_u16(out, property::SERVER_KEEP_ALIVE, self.server_keep_alive);
        property::put_text(out, property::RESPONSE_INFORMATION, self.response_information.as_ref());
        property::put_text(out, property::SERVER_REFERENCE, self.server_reference.as_ref());
        property::put_text(out, property::AUTHENTICATION_METHOD, self.authentication_method.as_ref());
        property::put_binary(out, property::AUTHENTICATION_DATA, self.authentication_data.as_ref())
    }
}

/// Maximum QoS is a bit: a server that has QoS 2 leaves the property out.
fn decode_maximum_qos(block: &mut PropertyBlock<'_>) -> Result<QoS, Malformed> {
    Ok(if block.boolean(property::MAXIMUM_QOS)? { QoS::AtLeastOnce } else { QoS::AtMostOnce })
}

fn encode_maximum_qos(qos: QoS) -> Result<bool, Unencodable> {
    match qos {
        QoS::AtMostOnce => Ok(false),
        QoS::AtLeastOnce => Ok(true),
        QoS::ExactlyOnce => Err(Unencodable::PropertyValue { identifier: property::MAXIMUM_QOS }),
    }
}
