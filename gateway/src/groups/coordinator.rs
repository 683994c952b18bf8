//! Every group with members, the requests that wait in them, and when each is due.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use kafka_proto::group::{Group, GroupError, GroupId, GroupState, GroupView, JoinRequest, Reply, SyncRequest, Token};
use tokio::sync::oneshot;

use super::Settings;

/// A request that waits for its answer.
pub(super) type Parked = (Token, oneshot::Receiver<Reply>);

#[derive(Debug)]
pub(super) struct Coordinator {
    settings: Settings,
    groups: HashMap<GroupId, Entry>,
    waiters: HashMap<Token, oneshot::Sender<Reply>>,
    deadlines: BTreeSet<(Instant, GroupId)>,
    last_token: u64,
    /// Bytes of all groups' members.
    bytes: usize,
    /// The first deadline has moved forward.
    is_rescheduled: bool,
    /// Groups that lost their last member and were not [taken](Self::take_emptied) yet.
    emptied: Vec<GroupId>,
}

#[derive(Debug)]
struct Entry {
    group: Group,
    deadline: Option<Instant>,
    bytes: usize,
    has_members: bool,
}

impl Coordinator {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            settings: *settings,
            groups: HashMap::new(),
            waiters: HashMap::new(),
            deadlines: BTreeSet::new(),
            last_token: 0,
            bytes: 0,
            is_rescheduled: false,
            emptied: Vec::new(),
        }
    }

    /// A client without id begins the group if there is none.
    pub(super) fn join(&mut self, id: &GroupId, now: Instant, request: JoinRequest) -> Result<Parked, GroupError> {
        if !self.groups.contains_key(id) {
            if !request.member_id.is_unknown() {
                return Err(GroupError::UnknownMemberId);
            }
            self.begin(id)?;
        }
        if self.bytes >= self.settings.member_bytes_max {
            return Err(GroupError::GroupMaxSizeReached);
        }
        self.park(id, |group, token| group.join(now, token, request)).ok_or(GroupError::UnknownMemberId)
    }

    pub(super) fn sync(&mut self, id: &GroupId, now: Instant, request: SyncRequest<'_>) -> Result<Parked, GroupError> {
        if self.bytes >= self.settings.member_bytes_max {
            return Err(GroupError::GroupMaxSizeReached);
        }
        self.park(id, |group, token| group.sync(now, token, request)).ok_or(GroupError::UnknownMemberId)
    }

    pub(super) fn forget(&mut self, id: &GroupId, now: Instant, token: Token) {
        self.waiters.remove(&token);
        self.with(id, |group| group.forget(now, token));
    }

    /// Does something with a group, if there is one, and what follows from it.
    pub(super) fn with<T>(&mut self, id: &GroupId, act: impl FnOnce(&mut Group) -> T) -> Option<T> {
        let outcome = act(&mut self.groups.get_mut(id)?.group);
        self.follow(id);
        Some(outcome)
    }

    /// Deletes a group without members; what it committed is for the caller to delete.
    pub(super) fn delete(&mut self, id: &GroupId) -> Result<(), GroupError> {
        let deleted = self.with(id, Group::delete).unwrap_or(Err(GroupError::GroupIdNotFound));
        if deleted.is_ok() {
            self.take_out(id);
        }
        deleted
    }

    /// Handles what is due; gives the next deadline.
    pub(super) fn run_due(&mut self, now: Instant) -> Option<Instant> {
        while let Some((deadline, id)) = self.deadlines.first().cloned() {
            if deadline > now {
                return Some(deadline);
            }
            self.deadlines.pop_first();
            if let Some(entry) = self.groups.get_mut(&id) {
                entry.deadline = None;
            }
            self.with(&id, |group| group.handle_timeout(now));
        }
        None
    }

    /// Whether the first deadline has moved forward since this was last asked.
    pub(super) fn take_rescheduled(&mut self) -> bool {
        std::mem::take(&mut self.is_rescheduled)
    }

    /// Whether [`Self::take_emptied`] gives any.
    pub(super) fn has_emptied(&self) -> bool {
        !self.emptied.is_empty()
    }

    /// Groups that have lost their last member.
    pub(super) fn take_emptied(&mut self) -> Vec<GroupId> {
        std::mem::take(&mut self.emptied)
    }

    pub(super) fn has_members(&self, id: &GroupId) -> bool {
        self.groups.get(id).is_some_and(|entry| entry.has_members)
    }

    pub(super) fn view(&self, id: &GroupId) -> Option<GroupView> {
        self.groups.get(id).map(|entry| entry.group.view())
    }

    /// Groups with members, and those of `others` too.
    pub(super) fn overview(&self, others: Vec<GroupId>) -> Vec<(GroupId, GroupView)> {
        let others = others.into_iter().map(|id| (id, empty_view()));
        let mut all: BTreeMap<_, _> = others.collect();
        all.extend(self.groups.iter().map(|(id, entry)| (id.clone(), entry.group.view())));
        all.into_iter().collect()
    }

    /// Drops groups in which nobody is and nobody is expected. What they committed stays.
    pub(super) fn drop_idle(&mut self, is_dropped: impl Fn(&GroupId) -> bool) {
        let is_idle = |entry: &Entry| entry.group.state() == GroupState::Empty && !entry.group.expects_joins();
        let idle = self.groups.iter().filter(|(id, entry)| is_idle(entry) && is_dropped(id));
        let idle: Vec<_> = idle.map(|(id, _)| id.clone()).collect();
        idle.iter().for_each(|id| self.take_out(id));
    }

    fn begin(&mut self, id: &GroupId) -> Result<(), GroupError> {
        if self.groups.len() >= self.settings.groups_max {
            self.drop_idle(|_| true);
        }
        if self.groups.len() >= self.settings.groups_max {
            return Err(GroupError::GroupMaxSizeReached);
        }
        let entry = Entry { group: Group::new(self.settings.group), deadline: None, bytes: 0, has_members: false };
        self.groups.insert(id.clone(), entry);
        Ok(())
    }

    fn park(&mut self, id: &GroupId, act: impl FnOnce(&mut Group, Token)) -> Option<Parked> {
        self.last_token += 1;
        let token = Token(self.last_token);
        let (waiter, answer) = oneshot::channel();
        self.waiters.insert(token, waiter);
        let acted = self.with(id, |group| act(group, token));
        if acted.is_none() {
            self.waiters.remove(&token);
        }
        acted.map(|()| (token, answer))
    }

    /// Sends a group's answers on their way and takes note of where it stands.
    fn follow(&mut self, id: &GroupId) {
        let Some(entry) = self.groups.get_mut(id) else { return };
        while let Some(answer) = entry.group.poll_answer() {
            if let Some(waiter) = self.waiters.remove(&answer.token) {
                // Who has gone in between is told nothing, and has its session timeout to return.
                let _ = waiter.send(answer.reply);
            }
        }
        self.bytes = self.bytes - entry.bytes + entry.group.bytes();
        entry.bytes = entry.group.bytes();
        let has_members = entry.group.state() != GroupState::Empty;
        if entry.has_members && !has_members {
            self.emptied.push(id.clone());
        }
        entry.has_members = has_members;
        let next = entry.group.next_deadline();
        // An earlier one stays: it is early at worst, and a heartbeat need not move it.
        if let (Some(earlier), Some(next)) = (entry.deadline, next)
            && earlier <= next
        {
            return;
        }
        if let Some(earlier) = std::mem::replace(&mut entry.deadline, next) {
            self.deadlines.remove(&(earlier, id.clone()));
        }
        if let Some(next) = next {
            self.is_rescheduled |= self.deadlines.first().is_none_or(|(first, _)| next < *first);
            self.deadlines.insert((next, id.clone()));
        }
    }

    fn take_out(&mut self, id: &GroupId) {
        if let Some(entry) = self.groups.remove(id) {
            self.bytes -= entry.bytes;
            if let Some(deadline) = entry.deadline {
                self.deadlines.remove(&(deadline, id.clone()));
            }
        }
    }
}

/// A group that has offsets, and of whose members nothing is known.
pub(super) fn empty_view() -> GroupView {
    GroupView { state: GroupState::Empty, generation: 0, protocol_type: None, protocol: None, members: Vec::new() }
}
