//! What DescribeGroups and ListGroups show.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{Group, MemberId, Phase};

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// No members; offsets may be left.
    Empty,
    /// Members are to join again.
    PreparingRebalance,
    /// Members wait for the leader's assignment.
    CompletingRebalance,
    /// Every member has its part.
    Stable,
    /// Deleted.
    Dead,
}

impl GroupState {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A group as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Where it stands.
    pub state: GroupState,
    /// The generation.
    pub generation: i32,
    /// `consumer`, `connect` and the like; of an empty group its last one's, if it had any.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol chosen, in a stable group.
    pub protocol: Option<Arc<str>>,
    /// By member id.
    pub members: Vec<MemberView>,
}

/// A member as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Its id.
    pub member_id: MemberId,
    /// Its instance, if it is static.
    pub instance_id: Option<Arc<str>>,
    /// What its client calls itself.
    pub client_id: Arc<str>,
    /// Where its client comes from.
    pub client_host: Arc<str>,
    /// What it told under the protocol chosen; empty unless the group is stable.
    pub metadata: Bytes,
    /// Its part; empty unless the group is stable.
    pub assignment: Bytes,
}

impl Group {
    /// Where the group stands.
    pub fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Preparing { .. } => GroupState::PreparingRebalance,
            Phase::Completing { .. } => GroupState::CompletingRebalance,
            Phase::Stable { .. } => GroupState::Stable,
            Phase::Dead => GroupState::Dead,
        }
    }

    /// The protocol type, if the group ever had members.
    pub fn protocol_type(&self) -> Option<&Arc<str>> {
        self.protocol_type.as_ref()
    }

    /// Whether a client was given an id and is expected to join with it.
    pub fn expects_joins(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Everything an operator sees.
    pub fn view(&self) -> GroupView {
        let state = self.state();
        let protocol = self.protocol.clone().filter(|_| state == GroupState::Stable);
        let members = self.members.iter().map(|(id, member)| MemberView {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: protocol.as_ref().map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            assignment: protocol.as_ref().map(|_| member.assignment.clone()).unwrap_or_default(),
        });
        let members = members.collect();
        GroupView { state, generation: self.generation, protocol_type: self.protocol_type.clone(), protocol, members }
    }
}
