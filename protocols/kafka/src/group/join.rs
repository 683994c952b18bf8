//! JoinGroup: who becomes a member, and what that sets off.

use std::collections::HashSet;
use std::time::Instant;

use bytes::Bytes;

use super::member::{Member, Parked, joining_bytes};
use super::{Group, GroupError, InitialDelay, JoinRefused, JoinRequest, Joined, JoinedMember, MemberId, Phase, Reply, Token};

impl Group {
    /// Takes a join. Its answer, named `token`, comes at once where the group need not change, and
    /// otherwise when all members have joined or their time is up.
    pub fn join(&mut self, now: Instant, token: Token, mut request: JoinRequest) {
        settle(&mut request);
        match self.admit(now, token, &request) {
            Ok(()) => self.complete_if_all_joined(now),
            Err(refused) => self.answer(token, Reply::Join(Err(refused))),
        }
    }

    fn admit(&mut self, now: Instant, token: Token, request: &JoinRequest) -> Result<(), JoinRefused> {
        let refuse = |error| JoinRefused { member_id: request.member_id.clone(), error };
        let bounds = self.settings.session_timeout_min..=self.settings.session_timeout_max;
        if !bounds.contains(&request.session_timeout) {
            return Err(refuse(GroupError::InvalidSessionTimeout));
        }
        if self.phase == Phase::Dead {
            return Err(refuse(GroupError::CoordinatorNotAvailable));
        }
        let replaced = self.replaced_by(request);
        if !self.has_room(request, replaced.as_ref().unwrap_or(&request.member_id)) {
            self.pending.remove(&request.member_id);
            return Err(JoinRefused { member_id: MemberId::unknown(), error: GroupError::GroupMaxSizeReached });
        }
        if !self.supports(request) {
            return Err(refuse(GroupError::InconsistentGroupProtocol));
        }
        if !request.member_id.is_unknown() {
            return self.join_again(now, token, request).map_err(refuse);
        }
        let id = new_id(request);
        match replaced {
            Some(earlier) => self.replace_static(now, token, request, &earlier, id),
            None if request.instance_id.is_none() && request.knows_member_id_required => return Err(self.give_id(now, request, id)),
            None => self.add_member(now, token, request, id),
        }
        Ok(())
    }

    /// A join with an id that this group gave out.
    fn join_again(&mut self, now: Instant, token: Token, request: &JoinRequest) -> Result<(), GroupError> {
        let id = &request.member_id;
        if self.pending.contains_key(id) {
            self.add_member(now, token, request, id.clone());
            return Ok(());
        }
        self.check_member(id.as_str(), request.instance_id.as_deref())?;
        let is_same = self.members.get(id.as_str()).is_some_and(|member| member.protocols == request.protocols);
        match self.phase {
            Phase::Completing { .. } if is_same => self.tell_generation(now, token, id, self.is_leader(id)),
            // The leader joins to have the partitions shared anew.
            Phase::Stable { .. } if is_same && !self.is_leader(id) => self.tell_generation(now, token, id, false),
            Phase::Preparing { .. } | Phase::Completing { .. } | Phase::Stable { .. } => self.update_member(now, token, request, id),
            Phase::Empty | Phase::Dead => return Err(GroupError::UnknownMemberId),
        }
        Ok(())
    }

    fn give_id(&mut self, now: Instant, request: &JoinRequest, id: MemberId) -> JoinRefused {
        if self.pending.len() >= self.settings.members_max {
            return JoinRefused { member_id: MemberId::unknown(), error: GroupError::GroupMaxSizeReached };
        }
        self.pending.insert(id.clone(), now + request.session_timeout);
        JoinRefused { member_id: id, error: GroupError::MemberIdRequired }
    }

    fn add_member(&mut self, now: Instant, token: Token, request: &JoinRequest, id: MemberId) {
        self.pending.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, Member::new(request, token, now));
        if let Phase::Preparing { initial: Some(InitialDelay { is_joined, .. }), .. } = &mut self.phase {
            *is_joined = true;
        }
        self.prepare_rebalance(now);
    }

    fn update_member(&mut self, now: Instant, token: Token, request: &JoinRequest, id: &MemberId) {
        self.take_over(token, request, id);
        self.prepare_rebalance(now);
    }

    /// Stores what a member says anew and parks its join. A request that it left behind is told to
    /// join again.
    pub(super) fn take_over(&mut self, token: Token, request: &JoinRequest, id: &MemberId) {
        self.members.change(id.as_str(), |member| member.update(request));
        self.members.set_protocols(id.as_str(), &request.protocols);
        let earlier = self.members.park(id.as_str(), Parked::Join(token));
        self.answer_parked(id, earlier, GroupError::RebalanceInProgress);
    }

    fn tell_generation(&mut self, now: Instant, token: Token, id: &MemberId, with_members: bool) {
        self.members.touch(id.as_str(), now);
        let joined = self.joined(id, with_members);
        self.answer(token, Reply::Join(Ok(joined)));
    }

    /// What a member is told of the present generation.
    pub(super) fn joined(&self, id: &MemberId, with_members: bool) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let described = |(id, member): (&MemberId, &Member)| JoinedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(&protocol),
        };
        let members = if with_members { self.members.iter().map(described).collect() } else { Vec::new() };
        Joined {
            member_id: id.clone(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            leader: self.leader.clone().unwrap_or_else(MemberId::unknown),
            skip_assignment: false,
            members,
            protocol,
        }
    }

    fn supports(&self, request: &JoinRequest) -> bool {
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return false;
        }
        match self.phase {
            Phase::Empty | Phase::Dead => true,
            Phase::Preparing { .. } | Phase::Completing { .. } | Phase::Stable { .. } => {
                self.protocol_type.as_ref() == Some(&request.protocol_type) && self.members.support_one_of(&request.protocols)
            }
        }
    }

    /// Whether the group may hold what `request` brings, in the place of what `id` has.
    fn has_room(&self, request: &JoinRequest, id: &MemberId) -> bool {
        let existing = self.members.get(id.as_str());
        let freed = existing.map_or(0, |member| member.bytes() - member.assignment.len());
        let bytes = self.members.bytes() - freed + joining_bytes(request);
        let is_counted = existing.is_some() || self.members.len() < self.settings.members_max;
        is_counted && bytes <= self.settings.bytes_max
    }
}

/// `{name}-{unique}`, so that people recognise a member.
fn new_id(request: &JoinRequest) -> MemberId {
    let name = request.instance_id.as_ref().unwrap_or(&request.client_id);
    MemberId::new(&format!("{name}-{}", request.unique))
}

/// Of protocols named twice the first counts. What stays is copied, or each member would hold on
/// to the buffer that its request was read into.
fn settle(request: &mut JoinRequest) {
    let mut seen = HashSet::new();
    request.protocols.retain(|protocol| seen.insert(protocol.name.clone()));
    for protocol in &mut request.protocols {
        protocol.metadata = Bytes::copy_from_slice(&protocol.metadata);
    }
}
