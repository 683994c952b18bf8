//! Errors as Kafka's clients know them. No other file of this folder but `group_requests` names a code.

use event_log::{LogFailed, ReadError, StageError};
use kafka_protocol::ResponseError;
use model::EventHubRights;
use thiserror::Error;

/// No error.
pub(super) const NONE: i16 = 0;

/// Why a topic is not available to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum TopicRefused {
    /// There is no such event hub.
    #[error("the event hub does not exist")]
    Unknown,
    /// The peer may not do what it asks for.
    #[error("the right {wanted} on this event hub is missing")]
    Unauthorized {
        /// What was needed.
        wanted: EventHubRights,
    },
}

impl TopicRefused {
    /// Its code on the wire.
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::Unknown => ResponseError::UnknownTopicOrPartition.code(),
            Self::Unauthorized { .. } => ResponseError::TopicAuthorizationFailed.code(),
        }
    }
}
