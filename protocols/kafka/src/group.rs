//! Consumer groups: who shares the partitions of a topic, as Kafka's classic group protocol
//! decides it (event-buffer-wire.md §5.3).
//!
//! ```text
//!            join                     all joined, or time is up
//! Empty ───────────▶ PreparingRebalance ─────────────────────▶ CompletingRebalance
//!   ▲                  ▲   │ nobody left     a join, a leave, an expiry │  │ the leader's sync
//!   └──────────────────┼───┘◀───────────────────────────────────────────┘  ▼
//!   │                  └──────────────────────────────────────────────── Stable
//!   └──▶ Dead          a join, a leave, an expiry
//! ```
//!
//! A [`Group`] is fed requests and the present moment. Joins and syncs park: each is named by a
//! [`Token`] of the caller's, and exactly one [`Answer`] for it comes out of
//! [`Group::poll_answer`], at once or later, unless the caller [forgets](Group::forget) it.
//! Everything else is answered by its return value. [`Group::next_deadline`] says when
//! [`Group::handle_timeout`] is due.
//!
//! The hub keeps a group's members in memory only: after a restart they meet
//! [`GroupError::UnknownMemberId`], join again, and go on from the offsets they committed.

mod assignment;
mod error;
mod forget;
mod id;
mod join;
mod leave;
mod member;
mod members;
mod offsets;
mod rebalance;
mod request;
mod static_members;
mod sync;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use assignment::{AssignedPartitions, assigned_partitions};
pub use error::{GroupError, JoinRefused};
pub use id::{GROUP_ID_BYTES_MAX, GroupId, MemberId};
pub use leave::Leaver;
pub use request::{Answer, Caller, JoinRequest, Joined, JoinedMember, Protocol, Reply, SyncRequest, Synced, Token};
pub use view::{GroupState, GroupView, MemberView};

use members::Members;

/// How long a member that nobody has answered yet may wait: its client cannot send heartbeats, so
/// only this ends what it left behind. Kafka's own constant.
const NEW_MEMBER_TIMEOUT: Duration = Duration::from_secs(300);
/// The time members are given to join again, whatever they ask for. With none, each rebalance would
/// throw out everybody but the one who began it; with days, one member that has hung keeps all
/// others waiting as long.
const REBALANCE_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60 * 60);

/// Bounds and patience of every group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The shortest session timeout a member may ask for.
    pub session_timeout_min: Duration,
    /// The longest.
    pub session_timeout_max: Duration,
    /// How long the first member of an empty group waits for others. Each one that comes extends
    /// it by as much again, up to the rebalance timeout.
    pub initial_delay: Duration,
    /// Members of a group, and as many ids given out to clients that have not joined with them.
    pub members_max: usize,
    /// Bytes of what a group's members told about themselves and were assigned.
    pub bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_secs(300),
            initial_delay: Duration::from_millis(300),
            members_max: 1000,
            bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// Where a group stands, with what only this state knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No members.
    Empty,
    /// Waiting until every member has joined again, at most until the deadline.
    Preparing { deadline: Instant, initial: Option<InitialDelay> },
    /// Members know their generation and wait for the leader's assignment. Who has not asked for
    /// it by the deadline is removed.
    Completing { deadline: Instant },
    /// Members have their assignment, except those who may ask for it until the deadline.
    Stable { sync_deadline: Option<Instant> },
    /// Deleted.
    Dead,
}

/// The first rebalance of a group that was empty: it waits although all have joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InitialDelay {
    /// How much longer the wait may become.
    remaining: Duration,
    /// Whether somebody joined during this wait.
    is_joined: bool,
}

/// One consumer group.
#[derive(Debug)]
pub struct Group {
    settings: Settings,
    phase: Phase,
    generation: i32,
    protocol_type: Option<Arc<str>>,
    protocol: Option<Arc<str>>,
    leader: Option<MemberId>,
    members: Members,
    /// Ids given to clients that have yet to join with them, and when each lapses.
    pending: BTreeMap<MemberId, Instant>,
    answers: VecDeque<Answer>,
}

