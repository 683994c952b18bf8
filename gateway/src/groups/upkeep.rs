//! What groups need done in their own time: deadlines kept, the log shortened, old offsets
//! dropped.

use std::collections::HashSet;
use std::time::Duration;

use model::{EventHubId, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::record::Change;
use super::{GroupId, Groups, StoreError, now};
use crate::drain::Drain;

/// How often old offsets are looked for, and those in deleted event hubs.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// After a start nothing expires for this long: members come back first, however long the hub was
/// down.
pub(super) const RETURN_TIME: Duration = Duration::from_secs(3600);

/// Wakes when a group's deadline is due. Ends when the hub stops: members then find it gone.
pub(super) async fn keep_deadlines(groups: Groups, drain: Drain) {
    loop {
        let next = groups.coordinator().run_due(now());
        let due = async {
            match next {
                Some(next) => sleep_until(Instant::from_std(next)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = drain.begun() => return,
            () = groups.inner.rescheduled.notified() => {}
            () = due => {}
        }
    }
}

/// Looks after what is stored. A log that takes no more is met by whoever commits; here it is only
/// noted.
pub(super) async fn keep_offsets(groups: Groups, drain: Drain) {
    let mut sweep = interval(SWEEP_INTERVAL);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            biased;
            () = drain.begun() => return,
            () = groups.inner.emptied.notified() => groups.note_emptied().await,
            () = groups.inner.store.grown.notified() => groups.compact_if_due().await,
            _ = sweep.tick() => groups.sweep().await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the upkeep of committed offsets is put off");
        }
    }
}

impl Groups {
    /// Stores until when groups had members: their offsets are kept for some time after that.
    async fn note_emptied(&self) -> Result<(), StoreError> {
        let emptied = self.coordinator().take_emptied();
        self.note_active(emptied).await
    }

    async fn note_active(&self, groups: Vec<GroupId>) -> Result<(), StoreError> {
        let time = self.inner.store.now();
        let with_offsets = groups.into_iter().filter(|group| self.inner.store.has_offsets(group));
        let changes: Vec<_> = with_offsets.map(|group| Change::Group(group, Some(time))).collect();
        if changes.is_empty() { Ok(()) } else { self.inner.store.write(changes).await }
    }

    async fn compact_if_due(&self) -> Result<(), StoreError> {
        if !self.inner.store.is_compaction_due() {
            return Ok(());
        }
        self.inner.store.compact().await
    }

    /// Drops what nobody will ask for any more.
    pub(super) async fn sweep(&self) -> Result<(), StoreError> {
        let store = &self.inner.store;
        self.coordinator().drop_idle(|group| !store.has_offsets(group));
        let with_members: Vec<_> = store.groups().into_iter().filter(|group| self.coordinator().has_members(group)).collect();
        self.note_active(with_members).await?;
        self.drop_deleted_event_hubs().await?;
        if self.inner.opened.elapsed() >= RETURN_TIME {
            self.drop_expired().await?;
        }
        self.compact_if_due().await
    }

    /// An event hub that offsets name was there when they were committed.
    async fn drop_deleted_event_hubs(&self) -> Result<(), StoreError> {
        let with_offsets = self.inner.store.event_hubs();
        let existing: HashSet<EventHubId> = self.inner.event_hubs.list().iter().map(|hub| hub.id).collect();
        let deleted = with_offsets.into_iter().filter(|hub| !existing.contains(hub));
        let changes: Vec<_> = deleted.map(Change::EventHubDeleted).collect();
        if changes.is_empty() { Ok(()) } else { self.inner.store.write(changes).await }
    }

    /// Offsets of groups that nobody has used for too long. A group may be used again while its
    /// tombstone waits for room in the log, so it is judged when that has come.
    async fn drop_expired(&self) -> Result<(), StoreError> {
        let (store, retention) = (&self.inner.store, self.inner.settings.offset_retention);
        let is_old = |used: Timestamp| store.now().saturating_since(used) >= retention;
        let is_unused = |group: &GroupId| !self.coordinator().has_members(group) && store.last_use(group).is_some_and(is_old);
        for group in store.groups().into_iter().filter(is_unused) {
            let prepared = store.prepare(vec![Change::Group(group.clone(), None)]).await?;
            let _one_at_a_time = self.staging();
            if is_unused(&group) {
                tracing::info!(%group, "dropped the offsets of a consumer group that nobody uses");
                store.stage(prepared)?;
            }
        }
        Ok(())
    }
}
