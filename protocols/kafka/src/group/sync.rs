//! SyncGroup: the leader hands in the assignment, everybody gets a part.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;

use super::member::Parked;
use super::{Group, GroupError, MemberId, Phase, Reply, SyncRequest, Synced, Token};

impl Group {
    /// Takes a sync. Its answer, named `token`, comes when the leader's assignment is there.
    pub fn sync(&mut self, now: Instant, token: Token, request: SyncRequest<'_>) {
        if let Err(error) = self.try_sync(now, token, request) {
            self.answer(token, Reply::Sync(Err(error)));
        }
    }

    fn try_sync(&mut self, now: Instant, token: Token, request: SyncRequest<'_>) -> Result<(), GroupError> {
        self.check_member_of_generation(&request.caller)?;
        let is_other = |told: Option<&str>, ours: Option<&str>| told.is_some_and(|told| Some(told) != ours);
        if is_other(request.protocol_type, self.protocol_type.as_deref()) || is_other(request.protocol, self.protocol.as_deref()) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        let id = MemberId::new(request.caller.member_id);
        match self.phase {
            Phase::Empty => Err(GroupError::UnknownMemberId),
            Phase::Dead => Err(GroupError::CoordinatorNotAvailable),
            Phase::Preparing { .. } => Err(GroupError::RebalanceInProgress),
            Phase::Completing { deadline } if self.is_leader(&id) => {
                self.assign_all(request.assignments)?;
                self.park_sync(token, &id);
                self.phase = Phase::Stable { sync_deadline: Some(deadline) };
                self.answer_syncs(now);
                Ok(())
            }
            Phase::Completing { .. } => {
                self.park_sync(token, &id);
                Ok(())
            }
            Phase::Stable { .. } => {
                self.members.change(id.as_str(), |member| member.has_synced = true);
                self.answer_sync(now, token, &id);
                Ok(())
            }
        }
    }

    fn park_sync(&mut self, token: Token, id: &MemberId) {
        self.members.change(id.as_str(), |member| member.has_synced = true);
        let earlier = self.members.park(id.as_str(), Parked::Sync(token));
        self.answer_parked(id, earlier, GroupError::RebalanceInProgress);
    }

    /// Stores every member's part, copied out of the leader's request; who was given none has an
    /// empty one.
    fn assign_all(&mut self, assignments: Vec<(MemberId, Bytes)>) -> Result<(), GroupError> {
        let mut parts: HashMap<MemberId, Bytes> = assignments.into_iter().filter(|(id, _)| self.members.contains(id.as_str())).collect();
        let held: usize = self.members.iter().map(|(_, member)| member.assignment.len()).sum();
        let brought: usize = parts.values().map(Bytes::len).sum();
        if self.members.bytes() - held + brought > self.settings.bytes_max {
            return Err(GroupError::GroupMaxSizeReached);
        }
        for id in self.members.ids() {
            let part = parts.remove(&id).unwrap_or_default();
            self.members.assign(id.as_str(), Bytes::copy_from_slice(&part));
        }
        Ok(())
    }

    fn answer_syncs(&mut self, now: Instant) {
        for id in self.members.ids() {
            if let Some(Parked::Sync(token)) = self.members.get(id.as_str()).map(|member| member.parked) {
                self.members.park(id.as_str(), Parked::Nothing);
                self.answer_sync(now, token, &id);
            }
        }
    }

    fn answer_sync(&mut self, now: Instant, token: Token, id: &MemberId) {
        self.members.touch(id.as_str(), now);
        let assignment = self.members.get(id.as_str()).map(|member| member.assignment.clone()).unwrap_or_default();
        let protocol_type = self.protocol_type.clone().unwrap_or_default();
        let protocol = self.protocol.clone().unwrap_or_default();
        self.answer(token, Reply::Sync(Ok(Synced { protocol_type, protocol, assignment })));
    }
}
