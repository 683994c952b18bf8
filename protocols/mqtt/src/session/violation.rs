//! How a client may break the protocol.

use thiserror::Error;

use crate::wire::{Malformed, PacketId, PacketType, ReasonCode};

/// What a client did that it may not. The connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Violation {
    /// Bytes that are not a packet.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The first packet is not CONNECT (MQTT-3.1.0-1).
    #[error("the first packet is not CONNECT")]
    FirstPacket,
    /// A second CONNECT (MQTT-3.1.0-2).
    #[error("a second CONNECT")]
    SecondConnect,
    /// An empty client id for a session that is to be resumed, in 3.1.1 (MQTT-3.1.3-8).
    #[error("no client id for a session that is to be resumed")]
    ClientIdMissing,
    /// Extended authentication is asked for.
    #[error("extended authentication is not available")]
    AuthenticationMethod,
    /// AUTH without an authentication method in CONNECT (MQTT 5 §4.12).
    #[error("AUTH without an authentication method in CONNECT")]
    AuthUnexpected,
    /// A better quality of service than was offered, in a message or in a will.
    #[error("the quality of service is not available")]
    QosUnavailable,
    /// A step of QoS 2, which is not available.
    #[error("{packet:?} belongs to a quality of service that is not available")]
    QosStep {
        /// Which step.
        packet: PacketType,
    },
    /// A version 5 message or will to be retained, though it was told that none are.
    #[error("messages are not retained here")]
    RetainUnavailable,
    /// More unacknowledged messages than a version 5 client was told it may send.
    #[error("more than {limit} unacknowledged messages")]
    ReceiveMaximum {
        /// The announced maximum.
        limit: u16,
    },
    /// A packet identifier of a request or message that is not answered yet.
    #[error("packet identifier {packet_id:?} is in use")]
    PacketIdInUse {
        /// Which.
        packet_id: PacketId,
    },
    /// A topic alias above the announced maximum.
    #[error("topic alias {alias} is above {limit}")]
    TopicAliasInvalid {
        /// The alias.
        alias: u16,
        /// The announced maximum.
        limit: u16,
    },
    /// A topic alias that stands for nothing yet.
    #[error("topic alias {alias} is not set")]
    TopicAliasUnknown {
        /// The alias.
        alias: u16,
    },
    /// A shared subscription in version 5, though it was told that there are none.
    #[error("shared subscriptions are not available")]
    SharedSubscription,
    /// A numbered subscription, though the client was told that there are none.
    #[error("subscription identifiers are not available")]
    SubscriptionId,
    /// A wildcard in version 5, though it was told that there are none.
    #[error("wildcard subscriptions are not available")]
    WildcardSubscription,
    /// DISCONNECT keeps a session that CONNECT did not ask to keep (MQTT 5 §3.14.2.2.2).
    #[error("DISCONNECT sets a session expiry that CONNECT had at 0")]
    SessionExpiry,
}

impl Violation {
    /// What a version 5 client is told.
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::Malformed(malformed) => malformed.reason(),
            Self::FirstPacket
            | Self::SecondConnect
            | Self::AuthUnexpected
            | Self::PacketIdInUse { .. }
            | Self::TopicAliasUnknown { .. }
            | Self::SessionExpiry => ReasonCode::ProtocolError,
            Self::ClientIdMissing => ReasonCode::ClientIdentifierNotValid,
            Self::AuthenticationMethod => ReasonCode::BadAuthenticationMethod,
            Self::QosUnavailable | Self::QosStep { .. } => ReasonCode::QosNotSupported,
            Self::RetainUnavailable => ReasonCode::RetainNotSupported,
            Self::ReceiveMaximum { .. } => ReasonCode::ReceiveMaximumExceeded,
            Self::TopicAliasInvalid { .. } => ReasonCode::TopicAliasInvalid,
            Self::SharedSubscription => ReasonCode::SharedSubscriptionsNotSupported,
            Self::SubscriptionId => ReasonCode::SubscriptionIdentifiersNotSupported,
            Self::WildcardSubscription => ReasonCode::WildcardSubscriptionsNotSupported,
        }
    }
}
