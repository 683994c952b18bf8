//! DISCONNECT and AUTH (§3.14, §3.15).

use bytes::{BufMut, Bytes, BytesMut};

use super::ack::{decode_reason, encode_reason};
use super::error::{Malformed, Unencodable};
use super::fixed_header::PacketType;
use super::property::{self, PropertyBlock, UserProperties};
use super::reader::Reader;
use super::reason::ReasonCode;
use super::text::Text;
use super::{DecodeLimits, Sender, writer};
use crate::Version;

/// The orderly end of a connection. In 3.1.1 only a client sends it, and it says nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// Why.
    pub reason: ReasonCode,
    /// From a client: replaces CONNECT's, in seconds.
    pub session_expiry_interval: Option<u32>,
    /// For people to read.
    pub reason_string: Option<Text>,
    /// The application's own.
    pub user_properties: UserProperties,
    /// From a server: where to go instead.
    pub server_reference: Option<Text>,
}

/// A step of extended authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Success, continue or re-authenticate.
    pub reason: ReasonCode,
    /// The method's name.
    pub authentication_method: Option<Text>,
    /// The method's data.
    pub authentication_data: Option<Bytes>,
    /// For people to read.
    pub reason_string: Option<Text>,
    /// The application's own.
    pub user_properties: UserProperties,
}

impl Disconnect {
    /// A DISCONNECT without properties.
    pub fn new(reason: ReasonCode) -> Self {
        Self { reason, session_expiry_interval: None, reason_string: None, user_properties: UserProperties::new(), server_reference: None }
    }

    pub(super) fn decode(mut fields: Reader, version: Version, sender: Sender, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let mut this = Self::new(ReasonCode::Success);
        if version == Version::V5 && !fields.is_empty() {
            this.reason = decode_reason(PacketType::Disconnect, fields.u8()?)?;
            if !fields.is_empty() {
                this.decode_properties(&mut PropertyBlock::read(&mut fields, limits)?, sender)?;
            }
        }
        fields.finish()?;
        Ok(this)
    }

    fn decode_properties(&mut self, block: &mut PropertyBlock<'_>, sender: Sender) -> Result<(), Malformed> {
        while let Some(identifier) = block.next()? {
            match identifier {
                property::SESSION_EXPIRY_INTERVAL if sender == Sender::Client => {
                    self.session_expiry_interval = Some(block.u32(identifier)?);
                }
                property::REASON_STRING => self.reason_string = Some(block.text(identifier)?),
                property::USER_PROPERTY => block.user(&mut self.user_properties)?,
                property::SERVER_REFERENCE if sender == Sender::Server => {
                    self.server_reference = Some(block.text(identifier)?);
                }
                _ => return Err(Malformed::Property { identifier }),
            }
        }
        Ok(())
    }

    fn has_properties(&self) -> bool {
        self.session_expiry_interval.is_some()
            || self.reason_string.is_some()
            || !self.user_properties.is_empty()
            || self.server_reference.is_some()
    }

    pub(super) fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        let packet = PacketType::Disconnect;
        writer::packet(out, packet, 0, &[], |out| {
            if version == Version::V311 {
                return Ok(());
            }
            encode_reason(packet, self.reason)?;
            if !self.has_properties() {
                if self.reason != ReasonCode::Success {
                    out.put_u8(self.reason.into());
                }
                return Ok(());
            }
            out.put_u8(self.reason.into());
            property::block(out, |out| {
                property::put_u32(out, property::SESSION_EXPIRY_INTERVAL, self.session_expiry_interval);
                property::put_text(out, property::REASON_STRING, self.reason_string.as_ref());
                property::put_user(out, &self.user_properties);
                property::put_text(out, property::SERVER_REFERENCE, self.server_reference.as_ref());
                Ok(())
            })
        })
    }
}

impl Auth {
    pub(super) fn decode(mut fields: Reader, limits: &DecodeLimits) -> Result<Self, Malformed> {
        let mut this = Self {
            reason: ReasonCode::Success,
            authentication_method: None,
            authentication_data: None,
            reason_string: None,
            user_properties: UserProperties::new(),
        };
        if fields.is_empty() {
            return Ok(this);
        }
        this.reason = decode_reason(PacketType::Auth, fields.u8()?)?;
        if !fields.is_empty() {
            this.decode_properties(&mut PropertyBlock::read(&mut fields, limits)?)?;
        }
        fields.finish()?;
        Ok(this)
    }

    fn decode_properties(&mut self, block: &mut PropertyBlock<'_>) -> Result<(), Malformed> {
        while let Some(identifier) = block.next()? {
            match identifier {
                property::AUTHENTICATION_METHOD => self.authentication_method = Some(block.text(identifier)?),
                property::AUTHENTICATION_DATA => self.authentication_data = Some(block.binary(identifier)?),
                property::REASON_STRING => self.reason_string = Some(block.text(identifier)?),
                property::USER_PROPERTY => block.user(&mut self.user_properties)?,
                _ => return Err(Malformed::Property { identifier }),
            }
        }
        if self.authentication_data.is_some() && self.authentication_method.is_none() {
            return Err(Malformed::AuthenticationMethodMissing);
        }
        Ok(())
    }

    fn has_properties(&self) -> bool {
        self.authentication_method.is_some()
            || self.authentication_data.is_some()
            || self.reason_string.is_some()
            || !self.user_properties.is_empty()
    }

    pub(super) fn encode(&self, version: Version, out: &mut BytesMut) -> Result<(), Unencodable> {
        let packet = PacketType::Auth;
        if version == Version::V311 {
            return Err(Unencodable::PacketType { packet });
        }
        if self.authentication_data.is_some() && self.authentication_method.is_none() {
            return Err(Unencodable::PropertyValue { identifier: property::AUTHENTICATION_DATA });
        }
        writer::packet(out, packet, 0, &[], |out| {
            encode_reason(packet, self.reason)?;
            if self.reason == ReasonCode::Success && !self.has_properties() {
                return Ok(());
            }
            out.put_u8(self.reason.into());
            property::block(out, |out| {
                property::put_text(out, property::AUTHENTICATION_METHOD, self.authentication_method.as_ref());
                property::put_binary(out, property::AUTHENTICATION_DATA, self.authentication_data.as_ref())?;
                property::put_text(out, property::REASON_STRING, self.reason_string.as_ref());
                property::put_user(out, &self.user_properties);
                Ok(())
            })
        })
    }
}
