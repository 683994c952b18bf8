//! What is remembered of consumer groups, on disk: every change is a record of the hub's internal
//! event hub and counts once it is durable.
//!
//! The table in memory is always that of the last record *staged*; what a record not yet durable
//! replaced is kept beside it, and that is what readers see, and what counts again when the log
//! refuses the record. So a copy of the table can be written
//! in pieces, between commits: each piece holds the latest values at its place in the log, whoever
//! replays the log from the first piece on arrives at the same table, and what lies before it can
//! be released.

mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};

use event_log::{AppendPermit, Batch, EventLog, Origin, ReadError, StageError, Start, Ticket, UnknownPartition};
use kafka_proto::group::GroupId;
use model::{Clock, EventHubId, PartitionId, SequenceNumber, Timestamp};
use thiserror::Error;
use tokio::sync::Notify;

use super::record::{Change, Committed, OffsetKey, UnreadableRecord, batch_of, decode};
use super::table::Cursor;
use crate::event_hubs::INTERNAL;
use state::{Pending, State};

/// The only partition of the internal event hub.
pub(super) const PARTITION: PartitionId = PartitionId(0);

/// A copy of the table is written in pieces of about this many bytes.
const PIECE_BYTES: usize = 8 * 1024;
/// What a piece takes of the log's budget at most.
const PIECE_PERMIT_BYTES: usize = 16 * 1024;
/// Read at once at the start.
const REPLAY_BYTES: usize = 1024 * 1024;

