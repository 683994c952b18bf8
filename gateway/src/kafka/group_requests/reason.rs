//! Refusals of groups in the codes of Kafka.

use event_log::StageError;
use kafka_proto::group::GroupError;
use kafka_protocol::ResponseError;

use crate::groups::{CommitError, StoreError};

pub(super) const GROUP_AUTHORIZATION_FAILED: i16 = ResponseError::GroupAuthorizationFailed.code();
pub(super) const CLUSTER_AUTHORIZATION_FAILED: i16 = ResponseError::ClusterAuthorizationFailed.code();
pub(super) const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = ResponseError::TransactionalIdAuthorizationFailed.code();
pub(super) const OFFSET_METADATA_TOO_LARGE: i16 = ResponseError::OffsetMetadataTooLarge.code();
pub(super) const UNKNOWN_TOPIC_OR_PARTITION: i16 = ResponseError::UnknownTopicOrPartition.code();

/// A group's refusal.
pub(super) fn group(error: GroupError) -> i16 {
    error.code()
}

/// Why offsets were not committed or deleted.
pub(super) fn commit(error: &CommitError) -> i16 {
    match error {
        CommitError::Group(error) => group(*error),
        CommitError::Store(error) => store(error),
    }
}

/// A disk that refuses is not said as such: clients know that answer from partition leaders only,
/// and give up on it, while this makes them try again. What would be refused again is said as
/// Kafka says it.
pub(super) fn store(error: &StoreError) -> i16 {
    let error = match error {
        StoreError::Full => ResponseError::PolicyViolation,
        StoreError::Log(StageError::Log(_)) => ResponseError::CoordinatorNotAvailable,
        StoreError::Log(StageError::BatchTooLarge { .. }) => ResponseError::InvalidCommitOffsetSize,
        // Records of the hub itself have nothing of this.
        StoreError::Log(
            StageError::UnknownPartition(_)
            | StageError::EmptyBatch
            | StageError::PermitTooSmall { .. }
            | StageError::OutOfOrderSequence { .. }
            | StageError::ProducerFenced { .. },
        ) => ResponseError::UnknownServerError,
    };
    error.code()
}

#[cfg(test)]
mod tests {
    use event_log::LogFailed;

    use super::*;

    #[test]
    fn what_is_worth_another_try_is_told_from_what_is_not() {
        let cases = [
            (StoreError::Full, 44),
            (StoreError::Log(StageError::Log(LogFailed::Closed)), 15),
            (StoreError::Log(StageError::BatchTooLarge { bytes: 2, max: 1 }), 28),
            (StoreError::Log(StageError::EmptyBatch), -1),
        ];
        for (error, code) in cases {
            assert_eq!(commit(&CommitError::Store(error.clone())), code, "{error}");
        }
    }
}
