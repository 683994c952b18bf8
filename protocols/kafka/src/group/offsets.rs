//! Who may commit offsets and delete them.

use std::time::Instant;

use super::{Caller, Group, GroupError, Phase};

impl Group {
    /// Whether `caller` may commit offsets now. In a group without members anybody may who does
    /// not claim a generation: a consumer that chooses its partitions itself, or an operator.
    /// During a rebalance members may still commit, since that is when they give partitions up.
    ///
    /// # Errors
    /// The caller is not a member of the present generation, or was just told to begin it.
    pub fn check_commit(&mut self, now: Instant, caller: &Caller<'_>) -> Result<(), GroupError> {
        let is_anonymous = caller.generation < 0 && caller.member_id.is_empty() && caller.instance_id.is_none();
        match self.phase {
            Phase::Dead => Err(GroupError::CoordinatorNotAvailable),
            Phase::Empty if caller.generation < 0 => Ok(()),
            Phase::Preparing { .. } | Phase::Completing { .. } | Phase::Stable { .. } if is_anonymous => Err(GroupError::UnknownMemberId),
            Phase::Empty | Phase::Preparing { .. } | Phase::Completing { .. } | Phase::Stable { .. } => {
                self.check_member_of_generation(caller)?;
                if matches!(self.phase, Phase::Completing { .. }) {
                    return Err(GroupError::RebalanceInProgress);
                }
                self.members.touch(caller.member_id, now);
                Ok(())
            }
        }
    }

    /// Whether offsets may be deleted by hand: while nobody reads.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`], [`GroupError::GroupIdNotFound`].
    pub fn check_offset_delete(&self) -> Result<(), GroupError> {
        match self.phase {
            Phase::Empty => Ok(()),
            Phase::Dead => Err(GroupError::GroupIdNotFound),
            Phase::Preparing { .. } | Phase::Completing { .. } | Phase::Stable { .. } => Err(GroupError::NonEmptyGroup),
        }
    }
}
