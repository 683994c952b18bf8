//! The hub's reasons in the codes of Kafka. The only file of this folder, beside those about
//! groups, that knows those numbers.

use event_log::{LogFailed, ReadError, StageError, WireBatchError};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse};
use kafka_protocol::protocol::StrBytes;
use model::EventHubRights;
use thiserror::Error;

use super::authentication::Refusal;
use super::produce::ProduceRefused;
use super::topics::{CreateRefused, DeleteRefused};

pub(super) const NONE: i16 = 0;
pub(super) const INVALID_TOPIC: i16 = ResponseError::InvalidTopicException.code();
pub(super) const UNKNOWN_TOPIC_ID: i16 = ResponseError::UnknownTopicId.code();
pub(super) const UNKNOWN_LEADER_EPOCH: i16 = ResponseError::UnknownLeaderEpoch.code();
pub(super) const OFFSET_OUT_OF_RANGE: i16 = ResponseError::OffsetOutOfRange.code();
pub(super) const NO_FETCH_SESSION: i16 = ResponseError::FetchSessionIdNotFound.code();
pub(super) const PARTITION_COUNT_FIXED: i16 = ResponseError::InvalidPartitions.code();
pub(super) const POLICY_VIOLATION: i16 = ResponseError::PolicyViolation.code();
pub(super) const UNKNOWN_SERVER_ERROR: i16 = ResponseError::UnknownServerError.code();
pub(super) const INVALID_REQUEST: i16 = ResponseError::InvalidRequest.code();
/// `UNSUPPORTED_ENDPOINT_TYPE`
pub(super) const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;

/// Which right allows which operation, by its number, on a topic: read, write, delete, alter,
/// describe and describe the configuration.
pub(super) const TOPIC_OPERATIONS: &[(EventHubRights, i32)] = &[
    (EventHubRights::LISTEN, 3),
    (EventHubRights::SEND, 4),
    (EventHubRights::MANAGE, 6),
    (EventHubRights::MANAGE, 7),
    (EventHubRights::NONE, 8),
    (EventHubRights::NONE, 10),
];
/// The same on the cluster: create topics, describe, write idempotently.
pub(super) const CLUSTER_OPERATIONS: &[(EventHubRights, i32)] =
    &[(EventHubRights::MANAGE, 5), (EventHubRights::NONE, 8), (EventHubRights::SEND, 12)];

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

/// A failed attempt to authenticate.
pub(super) fn sasl(refusal: &Refusal) -> i16 {
    let error = match refusal {
        Refusal::HandshakeVersion => ResponseError::UnsupportedVersion,
        Refusal::Mechanism(_) => ResponseError::UnsupportedSaslMechanism,
        Refusal::WithoutHandshake | Refusal::Unauthenticated(_) => ResponseError::IllegalSaslState,
        Refusal::Plain(_) | Refusal::ConnectionString(_) | Refusal::Policy { .. } | Refusal::TimedOut => {
            ResponseError::SaslAuthenticationFailed
        }
        Refusal::Frame(_) | Refusal::Request(_) | Refusal::Unwritable(_) | Refusal::Idle => ResponseError::UnknownServerError,
    };
    error.code()
}

/// What the peer is told of it: enough to mend a form, nothing about which policies there are.
pub(super) fn sasl_message(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Plain(_) => "the SASL PLAIN message is malformed",
        Refusal::ConnectionString(_) => {
            "the password is no connection string: HostName=…;SharedAccessKeyName=…;SharedAccessKey=… or \
             Endpoint=sb://…/;SharedAccessKeyName=…;SharedAccessKey=…"
        }
        Refusal::WithoutHandshake => "SASL begins with a handshake of version 1",
        Refusal::Frame(_)
        | Refusal::Request(_)
        | Refusal::Unwritable(_)
        | Refusal::TimedOut
        | Refusal::Idle
        | Refusal::Unauthenticated(_)
        | Refusal::HandshakeVersion
        | Refusal::Mechanism(_)
        | Refusal::Policy { .. } => {
            "no such policy and key; use the user name $ConnectionString with a connection string as password, \
             or a policy's name and key"
        }
    }
}

/// A session does not authenticate twice; its lifetime of 0 says that it need not.
pub(super) fn handshake_after_authentication(_: &SaslHandshakeRequest) -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(ResponseError::IllegalSaslState.code())
}

/// The same.
pub(super) fn authentication_after_authentication(_: &SaslAuthenticateRequest) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse::default()
        .with_error_code(ResponseError::IllegalSaslState.code())
        .with_error_message(Some(StrBytes::from_static_str("the connection is authenticated already")))
}

/// Why events were not taken.
pub(super) fn produce(refused: &ProduceRefused) -> i16 {
    match refused {
        ProduceRefused::Acks(_) => ResponseError::InvalidRequiredAcks.code(),
        ProduceRefused::Transactional => ResponseError::InvalidRequest.code(),
        ProduceRefused::Topic(refused) => refused.code(),
        ProduceRefused::Partition => ResponseError::UnknownTopicOrPartition.code(),
        ProduceRefused::NoBatch => ResponseError::InvalidRecord.code(),
        ProduceRefused::Batch(error) => batch(error).code(),
        ProduceRefused::Stage(error) => stage(error).code(),
        ProduceRefused::Log(error) => log(error).code(),
        ProduceRefused::Panicked => ResponseError::UnknownServerError.code(),
    }
}

