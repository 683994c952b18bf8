//! From a batch to the next commit group: one short lock, one copy.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};

use crate::batch::{Batch, Origin};
use crate::error::{LogFailed, StageError};
use crate::format::{FRAME_HEADER_BYTES, FrameHeader, GROUP_HEADER_BYTES};
use crate::partition::Partition;
use crate::producers::{Decision, Producers};
use crate::shared::Shared;
use crate::sync::lock;
use crate::ticket::{GroupState, Ticket};

/// Smallest and largest buffer that a new group begins with; it follows the size of the last one.
const BUFFER_BYTES_MIN: usize = 4 * 1024;
const BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of the staging budget, taken before work begins; given back when dropped unused.
pub struct AppendPermit {
    shared: Arc<Shared>,
    bytes: usize,
}

impl AppendPermit {
    pub(crate) fn new(shared: Arc<Shared>, bytes: usize) -> Self {
        Self { shared, bytes }
    }

    /// Bytes that the permit covers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a permit for `bytes` out of this one; `None` if it covers fewer.
    pub fn split(&mut self, bytes: usize) -> Option<Self> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(Self { shared: Arc::clone(&self.shared), bytes })
    }

    /// Leaves `bytes` to the staged batch and gives the rest back.
    fn spend(mut self, bytes: usize) {
        self.bytes -= bytes;
    }
}

impl Drop for AppendPermit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.shared.budget.add_permits(self.bytes);
        }
    }
}

impl std::fmt::Debug for AppendPermit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppendPermit").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Everything that waits to be written.
pub(crate) struct Staging {
    /// The group that gathers.
    pub(crate) open: Group,
    /// Groups that reached their bound while a sync ran.
    pub(crate) full: VecDeque<Group>,
    /// Why nothing more is taken.
    pub(crate) ended: Option<LogFailed>,
    /// The writer sleeps and must be signalled.
    pub(crate) writer_waits: bool,
    /// Which batches of idempotent producers are stored already.
    pub(crate) producers: Producers,
}

impl Staging {
    pub(crate) fn new(producers: Producers) -> Self {
        Self { open: Group::with_capacity(BUFFER_BYTES_MIN), full: VecDeque::new(), ended: None, writer_waits: false, producers }
    }

    /// The next group to write, if anything waits.
    pub(crate) fn take(&mut self) -> Option<Group> {
        if let Some(group) = self.full.pop_front() {
            return Some(group);
        }
        (!self.open.frames.is_empty()).then(|| self.turn_over())
    }

    fn turn_over(&mut self) -> Group {
        let next = self.open.buffer.len().next_power_of_two().clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
        std::mem::replace(&mut self.open, Group::with_capacity(next))
    }
}

/// A commit group before it is written.
pub(crate) struct Group {
    /// Room for the group's header, then frames.
    pub(crate) buffer: Vec<u8>,
    pub(crate) frames: Vec<StagedFrame>,
    pub(crate) events: u64,
    /// Bytes to give back to the budget.
    pub(crate) budget_bytes: usize,
    pub(crate) state: Arc<GroupState>,
}

/// Where a frame lies in its group's buffer, and whose it is.
pub(crate) struct StagedFrame {
    pub(crate) partition: Arc<Partition>,
    pub(crate) at: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) base: SequenceNumber,
    pub(crate) count: u32,
    pub(crate) origin: Origin,
}

impl Group {
    fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes);
        buffer.resize(GROUP_HEADER_BYTES, 0);
        Self { buffer, frames: Vec::new(), events: 0, budget_bytes: 0, state: Arc::default() }
    }

    /// Appends a batch with the partition's next numbers; returns the first of them.
    fn append(&mut self, partition: Arc<Partition>, batch: &Batch, origin: Origin) -> SequenceNumber {
        let base = SequenceNumber(partition.staged_next.load(Ordering::Relaxed));
        partition.staged_next.store(base.plus(batch.count).0, Ordering::Relaxed);
        let (hub, id) = partition.key;
        let batch_bytes = batch.bytes.len();
        let header = FrameHeader {
            hub,
            partition: id,
            base,
            append_time: Timestamp::default(),
            count: batch.count,
            batch_bytes: batch_bytes as u32,
            origin,
        };
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&header.encode());
        // Base offset and leader epoch are the log's to set; the batch's CRC leaves both out.
        self.buffer.extend_from_slice(&base.0.to_be_bytes());
        self.buffer.extend_from_slice(batch.bytes.get(8..12).unwrap_or_default());
        self.buffer.extend_from_slice(&0_i32.to_be_bytes());
        self.buffer.extend_from_slice(batch.bytes.get(16..).unwrap_or_default());
        self.buffer.resize(at + header.frame_bytes(), 0);
        self.events += u64::from(batch.count);
        self.budget_bytes += header.frame_bytes();
        self.frames.push(StagedFrame { partition, at, batch_bytes, base, count: batch.count, origin });
        base
    }
}

impl StagedFrame {
    /// The batch within the group's bytes.
    pub(crate) fn batch_of(&self, group: &Bytes) -> Bytes {
        let at = self.at + FRAME_HEADER_BYTES;
        group.slice(at..at + self.batch_bytes)
    }
}

/// See [`EventLog::stage`](crate::EventLog::stage).
pub(crate) fn stage(
    shared: &Shared,
    permit: AppendPermit,
    (hub, partition): (EventHubId, PartitionId),
    batch: &Batch,
    origin: Origin,
) -> Result<Ticket, StageError> {
    let partition = shared.partition(hub, partition)?;
    let (bytes, max) = (batch.staged_bytes(), shared.config.group_bytes_max() - GROUP_HEADER_BYTES);
    if batch.count == 0 {
        return Err(StageError::EmptyBatch);
    }
    if bytes > max {
        return Err(StageError::BatchTooLarge { bytes, max });
    }
    if bytes > permit.bytes {
        return Err(StageError::PermitTooSmall { bytes, reserved: permit.bytes });
    }
    let mut staging = lock(&shared.staging);
    if let Some(ended) = &staging.ended {
        return Err(ended.clone().into());
    }
    if let Some(stamp) = batch.producer
        && let Decision::Repeat { base, group } = staging.producers.decide(partition.key, stamp, batch.count)?
    {
        return Ok(Ticket::new(group, base));
    }
    if staging.open.buffer.len() + bytes > shared.config.group_bytes_max() {
        let full = staging.turn_over();
        staging.full.push_back(full);
    }
    let key = partition.key;
    let first = staging.open.append(partition, batch, origin);
    let group = Arc::clone(&staging.open.state);
    if let Some(stamp) = batch.producer {
        staging.producers.note_staged(key, stamp, batch.count, first, Arc::clone(&group), shared.clock.now());
    }
    let ticket = Ticket::new(group, first);
    let writer_waits = std::mem::take(&mut staging.writer_waits);
    drop(staging);
    permit.spend(bytes);
    if writer_waits {
        shared.staged.notify_one();
    }
    Ok(ticket)
}
