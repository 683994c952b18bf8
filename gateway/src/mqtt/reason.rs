//! The hub's reasons in the codes of MQTT, and in the status and body of twin responses. The only
//! place in this folder that knows those numbers.

use bytes::Bytes;
use model::Timestamp;
use model::api::{ErrorCode, ErrorDetail};
use mqtt_proto::wire::{ConnectReturnCode, ReasonCode};
use twins::document::DocumentError;
use twins::{ReportedError, TwinReadError, UnknownIdentity};

use super::admission::ConnectRefused;
use super::dialect::{FilterRefused, InvalidLogin, TopicRefused};
use crate::telemetry::MessageRefused;

/// Why the hub ends a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ending {
    /// The client said goodbye.
    #[error("the client disconnected")]
    Goodbye,
    /// The socket closed or broke.
    #[error("the connection was lost")]
    Lost,
    /// The client broke the protocol or fell silent; the session has answered it.
    #[error("{0}")]
    Violation(String),
    /// A newer connection of the same identity.
    #[error("a newer connection of the same identity took over")]
    TakenOver,
    /// The identity was disabled, deleted or given other credentials, or its token or
    /// certificate ran out.
    #[error("the grant does not hold any more")]
    GrantEnded,
    /// A publish to a topic it may not publish to.
    #[error("published to {topic:?}: {reason}")]
    Topic {
        /// At most its first 128 bytes.
        topic: String,
        /// Why not.
        reason: TopicRefused,
    },
    /// A message that is not taken.
    #[error("{0}")]
    Message(MessageRefused),
    /// The store takes nothing more.
    #[error("the store failed: {0}")]
    Store(String),
    /// The hub is stopping.
    #[error("the hub is stopping")]
    Stopping,
}

impl Ending {
    /// The DISCONNECT that MQTT 5 clients get; `None` where there is nobody to tell.
    pub(super) fn reason_code(&self) -> Option<ReasonCode> {
        match self {
            Self::Goodbye | Self::Lost | Self::Violation(_) => None,
            Self::TakenOver => Some(ReasonCode::SessionTakenOver),
            Self::GrantEnded => Some(ReasonCode::NotAuthorized),
            Self::Topic { reason: TopicRefused::Foreign, .. } => Some(ReasonCode::NotAuthorized),
            Self::Topic { reason: TopicRefused::Unknown, .. } => Some(ReasonCode::TopicNameInvalid),
            Self::Message(refused) => Some(message_refused(refused)),
            Self::Store(_) => Some(ReasonCode::ServerBusy),
            Self::Stopping => Some(ReasonCode::ServerShuttingDown),
        }
    }
}

impl Ending {
    /// The CONNACK of a client that was admitted but could not be served.
    pub(super) fn refusal(&self) -> (ConnectReturnCode, ReasonCode) {
        match self {
            Self::GrantEnded => (ConnectReturnCode::NotAuthorized, ReasonCode::NotAuthorized),
            Self::Goodbye
            | Self::Lost
            | Self::Violation(_)
            | Self::TakenOver
            | Self::Topic { .. }
            | Self::Message(_)
            | Self::Store(_)
            | Self::Stopping => (ConnectReturnCode::ServerUnavailable, ReasonCode::ServerUnavailable),
        }
    }
}

/// What a refused CONNECT is answered with, on 3.1.1 and on 5. Everything about credentials
/// gets one answer, so that it tells nothing about which identities exist.
pub(super) fn connect_refused(refused: &ConnectRefused) -> (ConnectReturnCode, ReasonCode) {
    match refused {
        ConnectRefused::Login(InvalidLogin::ClientId(_) | InvalidLogin::Mismatch) => {
            (ConnectReturnCode::IdentifierRejected, ReasonCode::ClientIdentifierNotValid)
        }
        ConnectRefused::Login(InvalidLogin::Username) | ConnectRefused::Password | ConnectRefused::Rejected(_) => {
            (ConnectReturnCode::NotAuthorized, ReasonCode::NotAuthorized)
        }
        ConnectRefused::WillTopic | ConnectRefused::WillProperties(_) => (ConnectReturnCode::NotAuthorized, ReasonCode::TopicNameInvalid),
        ConnectRefused::WillQos => (ConnectReturnCode::NotAuthorized, ReasonCode::QosNotSupported),
        ConnectRefused::Stopping => (ConnectReturnCode::ServerUnavailable, ReasonCode::ServerUnavailable),
    }
}

/// The PUBACK that an MQTT 5 client gets for a message that is not taken. It has no word for a
/// packet that is too large, which is what DISCONNECT says.
pub(super) fn message_not_acknowledged(refused: &MessageRefused) -> ReasonCode {
    match refused {
        MessageRefused::Properties(_) => ReasonCode::TopicNameInvalid,
        MessageRefused::TooLarge { .. } => ReasonCode::QuotaExceeded,
    }
}

/// The DISCONNECT for a message that is not taken.
fn message_refused(refused: &MessageRefused) -> ReasonCode {
    match refused {
        MessageRefused::Properties(_) => ReasonCode::TopicNameInvalid,
        MessageRefused::TooLarge { .. } => ReasonCode::PacketTooLarge,
    }
}

/// The SUBACK code of a filter that is not granted.
pub(super) fn filter_refused(refused: FilterRefused) -> ReasonCode {
    match refused {
        FilterRefused::NotItsOwn => ReasonCode::NotAuthorized,
        FilterRefused::TooMany => ReasonCode::QuotaExceeded,
    }
}

/// Status and body of a twin response that reports an error. Clients read one or the other.
pub(super) struct TwinFailure {
    code: ErrorCode,
    message: String,
}

impl TwinFailure {
    /// The status in the topic.
    pub(super) fn status(&self) -> u16 {
        self.code.http_status()
    }

    /// What happened, for the log.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The body.
    pub(super) fn body(&self, tracking_id: String, now: Timestamp) -> Bytes {
        let detail = ErrorDetail {
            error_code: self.code.number(),
            tracking_id,
            message: self.message.clone(),
            info: None,
            timestamp_utc: now.to_string(),
        };
        // A struct of texts and a number always has a JSON form.
        serde_json::to_vec(&detail).unwrap_or_default().into()
    }
}

impl From<TwinReadError> for TwinFailure {
    fn from(error: TwinReadError) -> Self {
        let code = match &error {
            TwinReadError::UnknownIdentity(unknown) => unknown_identity(unknown),
            TwinReadError::Store(_) => ErrorCode::ServerError,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<ReportedError> for TwinFailure {
    fn from(error: ReportedError) -> Self {
        let code = match &error {
            ReportedError::UnknownIdentity(unknown) => unknown_identity(unknown),
            ReportedError::VersionMismatch { .. } => ErrorCode::PreconditionFailed,
            ReportedError::InvalidVersion => ErrorCode::ArgumentInvalid,
            ReportedError::Document(DocumentError::SectionTooLarge { .. } | DocumentError::BodyTooLarge { .. }) => {
                ErrorCode::MessageTooLarge
            }
            ReportedError::Document(_) => ErrorCode::ArgumentInvalid,
            ReportedError::Store(_) => ErrorCode::ServerError,
        };
        Self { code, message: error.to_string() }
    }
}

fn unknown_identity(unknown: &UnknownIdentity) -> ErrorCode {
    match unknown {
        UnknownIdentity::Device(_) => ErrorCode::DeviceNotFound,
        UnknownIdentity::Module(..) => ErrorCode::ModuleNotFound,
    }
}
