//! Consumer groups: who reads which partition, and how far each group has read.
//!
//! Members and generations are `kafka_proto::group`'s and live in memory; this drives it: one task
//! for all deadlines ([`upkeep`]), a channel for each parked request ([`coordinator`]). Committed
//! offsets, and the ids given to idempotent producers, are records of the hub's internal event hub
//! ([`record`], [`store`]), so that a commit is answered after the same sync that every event
//! waits for, and many commits share one.
//!
//! An offset names its event hub by number, which is never given again: what a deleted event hub
//! leaves behind is nobody else's, and upkeep clears it away.

mod coordinating;
mod coordinator;
mod listing;
mod offsets;
mod producer_ids;
mod record;
mod store;
mod table;
mod upkeep;
mod waiting;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_log::{EventHubDefinition, EventLog, Retention};
use kafka_proto::group::{Caller, GroupError, GroupId, GroupView, JoinRefused, JoinRequest, Joined, Leaver, Reply, SyncRequest, Synced};
use model::Clock;
use model::partition::PartitionCount;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::drain::Drain;
use crate::event_hubs::{EventHubs, INTERNAL};
use coordinator::Coordinator;
use producer_ids::ProducerIds;
use store::Store;

pub(crate) use offsets::{CommitError, NewOffset, OFFSET_METADATA_BYTES_MAX};
pub(crate) use record::Committed;
pub(crate) use store::{ReplayError, StoreError};

/// Bounds and patience of all groups together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Of each group.
    pub group: kafka_proto::group::Settings,
    /// Groups with members.
    pub groups_max: usize,
    /// Bytes that the members of all groups told about themselves and were assigned.
    pub member_bytes_max: usize,
    /// Bytes of offsets.
    pub offset_bytes_max: usize,
    /// How long offsets of a group outlast its last commit and its last member.
    pub offset_retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            group: kafka_proto::group::Settings::default(),
            groups_max: 10_000,
            member_bytes_max: 256 * 1024 * 1024,
            offset_bytes_max: 64 * 1024 * 1024,
            offset_retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// The consumer groups of this hub. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    /// When the hub started.
    opened: Instant,
    log: EventLog,
    event_hubs: EventHubs,
    store: Store,
    producer_ids: ProducerIds,
    coordinator: Mutex<Coordinator>,
    /// Held from the check of a change until it has its place in the log.
    staging: Mutex<()>,
    /// Told when the next deadline has moved forward.
    rescheduled: Notify,
    /// Told when a group has lost its last member.
    emptied: Notify,
}

/// The internal event hub as the log has to know it before [`Groups::open`].
pub(crate) fn internal_event_hub() -> EventHubDefinition {
    EventHubDefinition { id: INTERNAL, partitions: PartitionCount::ONE, retention: Retention::Released }
}

impl Groups {
    /// Reads what is remembered, and keeps deadlines until the hub stops. Blocks no thread of the
    /// runtime.
    ///
    /// # Errors
    /// [`ReplayError`]
    pub(crate) async fn open(
        log: EventLog,
        event_hubs: EventHubs,
        clock: Clock,
        drain: &Drain,
        settings: Settings,
    ) -> Result<Self, ReplayError> {
        let for_store = log.clone();
        let opening = tokio::task::spawn_blocking(move || Store::open(for_store, clock, settings.offset_bytes_max));
        let store = match opening.await {
            Ok(opened) => opened?,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Nobody cancels it but the runtime when it ends, and then nobody waits.
                Err(_) => std::future::pending().await,
            },
        };
        let inner = Inner {
            producer_ids: ProducerIds::new(&store),
            coordinator: Mutex::new(Coordinator::new(&settings)),
            staging: Mutex::default(),
            opened: Instant::now(),
            rescheduled: Notify::new(),
            emptied: Notify::new(),
            settings,
            log,
            event_hubs,
            store,
        };
        let groups = Self { inner: Arc::new(inner) };
        drain.spawn(upkeep::keep_deadlines(groups.clone(), drain.clone()));
        drain.spawn(upkeep::keep_offsets(groups.clone(), drain.clone()));
        Ok(groups)
    }

    /// JoinGroup, done at once; the answer waits until the group's next generation begins, or has
    /// begun. Dropped half-way, the member has its session timeout to come back.
    ///
    /// # Errors
    /// [`JoinRefused`]
    pub(crate) fn join<'a>(
        &'a self,
        group: &'a GroupId,
        request: JoinRequest,
    ) -> impl Future<Output = Result<Joined, JoinRefused>> + use<'a> {
        let asked_with = request.member_id.clone();
        let parked = self.coordinator().join(group, now(), request).map(|parked| self.parked(group, parked));
        async move {
            let refuse = |error| JoinRefused { member_id: asked_with, error };
            match parked.map_err(refuse.clone())?.reply().await {
                Some(Reply::Join(outcome)) => outcome,
                Some(Reply::Sync(_)) | None => Err(refuse(GroupError::CoordinatorNotAvailable)),
            }
        }
    }

    /// SyncGroup, done at once; the answer waits until the leader has assigned.
    ///
    /// # Errors
    /// [`GroupError`]
    pub(crate) fn sync<'a>(
        &'a self,
        group: &'a GroupId,
        request: SyncRequest<'_>,
    ) -> impl Future<Output = Result<Synced, GroupError>> + use<'a> {
        let parked = self.coordinator().sync(group, now(), request).map(|parked| self.parked(group, parked));
        async move {
            match parked?.reply().await {
                Some(Reply::Sync(outcome)) => outcome,
                Some(Reply::Join(_)) | None => Err(GroupError::CoordinatorNotAvailable),
            }
        }
    }

    /// Heartbeat.
    ///
    /// # Errors
    /// [`GroupError`]
    pub(crate) fn heartbeat(&self, group: &GroupId, caller: &Caller<'_>) -> Result<(), GroupError> {
        self.coordinator().with(group, |group| group.heartbeat(now(), caller)).unwrap_or(Err(GroupError::UnknownMemberId))
    }

    /// LeaveGroup: one outcome for each leaver, in order.
    ///
    /// # Errors
    /// The group has ended.
    pub(crate) fn leave(&self, group: &GroupId, leavers: &[Leaver<'_>]) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let nobody = || Ok(leavers.iter().map(|_| Err(GroupError::UnknownMemberId)).collect());
        self.coordinator().with(group, |group| group.leave(now(), leavers)).unwrap_or_else(nobody)
    }

    /// An id for an idempotent producer that no other ever had.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn next_producer_id(&self) -> Result<i64, StoreError> {
        self.inner.producer_ids.next(&self.inner.store).await
    }

    /// Every group that has members or offsets, by id; without what members told.
    pub(crate) fn overview(&self) -> Vec<(GroupId, GroupView)> {
        let with_offsets = self.inner.store.groups();
        self.coordinator().overview(with_offsets)
    }

    /// One group; `None` if it has neither members nor offsets.
    pub(crate) fn describe(&self, group: &GroupId) -> Option<GroupView> {
        let has_offsets = self.inner.store.has_offsets(group);
        self.coordinator().view(group).or_else(|| has_offsets.then(coordinator::empty_view))
    }

    /// No change of what is stored comes between while this is held.
    fn staging(&self) -> MutexGuard<'_, ()> {
        self.inner.staging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moment of the runtime's clock, which tests can stop.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