impl Group {
    /// A group without members.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: Members::default(),
            pending: BTreeMap::new(),
            answers: VecDeque::new(),
        }
    }

    /// The next answer to a parked request.
    pub fn poll_answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// Bytes of what members told about themselves and were assigned.
    pub fn bytes(&self) -> usize {
        self.members.bytes()
    }

    /// When [`Group::handle_timeout`] is to be called. A heartbeat only moves it back, so one that
    /// was asked for earlier is early at worst.
    pub fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Preparing { deadline, .. } | Phase::Completing { deadline } => Some(deadline),
            Phase::Stable { sync_deadline } => sync_deadline,
            Phase::Empty | Phase::Dead => None,
        };
        let pending = self.pending.values().min().copied();
        [phase, pending, self.members.next_expiry()].into_iter().flatten().min()
    }

    /// Does what is due at `now`: lets silent members and unused ids go, ends waits.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pending.retain(|_, lapses| *lapses > now);
        for id in self.members.expired(now) {
            self.remove_member(now, &id);
        }
        self.complete_if_all_joined(now);
        match self.phase {
            Phase::Preparing { deadline, .. } if deadline <= now => self.end_joining(now),
            Phase::Completing { deadline } if deadline <= now => self.end_syncing(now),
            Phase::Stable { sync_deadline: Some(deadline) } if deadline <= now => self.end_syncing(now),
            Phase::Empty | Phase::Preparing { .. } | Phase::Completing { .. } | Phase::Stable { .. } | Phase::Dead => {}
        }
    }

    /// A sign of life from a member.
    ///
    /// # Errors
    /// [`GroupError::RebalanceInProgress`] asks the member to join again; the others say that it
    /// is not, or no longer, the member it says it is.
    pub fn heartbeat(&mut self, now: Instant, caller: &Caller<'_>) -> Result<(), GroupError> {
        self.check_member_of_generation(caller)?;
        match self.phase {
            Phase::Dead => Err(GroupError::CoordinatorNotAvailable),
            Phase::Empty => Err(GroupError::UnknownMemberId),
            Phase::Preparing { .. } => {
                self.members.touch(caller.member_id, now);
                Err(GroupError::RebalanceInProgress)
            }
            Phase::Completing { .. } | Phase::Stable { .. } => {
                self.members.touch(caller.member_id, now);
                Ok(())
            }
        }
    }

    /// Ends a group without members; whoever still holds it is told to look for another.
    ///
    /// # Errors
    /// [`GroupError::NonEmptyGroup`], or [`GroupError::GroupIdNotFound`] if it has ended before.
    pub fn delete(&mut self) -> Result<(), GroupError> {
        match self.phase {
            Phase::Empty => {
                self.phase = Phase::Dead;
                self.pending.clear();
                Ok(())
            }
            Phase::Dead => Err(GroupError::GroupIdNotFound),
            Phase::Preparing { .. } | Phase::Completing { .. } | Phase::Stable { .. } => Err(GroupError::NonEmptyGroup),
        }
    }

    /// That the caller is a member and, if it names an instance, that instance's latest.
    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            let current = self.members.of_instance(instance_id).ok_or(GroupError::UnknownMemberId)?;
            if current.as_str() != member_id {
                return Err(GroupError::FencedInstanceId);
            }
        }
        if self.members.contains(member_id) { Ok(()) } else { Err(GroupError::UnknownMemberId) }
    }

    fn check_member_of_generation(&self, caller: &Caller<'_>) -> Result<(), GroupError> {
        if self.phase == Phase::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        self.check_member(caller.member_id, caller.instance_id)?;
        if caller.generation == self.generation { Ok(()) } else { Err(GroupError::IllegalGeneration) }
    }

    fn is_leader(&self, id: &MemberId) -> bool {
        self.leader.as_ref() == Some(id)
    }

    fn answer(&mut self, token: Token, reply: Reply) {
        self.answers.push_back(Answer { token, reply });
    }
}

#[cfg(test)]
mod tests;
