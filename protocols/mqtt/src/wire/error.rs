//! What may be wrong with a packet.

use thiserror::Error;

use super::fixed_header::PacketType;
use super::reason::ReasonCode;
use super::text::InvalidText;
use super::topic::{InvalidFilter, InvalidTopic};
use super::{Sender, VARINT_MAX};

/// Why bytes from a peer are not a packet. Always the peer's fault; the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A packet type that the version does not have.
    #[error("there is no packet type {number} in this version")]
    PacketType {
        /// The upper four bits of the first byte.
        number: u8,
    },
    /// A packet that only the other side may send.
    #[error("a {sender:?} may not send {packet:?}")]
    Direction {
        /// What was sent.
        packet: PacketType,
        /// By whom.
        sender: Sender,
    },
    /// Flags of the fixed header other than the type's own.
    #[error("{packet:?} may not have the flags {flags:#06b}")]
    Flags {
        /// The packet's type.
        packet: PacketType,
        /// The lower four bits of the first byte.
        flags: u8,
    },
    /// A variable byte integer of more than four bytes.
    #[error("a variable byte integer has more than four bytes")]
    VarintTooLong,
    /// A variable byte integer written with more bytes than it needs (MQTT5-1.5.5-1).
    #[error("a variable byte integer is longer than it needs to be")]
    VarintNotMinimal,
    /// More bytes than the limits allow, by the length that the fixed header announces.
    #[error("a packet of {bytes} bytes is larger than the {limit} allowed")]
    TooLarge {
        /// The whole packet's bytes.
        bytes: usize,
        /// The limit that counts here.
        limit: usize,
    },
    /// A field runs past the end of its packet or property block.
    #[error("a field runs past the end of its packet")]
    Short,
    /// Bytes are left over after the last field.
    #[error("{bytes} bytes follow the last field")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// Packet identifier 0.
    #[error("a packet identifier is 0")]
    PacketIdZero,
    /// QoS 3.
    #[error("there is no QoS 3")]
    Qos,
    /// DUP set on a QoS 0 PUBLISH (MQTT-3.3.1-2).
    #[error("a QoS 0 message cannot be a duplicate")]
    DuplicateWithoutQos,
    /// A string that is not text.
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// A topic name that is none.
    #[error(transparent)]
    Topic(#[from] InvalidTopic),
    /// A topic filter that is none.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
    /// SUBSCRIBE, UNSUBSCRIBE or SUBACK without an entry.
    #[error("{packet:?} has no entry")]
    NoEntries {
        /// The packet's type.
        packet: PacketType,
    },
    /// More filters in one packet than the limits allow.
    #[error("more than {limit} topic filters in one packet")]
    TooManyFilters {
        /// The limit.
        limit: usize,
    },
    /// CONNECT's protocol name is not one of MQTT's.
    #[error("the protocol name is not MQTT")]
    ProtocolName,
    /// CONNECT asks for another protocol level than 4 or 5. The server may answer this one.
    #[error("protocol level {level} is not supported")]
    UnsupportedLevel {
        /// The level asked for.
        level: u8,
    },
    /// The reserved bit of CONNECT's flags is set (MQTT-3.1.2-3).
    #[error("the reserved bit of the connect flags is set")]
    ConnectReserved,
    /// Will QoS or will retain without a will, or will QoS 3.
    #[error("the will flags contradict each other")]
    WillFlags,
    /// A password without a user name, in 3.1.1 (MQTT-3.1.2-22).
    #[error("a password without a user name")]
    PasswordWithoutUsername,
    /// Reserved or contradictory bits in a subscription's options.
    #[error("subscription options {options:#010b} are not allowed")]
    SubscribeOptions {
        /// The options byte.
        options: u8,
    },
    /// No Local on a shared subscription (MQTT5-3.8.3-4).
    #[error("a shared subscription cannot be no local")]
    NoLocalShared,
    /// A property that does not exist or does not belong into this packet.
    #[error("property {identifier:#04x} does not belong here")]
    Property {
        /// Its identifier.
        identifier: u8,
    },
    /// A property that may occur once occurs again.
    #[error("property {identifier:#04x} is repeated")]
    PropertyRepeated {
        /// Its identifier.
        identifier: u8,
    },
    /// A property's value is outside what the standard allows.
    #[error("property {identifier:#04x} has a value it may not have")]
    PropertyValue {
        /// Its identifier.
        identifier: u8,
    },
    /// More user properties in one packet than the limits allow.
    #[error("more than {limit} user properties in one packet")]
    TooManyUserProperties {
        /// The limit.
        limit: usize,
    },
    /// Authentication data without an authentication method (MQTT 5 §3.1.2.11.10).
    #[error("authentication data without a method")]
    AuthenticationMethodMissing,
    /// A code that the packet's type does not have.
    #[error("{packet:?} has no code {code:#04x}")]
    Code {
        /// The packet's type.
        packet: PacketType,
        /// The code's number.
        code: u8,
    },
    /// CONNACK's flags have reserved bits, or a session is present although it was refused.
    #[error("the connect acknowledge flags {flags:#010b} are not allowed")]
    ConnAckFlags {
        /// The flags byte.
        flags: u8,
    },
}

