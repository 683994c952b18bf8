//! LeaveGroup.

use std::time::Instant;

use super::{Group, GroupError, MemberId, Phase};

/// Who is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaver<'a> {
    /// The member; empty where only the instance is known, as when an operator removes it.
    pub member_id: &'a str,
    /// Its instance, if it is static.
    pub instance_id: Option<&'a str>,
}

impl Group {
    /// Removes members, each on its own: one answer for each, in order.
    ///
    /// # Errors
    /// The group has ended.
    pub fn leave(&mut self, now: Instant, leavers: &[Leaver<'_>]) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        if self.phase == Phase::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        Ok(leavers.iter().map(|leaver| self.leave_one(now, *leaver)).collect())
    }

    fn leave_one(&mut self, now: Instant, leaver: Leaver<'_>) -> Result<(), GroupError> {
        if self.pending.remove(leaver.member_id).is_some() {
            self.complete_if_all_joined(now);
            return Ok(());
        }
        let id = match leaver.instance_id {
            Some(instance_id) if leaver.member_id.is_empty() => self.members.of_instance(instance_id).cloned(),
            Some(_) | None => {
                self.check_member(leaver.member_id, leaver.instance_id)?;
                Some(MemberId::new(leaver.member_id))
            }
        };
        self.remove_member(now, &id.ok_or(GroupError::UnknownMemberId)?);
        Ok(())
    }
}
