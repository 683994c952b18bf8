//! Static members: a client that restarts takes its own place again.

use std::time::Instant;

use super::member::Parked;
use super::{Group, GroupError, JoinRequest, MemberId, Phase, Reply, Token};

impl Group {
    /// The member whose place a join without id takes.
    pub(super) fn replaced_by(&self, request: &JoinRequest) -> Option<MemberId> {
        let instance_id = request.instance_id.as_deref().filter(|_| request.member_id.is_unknown())?;
        self.members.of_instance(instance_id).cloned()
    }

    /// Gives the static member a new id, which fences whoever still uses the old one. In a stable
    /// group it keeps its assignment and nobody else notices, unless its protocols change the
    /// choice of all.
    pub(super) fn replace_static(&mut self, now: Instant, token: Token, request: &JoinRequest, earlier: &MemberId, id: MemberId) {
        let leader = self.leader.clone();
        let Some(mut member) = self.members.remove(earlier.as_str()) else { return };
        let parked = std::mem::replace(&mut member.parked, Parked::Nothing);
        self.answer_parked(earlier, parked, GroupError::FencedInstanceId);
        // Its instance is known, so a client that went away does not leave it behind unseen.
        member.is_new = false;
        self.members.insert(id.clone(), member);
        if leader.as_ref() == Some(earlier) {
            self.leader = Some(id.clone());
        }
        self.take_over(token, request, &id);
        self.members.touch(id.as_str(), now);
        match self.phase {
            Phase::Stable { .. } if self.members.elect_protocol() == self.protocol => {
                self.tell_replacement(token, &id, leader, request.can_skip_assignment);
            }
            // The leader may be assigning to the old id this very moment.
            Phase::Stable { .. } | Phase::Completing { .. } => self.prepare_rebalance(now),
            Phase::Empty | Phase::Preparing { .. } | Phase::Dead => {}
        }
    }

    /// Its assignment waits for its sync. A leader must not assign, as a stable group would not
    /// hear it: it is told so, or, where the version has no word for that, that the leader is the
    /// id that was its own.
    fn tell_replacement(&mut self, token: Token, id: &MemberId, leader: Option<MemberId>, can_skip: bool) {
        let skips = can_skip && self.is_leader(id);
        let mut joined = self.joined(id, skips);
        joined.skip_assignment = skips;
        if !can_skip {
            joined.leader = leader.unwrap_or_else(MemberId::unknown);
        }
        self.members.park(id.as_str(), Parked::Nothing);
        self.answer(token, Reply::Join(Ok(joined)));
    }
}
