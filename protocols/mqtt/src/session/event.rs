//! What a connection tells its application, and what the application answers.

use bytes::Bytes;
use thiserror::Error;

use super::arrivals::Receipt;
use super::requests::{SubscribeReceipt, UnsubscribeReceipt};
use super::violation::Violation;
use super::window::InFlight;
use crate::wire::{Connect, Publish, PublishProperties, QoS, ReasonCode, SubscribeFilter, Text, Unencodable, UserProperties};

/// Something that the client did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every event is a Publish: a box for each would cost more than it saves")]
pub enum Event {
    /// It wants to connect. Answer with `accept` or `refuse`.
    Connect(Box<Connect>),
    /// It sent a message, whose topic alias is resolved.
    Publish {
        /// The message.
        publish: Publish,
        /// For QoS 1: answer with `acknowledge`.
        receipt: Option<Receipt>,
    },
    /// It has a message that was published with this tag; or, if the reason is an error, it will not
    /// have it.
    Acknowledged {
        /// The application's own.
        tag: u64,
        /// The client's PUBACK says how it went.
        reason: ReasonCode,
    },
    /// It wants messages. Answer with `complete_subscribe`.
    Subscribe {
        /// To answer with.
        receipt: SubscribeReceipt,
        /// Which messages; at least one filter.
        filters: Vec<SubscribeFilter>,
        /// To be repeated in those messages.
        subscription_id: Option<u32>,
    },
    /// It wants no more messages. Answer with `complete_unsubscribe`.
    Unsubscribe {
        /// To answer with.
        receipt: UnsubscribeReceipt,
        /// Which messages; at least one filter.
        filters: Vec<Text>,
    },
    /// It took its leave. Nothing follows.
    Disconnected {
        /// Why.
        reason: ReasonCode,
        /// Replaces the seconds that CONNECT gave.
        session_expiry_interval: Option<u32>,
        /// Whether its will applies nevertheless.
        publish_will: bool,
    },
    /// The connection ended without its leave; its will applies. Nothing follows.
    Closed(CloseReason),
}

/// Why a connection ended without the client's DISCONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// The client broke the protocol.
    #[error("the client broke the protocol: {0}")]
    Violation(#[from] Violation),
    /// The client was silent for longer than one and a half times its keep-alive.
    #[error("the client was silent for longer than its keep-alive allows")]
    KeepAliveLapsed,
    /// No CONNECT, or no verdict on it, in time.
    #[error("no connection was made in time")]
    ConnectTimeout,
}

/// The verdict that a client may connect.
#[derive(Debug, Clone, Default)]
pub struct Accept {
    /// An earlier session goes on.
    pub session_present: bool,
    /// The client id that the server chose: for version 5 necessary if the client gave none.
    pub assigned_client_id: Option<Text>,
    /// Seconds that the session outlives the connection, if not what the client asked for.
    pub session_expiry_interval: Option<u32>,
    /// A version 5 client's keep-alive in seconds, if not what it asked for. Without it one is sent
    /// only when the client asks for a longer silence than there may be.
    pub server_keep_alive: Option<u16>,
    /// For people to read.
    pub reason_string: Option<Text>,
    /// The application's own.
    pub user_properties: UserProperties,
    /// Unacknowledged messages of the session's last connection. Sent first, with their packet
    /// identifiers and marked as duplicates. Ignored unless `session_present`.
    pub in_flight: InFlight,
}

/// A message to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Where it goes.
    pub topic: Text,
    /// What it says. Kept until acknowledged: it should not be a slice of something large.
    pub payload: Bytes,
    /// 0 or 1.
    pub qos: QoS,
    /// It was kept on the server.
    pub retain: bool,
    /// Left out for 3.1.1. A topic alias is not sent.
    pub properties: PublishProperties,
    /// Comes back in [`Event::Acknowledged`] for QoS 1.
    pub tag: u64,
}

/// Why a message was not sent. It is not kept either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unsent {
    /// As many messages wait for the client's PUBACK as may.
    #[error("the client has not acknowledged enough messages")]
    WindowFull,
    /// The client takes no packets so large.
    #[error("a packet of {bytes} bytes is larger than the {limit} the client takes")]
    TooLarge {
        /// The packet's bytes.
        bytes: usize,
        /// The client's maximum packet size.
        limit: usize,
    },
    /// The output must be transmitted first.
    #[error("the output is full")]
    OutputFull,
    /// The quality of service is not offered.
    #[error("the quality of service is not available")]
    QosUnavailable,
    /// The message cannot be written.
    #[error(transparent)]
    Unencodable(#[from] Unencodable),
    /// Not accepted yet, or closed.
    #[error("the client is not connected")]
    NotConnected,
}
