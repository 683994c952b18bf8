//! Refusals, each with its number on the wire.

use thiserror::Error;

use super::MemberId;

/// Why a group refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum GroupError {
    /// The group was deleted a moment ago.
    #[error("the group has ended; ask for its coordinator again")]
    CoordinatorNotAvailable,
    /// The caller speaks of another generation than the present one.
    #[error("the generation is not the group's present one")]
    IllegalGeneration,
    /// No protocol is common to all members, or it is of another type, or not the one chosen.
    #[error("the protocol is not one that all members of the group support")]
    InconsistentGroupProtocol,
    /// The group id is empty or too long.
    #[error("a group id has 1 to 256 bytes")]
    InvalidGroupId,
    /// No such member.
    #[error("the group has no such member")]
    UnknownMemberId,
    /// The session timeout is out of bounds.
    #[error("the session timeout is out of bounds")]
    InvalidSessionTimeout,
    /// Members are to join again.
    #[error("the group rebalances")]
    RebalanceInProgress,
    /// The group has members.
    #[error("the group has members")]
    NonEmptyGroup,
    /// No such group.
    #[error("there is no such group")]
    GroupIdNotFound,
    /// Join again with the id that comes with this.
    #[error("join again with the member id given")]
    MemberIdRequired,
    /// The group has as many members, or as many bytes, as it may.
    #[error("the group is full")]
    GroupMaxSizeReached,
    /// A newer client has taken the place of this static member.
    #[error("another client has taken this instance's place")]
    FencedInstanceId,
}

impl GroupError {
    /// The error code of the Kafka protocol.
    pub fn code(self) -> i16 {
        match self {
            Self::CoordinatorNotAvailable => 15,
            Self::IllegalGeneration => 22,
            Self::InconsistentGroupProtocol => 23,
            Self::InvalidGroupId => 24,
            Self::UnknownMemberId => 25,
            Self::InvalidSessionTimeout => 26,
            Self::RebalanceInProgress => 27,
            Self::NonEmptyGroup => 68,
            Self::GroupIdNotFound => 69,
            Self::MemberIdRequired => 79,
            Self::GroupMaxSizeReached => 81,
            Self::FencedInstanceId => 82,
        }
    }
}

/// Why a join failed, and the member id that goes with the answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct JoinRefused {
    /// Of [`GroupError::MemberIdRequired`] the id to join with, otherwise the one asked with.
    pub member_id: MemberId,
    /// Why.
    pub error: GroupError,
}