/// Why the hub's memory of consumer groups cannot be read.
#[derive(Debug, Error)]
pub(crate) enum ReplayError {
    /// The internal event hub is not defined.
    #[error(transparent)]
    Undefined(#[from] UnknownPartition),
    /// The disk.
    #[error("cannot read the hub's internal event hub")]
    Read(#[from] ReadError),
    /// A record of a later version, or no record at all.
    #[error(transparent)]
    Record(#[from] UnreadableRecord),
    /// A batch that does not decode although its checksum is right.
    #[error("cannot read a batch of the hub's internal event hub")]
    Batch(#[from] event_log::BatchError),
}

/// Why a change is not stored.
#[derive(Debug, Clone, Error)]
pub(crate) enum StoreError {
    /// As many bytes are remembered as may be.
    #[error("the hub remembers as many offsets as it may")]
    Full,
    /// The log takes no more.
    #[error(transparent)]
    Log(#[from] StageError),
}

#[derive(Debug)]
pub(super) struct Store {
    log: EventLog,
    clock: Clock,
    bytes_max: usize,
    state: Mutex<State>,
    /// Told when the log has grown enough to be shortened.
    pub(super) grown: Notify,
}

/// Changes with their room in the log.
#[derive(Debug)]
pub(super) struct Prepared {
    changes: Vec<Change>,
    batch: Batch,
    permit: AppendPermit,
}

impl Store {
    /// Reads what is remembered. Blocks.
    ///
    /// # Errors
    /// [`ReplayError`]. Damage is none: what is lost is lost, and groups read again from older
    /// offsets.
    pub(super) fn open(log: EventLog, clock: Clock, bytes_max: usize) -> Result<Self, ReplayError> {
        let mut state = State::default();
        let mut reader =
            log.reader(INTERNAL, PARTITION, Start::Earliest).map_err(|event_log::ReaderError::UnknownPartition(error)| error)?;
        loop {
            let batches = match reader.try_next(REPLAY_BYTES) {
                Ok(batches) if batches.is_empty() => break,
                Ok(batches) => batches,
                Err(ReadError::Gap(lost)) => {
                    tracing::error!(from = lost.from.0, to = lost.to.0, "damage took committed offsets away");
                    state.skip_producer_ids();
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for batch in batches {
                state.written += batch.bytes.len();
                for event in batch.events() {
                    state.table.apply(decode(&event?)?);
                }
            }
        }
        // What lies before the first event has gone behind a copy that tells of the ids, or is lost.
        if log.partition(INTERNAL, PARTITION)?.first > SequenceNumber::FIRST && state.table.next_producer_id() == 0 {
            state.skip_producer_ids();
        }
        Ok(Self { log, clock, bytes_max, state: Mutex::new(state), grown: Notify::new() })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Encodes changes and waits for room in the log.
    ///
    /// # Errors
    /// The log takes no more.
    pub(super) async fn prepare(&self, changes: Vec<Change>) -> Result<Prepared, StoreError> {
        let batch = batch_of(&changes, self.now());
        let permit = self.log.reserve(batch.staged_bytes()).await.map_err(StageError::from)?;
        Ok(Prepared { changes, batch, permit })
    }

    /// Gives changes their place among all others. Does not wait.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is changed.
    pub(super) fn stage(&self, prepared: Prepared) -> Result<Ticket, StoreError> {
        let mut state = self.settled();
        let growth = state.table.growth(&prepared.changes);
        if growth > 0 && state.table.bytes() + growth > self.bytes_max {
            return Err(StoreError::Full);
        }
        let bytes = prepared.batch.staged_bytes();
        let ticket = self.log.stage(prepared.permit, INTERNAL, PARTITION, prepared.batch, Origin::Hub)?;
        // The log may just have refused what was staged before, and have room again.
        state.settle();
        let before = prepared.changes.into_iter().map(|change| state.table.apply(change)).collect();
        state.pending.push_back(Pending { ticket: ticket.clone(), before });
        state.written += bytes;
        if state.is_compaction_due() {
            self.grown.notify_one();
        }
        Ok(ticket)
    }

    /// Stores changes that depend on nothing else, and waits until they are durable.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(super) async fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let prepared = self.prepare(changes).await?;
        self.stage(prepared)?.await.map_err(StageError::from)?;
        Ok(())
    }

    /// A group's durable offsets.
    pub(super) fn offsets(&self, group: &GroupId) -> Vec<(OffsetKey, Committed)> {
        let state = self.settled();
        let replaced = state.replaced();
        let of_group = state.table.of_group(group).map(|(key, committed)| (key.clone(), committed.clone()));
        let mut offsets: Vec<_> = of_group.filter(|(key, _)| !replaced.contains_key(key)).collect();
        let replaced = replaced.into_iter().filter(|(key, _)| key.group == *group);
        offsets.extend(replaced.filter_map(|(key, committed)| Some((key.clone(), committed.cloned()?))));
        offsets.sort_by(|(one, _), (other, _)| one.cmp(other));
        offsets
    }

    /// One durable offset.
    pub(super) fn offset(&self, key: &OffsetKey) -> Option<Committed> {
        let state = self.settled();
        let replaced = state.touched().find(|(touched, _)| touched == key);
        replaced.map_or_else(|| state.table.offset(key).cloned(), |(_, before)| before.clone())
    }

    /// Groups that have offsets, durable or about to be.
    pub(super) fn groups(&self) -> Vec<GroupId> {
        self.settled().table.groups()
    }

    pub(super) fn has_offsets(&self, group: &GroupId) -> bool {
        self.settled().table.has_offsets(group)
    }

    pub(super) fn event_hubs(&self) -> Vec<EventHubId> {
        self.settled().table.event_hubs()
    }

    pub(super) fn last_use(&self, group: &GroupId) -> Option<Timestamp> {
        self.settled().table.last_use(group)
    }

    pub(super) fn next_producer_id(&self) -> i64 {
        self.settled().table.next_producer_id()
    }

    /// Whether a copy of the table would be much shorter than the log.
    pub(super) fn is_compaction_due(&self) -> bool {
        self.settled().is_compaction_due()
    }

    /// Writes a copy of the table and releases what lies before it. A crash in between leaves both
    /// in the log, which says the same.
    ///
    /// # Errors
    /// The log takes no more.
    pub(super) async fn compact(&self) -> Result<(), StoreError> {
        self.settled().written = 0;
        let (mut cursor, mut pieces) = (Cursor::Offsets(None), Vec::new());
        while cursor != Cursor::Done {
            let permit = self.log.reserve(PIECE_PERMIT_BYTES).await.map_err(StageError::from)?;
            let (piece, next) = self.stage_piece(permit, &cursor)?;
            pieces.extend(piece);
            cursor = next;
        }
        // The producer id is always a piece, so there is a first.
        let Some(first) = pieces.first().map(Ticket::first) else { return Ok(()) };
        // Each of them: the log may have refused one and taken the next.
        for piece in pieces {
            piece.await.map_err(StageError::from)?;
        }
        // Nobody removes the internal event hub.
        Ok(self.log.release(INTERNAL, PARTITION, first).map_err(StageError::from)?)
    }

    fn stage_piece(&self, permit: AppendPermit, cursor: &Cursor) -> Result<(Option<Ticket>, Cursor), StoreError> {
        let state = self.settled();
        let (changes, next) = state.table.part(cursor, PIECE_BYTES);
        if changes.is_empty() {
            return Ok((None, next));
        }
        let batch = batch_of(&changes, self.now());
        let ticket = self.log.stage(permit, INTERNAL, PARTITION, batch, Origin::Hub)?;
        Ok((Some(ticket), next))
    }

    /// The state as it counts now.
    fn settled(&self) -> MutexGuard<'_, State> {
        // Every change of the state is made whole before anything can panic.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle();
        state
    }
}

#[cfg(test)]
mod tests;
