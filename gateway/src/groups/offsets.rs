//! Committed offsets: from a request to the disk, and from memory to whoever asks.

use std::sync::Arc;

use event_log::StageError;
use kafka_proto::group::{Caller, GroupError, GroupId};
use model::{EventHubId, PartitionId, SequenceNumber};
use thiserror::Error;

use super::record::{Change, Committed, OffsetKey};
use super::{Groups, StoreError, now};

/// The longest note to an offset in bytes.
pub(crate) const OFFSET_METADATA_BYTES_MAX: usize = 1024;

/// An offset as a client commits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewOffset {
    /// The event hub.
    pub hub: EventHubId,
    /// Its partition.
    pub partition: PartitionId,
    /// The next event the group reads.
    pub offset: SequenceNumber,
    /// -1 if the client does not say.
    pub leader_epoch: i32,
    /// The client's note, at most [`OFFSET_METADATA_BYTES_MAX`] bytes.
    pub metadata: Arc<str>,
}

/// Why offsets are not committed; none of them is.
#[derive(Debug, Clone, Error)]
pub(crate) enum CommitError {
    /// The caller may not.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// They cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a group, or an offset of it, is not deleted.
pub(crate) type DeleteGroupError = CommitError;

impl Groups {
    /// Commits offsets. They are on disk when this returns, and only then does anybody see them.
    ///
    /// # Errors
    /// [`CommitError`]
    pub(crate) async fn commit(&self, group: &GroupId, caller: &Caller<'_>, offsets: Vec<NewOffset>) -> Result<(), CommitError> {
        let time = self.inner.store.now();
        let change = |new: NewOffset| {
            let key = OffsetKey { group: group.clone(), hub: new.hub, partition: new.partition };
            let committed = Committed { offset: new.offset, leader_epoch: new.leader_epoch, metadata: new.metadata, time };
            Change::Offset(key, Some(committed))
        };
        let changes = offsets.into_iter().map(change).collect();
        self.change(changes, |groups| groups.check_commit(group, caller)).await
    }

    /// Deletes a group without members, and its offsets.
    ///
    /// # Errors
    /// [`DeleteGroupError`]
    pub(crate) async fn delete(&self, group: &GroupId) -> Result<(), DeleteGroupError> {
        let delete = |groups: &Self| {
            let has_offsets = groups.inner.store.has_offsets(group);
            match groups.coordinator().delete(group) {
                Err(GroupError::GroupIdNotFound) if has_offsets => Ok(()),
                deleted => deleted,
            }
        };
        self.change(vec![Change::Group(group.clone(), None)], delete).await
    }

    /// Deletes single offsets of a group without members.
    ///
    /// # Errors
    /// [`DeleteGroupError`]
    pub(crate) async fn delete_offsets(&self, group: &GroupId, places: Vec<(EventHubId, PartitionId)>) -> Result<(), DeleteGroupError> {
        let change = |(hub, partition)| Change::Offset(OffsetKey { group: group.clone(), hub, partition }, None);
        let changes = places.into_iter().map(change).collect();
        let check = |groups: &Self| {
            let unknown = || if groups.inner.store.has_offsets(group) { Ok(()) } else { Err(GroupError::GroupIdNotFound) };
            groups.coordinator().with(group, |group| group.check_offset_delete()).unwrap_or_else(unknown)
        };
        self.change(changes, check).await
    }

    /// The durable offset of a group in a partition.
    pub(crate) fn offset(&self, group: &GroupId, hub: EventHubId, partition: PartitionId) -> Option<Committed> {
        self.inner.store.offset(&OffsetKey { group: group.clone(), hub, partition })
    }

    /// Every durable offset of a group, those in deleted event hubs too.
    pub(crate) fn offsets(&self, group: &GroupId) -> Vec<(OffsetKey, Committed)> {
        self.inner.store.offsets(group)
    }

    fn check_commit(&self, group: &GroupId, caller: &Caller<'_>) -> Result<(), GroupError> {
        let outside = || if caller.generation < 0 { Ok(()) } else { Err(GroupError::IllegalGeneration) };
        self.coordinator().with(group, |group| group.check_commit(now(), caller)).unwrap_or_else(outside)
    }

    /// Waits for room, checks, and stages in the same turn: no other change comes
    /// between the check and its place in the log.
    async fn change(&self, changes: Vec<Change>, check: impl FnOnce(&Self) -> Result<(), GroupError>) -> Result<(), CommitError> {
        if changes.is_empty() {
            return Ok(check(self)?);
        }
        let prepared = self.inner.store.prepare(changes).await?;
        let ticket = {
            let _one_at_a_time = self.staging();
            check(self)?;
            self.inner.store.stage(prepared)?
        };
        ticket.await.map_err(|failed| StoreError::from(StageError::from(failed)))?;
        Ok(())
    }
}