fn batch(error: &WireBatchError) -> ResponseError {
    match error {
        WireBatchError::TooLarge { .. } | WireBatchError::Expansion { .. } => ResponseError::MessageTooLarge,
        WireBatchError::Length { .. } | WireBatchError::Crc { .. } => ResponseError::CorruptMessage,
        WireBatchError::Codec(_) => ResponseError::UnsupportedCompressionType,
        WireBatchError::RecordTimestamp { .. } => ResponseError::InvalidTimestamp,
        WireBatchError::Several { .. }
        | WireBatchError::Magic(_)
        | WireBatchError::Attributes(_)
        | WireBatchError::Transactional
        | WireBatchError::Control
        | WireBatchError::AppendTime
        | WireBatchError::Producer(_)
        | WireBatchError::Count { .. }
        | WireBatchError::Uncounted { .. }
        | WireBatchError::Record { .. }
        | WireBatchError::Compressed { .. } => ResponseError::InvalidRecord,
    }
}

fn stage(error: &StageError) -> ResponseError {
    match error {
        StageError::UnknownPartition(_) => ResponseError::UnknownTopicOrPartition,
        StageError::EmptyBatch => ResponseError::InvalidRecord,
        StageError::BatchTooLarge { .. } => ResponseError::MessageTooLarge,
        StageError::PermitTooSmall { .. } => ResponseError::UnknownServerError,
        StageError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        StageError::ProducerFenced { .. } => ResponseError::InvalidProducerEpoch,
        StageError::Log(error) => log(error),
    }
}

fn log(error: &LogFailed) -> ResponseError {
    match error {
        LogFailed::Closed | LogFailed::Poisoned { .. } | LogFailed::Full { .. } => ResponseError::KafkaStorageError,
    }
}

/// Why events were not read.
pub(super) fn read(error: &ReadError) -> i16 {
    match error {
        ReadError::Gap(_) => ResponseError::CorruptMessage.code(),
        ReadError::Disk { .. } => ResponseError::KafkaStorageError.code(),
        ReadError::Removed { .. } | ReadError::UnknownPartition(_) => TopicRefused::Unknown.code(),
    }
}

/// Why an event hub was not created.
pub(super) fn create(refused: &CreateRefused) -> i16 {
    let error = match refused {
        CreateRefused::Unauthorized => ResponseError::TopicAuthorizationFailed,
        CreateRefused::Name(_) => ResponseError::InvalidTopicException,
        CreateRefused::Twice => ResponseError::InvalidRequest,
        CreateRefused::Exists => ResponseError::TopicAlreadyExists,
        CreateRefused::Partitions(_) => ResponseError::InvalidPartitions,
        CreateRefused::Replication(_) => ResponseError::InvalidReplicationFactor,
        CreateRefused::Assignments => ResponseError::InvalidReplicaAssignment,
        CreateRefused::UnknownSetting(_) | CreateRefused::Value { .. } => ResponseError::InvalidConfig,
        CreateRefused::Setting(_) | CreateRefused::Cleanup(_) | CreateRefused::Room(_) => ResponseError::PolicyViolation,
        CreateRefused::Store(_) => ResponseError::KafkaStorageError,
    };
    error.code()
}

/// Why an event hub was not deleted.
pub(super) fn delete(refused: &DeleteRefused) -> i16 {
    match refused {
        DeleteRefused::Topic(refused) => refused.code(),
        DeleteRefused::UnknownId => UNKNOWN_TOPIC_ID,
        DeleteRefused::BuiltIn => POLICY_VIOLATION,
        DeleteRefused::Store(_) => ResponseError::KafkaStorageError.code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_clients_know() {
        let produce_cases = [
            (ProduceRefused::Acks(2), 21),
            (ProduceRefused::Transactional, 42),
            (ProduceRefused::Topic(TopicRefused::Unknown), 3),
            (ProduceRefused::Topic(TopicRefused::Unauthorized { wanted: EventHubRights::SEND }), 29),
            (ProduceRefused::Partition, 3),
            (ProduceRefused::NoBatch, 87),
            (ProduceRefused::Batch(WireBatchError::TooLarge { bytes: 2, max: 1 }), 10),
            (ProduceRefused::Batch(WireBatchError::Crc { stored: 1, computed: 2 }), 2),
            (ProduceRefused::Batch(WireBatchError::Magic(1)), 87),
            (ProduceRefused::Batch(WireBatchError::Codec(7)), 76),
            (ProduceRefused::Stage(StageError::OutOfOrderSequence { expected: 1, got: 3 }), 45),
            (ProduceRefused::Stage(StageError::ProducerFenced { current_epoch: 2, got: 1 }), 47),
            (ProduceRefused::Log(LogFailed::Closed), 56),
        ];
        for (refused, code) in produce_cases {
            assert_eq!(produce(&refused), code, "{refused}");
        }
        let create_cases = [
            (CreateRefused::Unauthorized, 29),
            (CreateRefused::Name("a b".to_owned()), 17),
            (CreateRefused::Twice, 42),
            (CreateRefused::Exists, 36),
            (CreateRefused::Partitions(0), 37),
            (CreateRefused::Replication(3), 38),
            (CreateRefused::Assignments, 39),
            (CreateRefused::UnknownSetting("x".to_owned()), 40),
            (CreateRefused::Cleanup("compact".to_owned()), 44),
        ];
        for (refused, code) in create_cases {
            assert_eq!(create(&refused), code, "{refused}");
        }
        assert_eq!(delete(&DeleteRefused::BuiltIn), 44);
        assert_eq!(
            [sasl(&Refusal::HandshakeVersion), sasl(&Refusal::Mechanism(String::new())), sasl(&Refusal::WithoutHandshake)],
            [35, 33, 34]
        );
        assert_eq!(sasl(&Refusal::Policy { policy: String::new() }), 58);
    }
}
