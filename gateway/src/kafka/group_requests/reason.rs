//! Refusals of groups in the codes of Kafka.

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
/// and give up on it, while this makes them try again.
pub(super) fn store(error: &StoreError) -> i16 {
    match error {
        StoreError::Full => ResponseError::PolicyViolation.code(),
        StoreError::Log(_) => ResponseError::CoordinatorNotAvailable.code(),
    }
}