impl Malformed {
    /// What a version 5 server tells the client before it closes (MQTT 5 §4.13).
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::PacketType { .. }
            | Self::Flags { .. }
            | Self::VarintTooLong
            | Self::VarintNotMinimal
            | Self::Short
            | Self::Trailing { .. }
            | Self::Qos
            | Self::Text(_)
            | Self::ConnectReserved
            | Self::WillFlags
            | Self::PasswordWithoutUsername
            | Self::SubscribeOptions { .. }
            | Self::Property { .. }
            | Self::Code { .. }
            | Self::ConnAckFlags { .. } => ReasonCode::MalformedPacket,
            Self::Direction { .. }
            | Self::PacketIdZero
            | Self::DuplicateWithoutQos
            | Self::NoEntries { .. }
            | Self::NoLocalShared
            | Self::PropertyRepeated { .. }
            | Self::PropertyValue { .. }
            | Self::AuthenticationMethodMissing => ReasonCode::ProtocolError,
            Self::TooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::Topic(_) => ReasonCode::TopicNameInvalid,
            Self::Filter(_) => ReasonCode::TopicFilterInvalid,
            Self::TooManyFilters { .. } | Self::TooManyUserProperties { .. } => ReasonCode::QuotaExceeded,
            Self::ProtocolName | Self::UnsupportedLevel { .. } => ReasonCode::UnsupportedProtocolVersion,
        }
    }
}

/// Why a packet cannot be written. Always the caller's fault; nothing has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unencodable {
    /// The packet would be longer than the format allows.
    #[error("a packet may have at most {VARINT_MAX} bytes after its fixed header, this one has {bytes}")]
    TooLarge {
        /// Bytes after the fixed header.
        bytes: usize,
    },
    /// A binary field of more than 65,535 bytes.
    #[error("a binary field of {length} bytes does not fit a 16-bit length")]
    BinaryTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The topic is none.
    #[error(transparent)]
    Topic(#[from] InvalidTopic),
    /// QoS 1 or 2 without a packet identifier, or QoS 0 with one.
    #[error("a packet identifier belongs to QoS 1 and 2, and only there")]
    PacketId,
    /// DUP with QoS 0.
    #[error("a QoS 0 message cannot be a duplicate")]
    DuplicateWithoutQos,
    /// The version has no such packet.
    #[error("{packet:?} does not exist in this version")]
    PacketType {
        /// The packet's type.
        packet: PacketType,
    },
    /// SUBSCRIBE, UNSUBSCRIBE or SUBACK without an entry.
    #[error("{packet:?} has no entry")]
    NoEntries {
        /// The packet's type.
        packet: PacketType,
    },
    /// A CONNECT or CONNACK made for the other version.
    #[error("the packet was made for another version")]
    OtherVersion,
    /// A code that the packet's type does not have.
    #[error("{packet:?} cannot carry {reason:?}")]
    Code {
        /// The packet's type.
        packet: PacketType,
        /// The code.
        reason: ReasonCode,
    },
    /// A property's value is outside what the standard allows.
    #[error("property {identifier:#04x} has a value it may not have")]
    PropertyValue {
        /// Its identifier.
        identifier: u8,
    },
}
