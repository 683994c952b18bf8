//! The members of a group, with what is counted over all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::member::{Member, Parked};
use super::{MemberId, Protocol, Token};

/// In the order of their ids, so that the same requests have the same effects.
#[derive(Debug, Default)]
pub(super) struct Members {
    members: BTreeMap<MemberId, Member>,
    instances: HashMap<Arc<str>, MemberId>,
    /// How many members support a protocol.
    supporters: HashMap<Arc<str>, usize>,
    bytes: usize,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// See [`Settings::bytes_max`](super::Settings::bytes_max).
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.members.contains_key(id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&MemberId, &Member)> {
        self.members.iter()
    }

    pub(super) fn ids(&self) -> Vec<MemberId> {
        self.members.keys().cloned().collect()
    }

    /// The id that the static member has now.
    pub(super) fn of_instance(&self, instance_id: &str) -> Option<&MemberId> {
        self.instances.get(instance_id)
    }

    pub(super) fn insert(&mut self, id: MemberId, member: Member) {
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.bytes += member.bytes();
        count_supporters(&mut self.supporters, &member.protocols);
        self.members.insert(id, member);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.members.remove(id)?;
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        self.bytes -= member.bytes();
        discount_supporters(&mut self.supporters, &member.protocols);
        Some(member)
    }

    /// Changes a member; what is counted follows.
    pub(super) fn change<T>(&mut self, id: &str, change: impl FnOnce(&mut Member) -> T) -> Option<T> {
        let member = self.members.get_mut(id)?;
        let before = member.bytes();
        let changed = change(member);
        self.bytes = self.bytes - before + member.bytes();
        Some(changed)
    }

    pub(super) fn set_protocols(&mut self, id: &str, protocols: &[Protocol]) {
        let earlier = self.change(id, |member| std::mem::replace(&mut member.protocols, protocols.to_vec()));
        discount_supporters(&mut self.supporters, &earlier.unwrap_or_default());
        count_supporters(&mut self.supporters, protocols);
    }

    pub(super) fn assign(&mut self, id: &str, assignment: Bytes) {
        self.change(id, |member| member.assignment = assignment);
    }

    /// A sign of life.
    pub(super) fn touch(&mut self, id: &str, now: Instant) {
        if let Some(member) = self.members.get_mut(id) {
            member.touch(now);
        }
    }

    /// Parks a request and gives the one that waited until now.
    pub(super) fn park(&mut self, id: &str, parked: Parked) -> Parked {
        self.members.get_mut(id).map_or(Parked::Nothing, |member| std::mem::replace(&mut member.parked, parked))
    }

    /// Who waits under this name.
    pub(super) fn waiting(&self, token: Token) -> Option<MemberId> {
        let waits = |member: &Member| matches!(member.parked, Parked::Join(parked) | Parked::Sync(parked) if parked == token);
        self.members.iter().find_map(|(id, member)| waits(member).then(|| id.clone()))
    }

    pub(super) fn all_joined(&self) -> bool {
        self.members.values().all(Member::has_joined)
    }

    /// The longest time that any member may take to join again.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.members.values().filter_map(Member::expiry).min()
    }

    /// Members whose time is up.
    pub(super) fn expired(&self, now: Instant) -> Vec<MemberId> {
        let is_expired = |member: &Member| member.expiry().is_some_and(|expiry| expiry <= now);
        self.members.iter().filter(|(_, member)| is_expired(member)).map(|(id, _)| id.clone()).collect()
    }

    /// Whether every member supports one of these.
    pub(super) fn support_one_of(&self, protocols: &[Protocol]) -> bool {
        protocols.iter().any(|protocol| self.all_support(&protocol.name))
    }

    fn all_support(&self, protocol: &str) -> bool {
        self.supporters.get(protocol).copied().unwrap_or(0) == self.members.len()
    }

    /// The protocol that most members want most, among those that all support. Of equals the first
    /// by name.
    pub(super) fn elect_protocol(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(wanted) = member.protocols.iter().find(|protocol| self.all_support(&protocol.name)) {
                *votes.entry(&wanted.name).or_default() += 1;
            }
        }
        let most = votes.values().max().copied()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }
}

fn count_supporters(supporters: &mut HashMap<Arc<str>, usize>, protocols: &[Protocol]) {
    for protocol in protocols {
        *supporters.entry(protocol.name.clone()).or_default() += 1;
    }
}

fn discount_supporters(supporters: &mut HashMap<Arc<str>, usize>, protocols: &[Protocol]) {
    for protocol in protocols {
        if let Some(count) = supporters.get_mut(&protocol.name) {
            *count -= 1;
            if *count == 0 {
                supporters.remove(&protocol.name);
            }
        }
    }
}
