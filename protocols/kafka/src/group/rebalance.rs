//! From one generation to the next.

use std::time::Instant;

use bytes::Bytes;

use super::member::{Member, Parked};
use super::{Group, GroupError, InitialDelay, JoinRefused, MemberId, Phase, Reply};

impl Group {
    /// Asks all members to join again, unless that is under way.
    pub(super) fn prepare_rebalance(&mut self, now: Instant) {
        let patience = self.members.rebalance_timeout();
        let (deadline, initial) = match self.phase {
            Phase::Preparing { .. } | Phase::Dead => return,
            Phase::Empty => {
                let delay = self.settings.initial_delay;
                let initial = InitialDelay { remaining: patience.saturating_sub(delay), is_joined: false };
                (now + delay, Some(initial))
            }
            Phase::Completing { .. } => {
                self.cancel_syncs(now);
                (now + patience, None)
            }
            Phase::Stable { .. } => (now + patience, None),
        };
        self.phase = Phase::Preparing { deadline, initial };
    }

    fn cancel_syncs(&mut self, now: Instant) {
        for id in self.members.ids() {
            self.members.assign(id.as_str(), Bytes::new());
            if let Some(Parked::Sync(token)) = self.members.get(id.as_str()).map(|member| member.parked) {
                self.members.park(id.as_str(), Parked::Nothing);
                self.members.touch(id.as_str(), now);
                self.answer(token, Reply::Sync(Err(GroupError::RebalanceInProgress)));
            }
        }
    }

    /// Begins the next generation if nobody is waited for. The first of a group that was empty
    /// takes its time in any case.
    pub(super) fn complete_if_all_joined(&mut self, now: Instant) {
        let waits_for_time = !matches!(self.phase, Phase::Preparing { initial: None, .. });
        if !waits_for_time && self.members.all_joined() && self.pending.is_empty() {
            self.end_joining(now);
        }
    }

    /// The wait for joins is over: members that did not join go, except static ones, whose session
    /// decides.
    pub(super) fn end_joining(&mut self, now: Instant) {
        if let Phase::Preparing { initial: Some(InitialDelay { remaining, is_joined: true }), .. } = self.phase
            && !remaining.is_zero()
        {
            let delay = self.settings.initial_delay.min(remaining);
            let initial = InitialDelay { remaining: remaining - delay, is_joined: false };
            self.phase = Phase::Preparing { deadline: now + delay, initial: Some(initial) };
            return;
        }
        let missing = |(id, member): (&MemberId, &Member)| (!member.has_joined() && !member.is_static()).then(|| id.clone());
        let missing: Vec<_> = self.members.iter().filter_map(missing).collect();
        for id in missing {
            self.take_out(&id);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only static members, none of whom has come back: their sessions end the wait.
            let deadline = now + self.members.rebalance_timeout();
            self.phase = Phase::Preparing { deadline, initial: None };
            return;
        }
        self.begin_generation(now);
    }

    /// Whether the leader, the old or else a new one, is somebody who joined.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &MemberId| self.members.get(id.as_str()).is_some_and(Member::has_joined);
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.has_joined()).map(|(id, _)| id.clone());
        let is_elected = joined.is_some();
        self.leader = joined.or_else(|| self.leader.take());
        is_elected
    }

    fn begin_generation(&mut self, now: Instant) {
        self.generation = self.generation.saturating_add(1);
        self.protocol = self.members.elect_protocol();
        if self.members.is_empty() {
            self.leader = None;
            self.phase = Phase::Empty;
            return;
        }
        self.phase = Phase::Completing { deadline: now + self.members.rebalance_timeout() };
        for id in self.members.ids() {
            let parked = self.members.change(id.as_str(), |member| {
                member.is_new = false;
                member.has_synced = false;
                member.touch(now);
                std::mem::replace(&mut member.parked, Parked::Nothing)
            });
            if let Some(Parked::Join(token)) = parked {
                let joined = self.joined(&id, self.is_leader(&id));
                self.answer(token, Reply::Join(Ok(joined)));
            }
        }
    }

    /// Members that never asked for their assignment go, and the rest share anew.
    pub(super) fn end_syncing(&mut self, now: Instant) {
        let silent: Vec<_> = self.members.iter().filter(|(_, member)| !member.has_synced).map(|(id, _)| id.clone()).collect();
        if silent.is_empty() {
            self.phase = Phase::Stable { sync_deadline: None };
            return;
        }
        for id in silent {
            self.take_out(&id);
        }
        self.prepare_rebalance(now);
        self.complete_if_all_joined(now);
    }

    /// Removes a member and has the others share what it held.
    pub(super) fn remove_member(&mut self, now: Instant, id: &MemberId) {
        self.take_out(id);
        match self.phase {
            Phase::Stable { .. } | Phase::Completing { .. } => self.prepare_rebalance(now),
            Phase::Empty | Phase::Preparing { .. } | Phase::Dead => {}
        }
        self.complete_if_all_joined(now);
    }

    /// Takes a member out; a request of it that waits learns that the group does not know it.
    fn take_out(&mut self, id: &MemberId) {
        if let Some(member) = self.members.remove(id.as_str()) {
            self.answer_parked(&MemberId::unknown(), member.parked, GroupError::UnknownMemberId);
        }
        if self.is_leader(id) {
            self.leader = self.members.iter().next().map(|(id, _)| id.clone());
        }
    }

    /// Refuses a request that waited.
    pub(super) fn answer_parked(&mut self, id: &MemberId, parked: Parked, error: GroupError) {
        match parked {
            Parked::Nothing => {}
            Parked::Join(token) => self.answer(token, Reply::Join(Err(JoinRefused { member_id: id.clone(), error }))),
            Parked::Sync(token) => self.answer(token, Reply::Sync(Err(error))),
        }
    }
}
