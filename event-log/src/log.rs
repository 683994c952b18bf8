//! The handle of the log.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread::{self, JoinHandle};

use model::limits::{SEGMENT_BYTES, STAGED_BYTES_MAX, TAIL_BYTES_MAX};
use model::partition::PartitionCount;
use model::{Clock, EventHubId, PartitionId, Timestamp};
use tokio::sync::Semaphore;

use crate::batch::{Batch, Origin};
use crate::counters::{Counters, Statistics};
use crate::disk::{DirectoryLock, Disk};
use crate::error::{DefineError, LogFailed, OpenError, ReaderError, StageError, UnknownPartition};
use crate::format::{HEAD_ALIGNMENT, HEAD_BYTES, POSITION_BYTES};
use crate::health::{Health, HealthState};
use crate::partition::{Partition, PartitionProperties};
use crate::reader::{Reader, Start};
use crate::recovery::{RecoveryReport, recover};
use crate::shared::Shared;
use crate::spare::SpareSegments;
use crate::staging::{self, AppendPermit, Staging};
use crate::sync::{lock, write};
use crate::tail::Tail;
use crate::ticket::Ticket;
use crate::writer::{Writer, last_segment};

/// The largest commit group: bounds what one write carries and one read must hold.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bounds of [`Config::segment_bytes`].
const SEGMENT_BYTES_RANGE: std::ops::RangeInclusive<u64> = 32 * 1024..=1024 * 1024 * 1024;
/// The smallest staging budget.
const STAGED_BYTES_MIN: usize = 32 * 1024;

/// Sizes of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Size of a segment's file, 32 KiB to 1 GiB, rounded down to a multiple of 4 KiB.
    pub segment_bytes: u64,
    /// Bytes reserved or staged and not yet durable, at least 32 KiB. More wait in
    /// [`EventLog::reserve`].
    pub staged_bytes_max: usize,
    /// Recent events kept in memory for readers; 0 sends every reader to the disk.
    pub tail_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES, staged_bytes_max: STAGED_BYTES_MAX, tail_bytes_max: TAIL_BYTES_MAX }
    }
}

impl Config {
    /// The largest group, its header and padding included: it must fit behind a segment's head.
    pub(crate) fn group_bytes_max(&self) -> usize {
        GROUP_BYTES_MAX.min(self.segment_bytes as usize / 2).min(self.staged_bytes_max)
    }

    /// Partitions whose positions fit into half a segment.
    fn partitions_max(&self) -> usize {
        (self.segment_bytes as usize / 2 - HEAD_BYTES - HEAD_ALIGNMENT) / POSITION_BYTES
    }

    fn checked(mut self) -> Result<Self, OpenError> {
        self.segment_bytes -= self.segment_bytes % HEAD_ALIGNMENT as u64;
        let (min, max) = (*SEGMENT_BYTES_RANGE.start(), *SEGMENT_BYTES_RANGE.end());
        if !SEGMENT_BYTES_RANGE.contains(&self.segment_bytes) {
            return Err(OpenError::Config { setting: "segment_bytes", value: self.segment_bytes, min, max });
        }
        let (min, max) = (STAGED_BYTES_MIN, u32::MAX as usize);
        if !(min..=max).contains(&self.staged_bytes_max) {
            let value = self.staged_bytes_max as u64;
            return Err(OpenError::Config { setting: "staged_bytes_max", value, min: min as u64, max: max as u64 });
        }
        Ok(self)
    }
}

/// An event hub as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHubDefinition {
    /// Its number, never given to another hub.
    pub id: EventHubId,
    /// How many partitions it has.
    pub partitions: PartitionCount,
}

/// The log. A clone is another handle of the same; the last one dropped closes it.
#[derive(Clone)]
pub struct EventLog {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    writer: Mutex<Option<Drive>>,
    lock: Mutex<Option<DirectoryLock>>,
}

/// Who runs the writer.
enum Drive {
    Thread(JoinHandle<()>),
    #[cfg(feature = "testkit")]
    Manual(Box<Writer>),
}

impl EventLog {
    /// Opens the log in `directory`, or begins one there, and recovers it. Blocks: reads every
    /// segment, and for a new log writes the first one full of zeros.
    ///
    /// # Errors
    /// See [`OpenError`]. Damage is no error: it is in the report, in [`EventLog::health`] and
    /// where readers meet it.
    pub fn open(
        directory: &Path,
        disk: Arc<dyn Disk>,
        config: Config,
        clock: Clock,
        hubs: &[EventHubDefinition],
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let config = config.checked()?;
        let failed = |source| OpenError::Disk { operation: "starting a thread for", path: directory.to_owned(), source };
        let spares = SpareSegments::background(Arc::clone(&disk), directory.to_owned(), config.segment_bytes).map_err(failed)?;
        let start = |writer: Writer| thread::Builder::new().name("log-writer".into()).spawn(move || writer.run()).map(Drive::Thread);
        Self::open_with((directory, disk), config, clock, hubs, spares, |writer| start(writer).map_err(failed))
    }

    /// Opens a log without threads: groups are committed by [`EventLog::commit_staged`] alone, so
    /// that the order of everything that happens on disk is the test's.
    ///
    /// # Errors
    /// As [`EventLog::open`].
    #[cfg(feature = "testkit")]
    pub fn open_manual(
        directory: &Path,
        disk: Arc<dyn Disk>,
        config: Config,
        clock: Clock,
        hubs: &[EventHubDefinition],
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let config = config.checked()?;
        let spares = SpareSegments::inline(Arc::clone(&disk), directory.to_owned(), config.segment_bytes);
        Self::open_with((directory, disk), config, clock, hubs, spares, |writer| Ok(Drive::Manual(Box::new(writer))))
    }

    fn open_with(
        (directory, disk): (&Path, Arc<dyn Disk>),
        config: Config,
        clock: Clock,
        hubs: &[EventHubDefinition],
        spares: SpareSegments,
        start: impl FnOnce(Writer) -> Result<Drive, OpenError>,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let directory_lock = claim(&*disk, directory)?;
        let mut recovered = recover(&*disk, directory, config.segment_bytes)?;
        let mut health = HealthState::default();
        recovered.report.lost.iter().for_each(|range| health.note_lost(*range));
        let id = disk.random();
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            config,
            clock,
            hubs: RwLock::default(),
            undefined: Mutex::new(recovered.positions.take()),
            staging: Mutex::new(Staging::new(recovered.producers)),
            staged: Condvar::new(),
            budget: Semaphore::new(config.staged_bytes_max),
            segments: RwLock::new(recovered.segments),
            health: Mutex::new(health),
            counters: Counters::default(),
        });
        for hub in hubs {
            define(&shared, *hub, recovered.positions.untraced())?;
        }
        let mut undefined: Vec<EventHubId> = lock(&shared.undefined).keys().map(|(hub, _)| *hub).collect();
        undefined.sort_unstable();
        undefined.dedup();
        recovered.report.undefined_hubs = undefined;
        let Some(segment) = last_segment(&shared) else { return Err(OpenError::Foreign { path: directory.to_owned() }) };
        let last_time = recovered.positions.last_time().unwrap_or(Timestamp::NEVER);
        let tail = Tail::new(config.tail_bytes_max);
        let writer = Writer { shared: Arc::clone(&shared), segment, next_group: recovered.next_group, id, last_time, tail, spares };
        let drive = start(writer)?;
        let handle = Handle { shared, writer: Mutex::new(Some(drive)), lock: Mutex::new(Some(directory_lock)) };
        Ok((Self { handle: Arc::new(handle) }, recovered.report))
    }

    /// Makes an event hub's partitions known; a second time without effect. Events of the hub
    /// found at opening become readable.
    ///
    /// # Errors
    /// See [`DefineError`].
    pub fn define(&self, hub: EventHubDefinition) -> Result<(), DefineError> {
        define(&self.handle.shared, hub, PartitionProperties::empty(model::SequenceNumber::FIRST))
    }

    /// Waits until `bytes` of the staging budget are free and takes them: before the work that
    /// makes the batch, so that a slow disk slows who sends. In order of calls. More than the
    /// whole budget waits for all of it.
    ///
    /// # Errors
    /// The log takes no more events.
    pub async fn reserve(&self, bytes: usize) -> Result<AppendPermit, LogFailed> {
        let shared = &self.handle.shared;
        let bytes = bytes.min(shared.config.staged_bytes_max);
        match shared.budget.acquire_many(bytes as u32).await {
            Ok(permit) => {
                permit.forget();
                Ok(AppendPermit::new(Arc::clone(shared), bytes))
            }
            Err(_) => Err(self.ended()),
        }
    }

    /// Like [`EventLog::reserve`], but `None` where that would wait.
    ///
    /// # Errors
    /// The log takes no more events.
    pub fn try_reserve(&self, bytes: usize) -> Result<Option<AppendPermit>, LogFailed> {
        let shared = &self.handle.shared;
        let bytes = bytes.min(shared.config.staged_bytes_max);
        match shared.budget.try_acquire_many(bytes as u32) {
            Ok(permit) => {
                permit.forget();
                Ok(Some(AppendPermit::new(Arc::clone(shared), bytes)))
            }
            Err(tokio::sync::TryAcquireError::NoPermits) => Ok(None),
            Err(tokio::sync::TryAcquireError::Closed) => Err(self.ended()),
        }
    }

    fn ended(&self) -> LogFailed {
        lock(&self.handle.shared.staging).ended.clone().unwrap_or(LogFailed::Closed)
    }

    /// Gives the batch its sequence numbers and puts it into the next commit group. Never waits
    /// for the disk: the ticket does. Of the permit, what the batch does not take is given back.
    ///
    /// A batch that repeats one of the last five of its idempotent producer is not stored again:
    /// the ticket has the numbers of the stored one and resolves when that is durable.
    ///
    /// # Errors
    /// See [`StageError`]; nothing of the batch is stored then.
    pub fn stage(
        &self,
        permit: AppendPermit,
        hub: EventHubId,
        partition: PartitionId,
        batch: Batch,
        origin: Origin,
    ) -> Result<Ticket, StageError> {
        staging::stage(&self.handle.shared, permit, (hub, partition), &batch, origin)
    }

    /// Where a partition stands, as far as it is durable.
    ///
    /// # Errors
    /// No such partition.
    pub fn partition(&self, hub: EventHubId, partition: PartitionId) -> Result<PartitionProperties, UnknownPartition> {
        let partition = self.handle.shared.partition(hub, partition)?;
        let properties = lock(&partition.durable).properties;
        Ok(properties)
    }

    /// A reader of a partition. It goes on working when the log has failed or closed.
    ///
    /// # Errors
    /// No such partition.
    pub fn reader(&self, hub: EventHubId, partition: PartitionId, start: Start) -> Result<Reader, ReaderError> {
        let partition = self.handle.shared.partition(hub, partition)?;
        Ok(Reader::new(Arc::clone(&self.handle.shared), partition, start))
    }

    /// Whether the log keeps its promises.
    pub fn health(&self) -> Health {
        lock(&self.handle.shared.health).health()
    }

    /// What the log counted since it was opened.
    pub fn statistics(&self) -> Statistics {
        let shared = &self.handle.shared;
        let free = shared.budget.available_permits();
        shared.counters.statistics(shared.config.staged_bytes_max.saturating_sub(free) as u64)
    }

    /// Stages nothing more, writes what is staged, ends the writer and gives the directory free.
    /// Blocks; a second call waits for the first.
    pub fn close(&self) {
        self.handle.close();
    }

    /// Commits one group on a log opened by [`EventLog::open_manual`]; `false` if nothing was
    /// staged or the log closed.
    #[cfg(feature = "testkit")]
    pub fn commit_staged(&self) -> bool {
        match lock(&self.handle.writer).as_mut() {
            Some(Drive::Manual(writer)) => writer.step(),
            Some(Drive::Thread(_)) | None => false,
        }
    }
}

impl Handle {
    fn close(&self) {
        let mut writer = lock(&self.writer);
        lock(&self.shared.staging).ended.get_or_insert(LogFailed::Closed);
        self.shared.staged.notify_one();
        match writer.take() {
            // A writer that panicked has nothing left to wait for.
            Some(Drive::Thread(thread)) => drop(thread.join()),
            #[cfg(feature = "testkit")]
            Some(Drive::Manual(mut writer)) => while writer.step() {},
            None => {}
        }
        self.shared.budget.close();
        lock(&self.lock).take();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("directory", &self.handle.shared.directory).finish_non_exhaustive()
    }
}

fn claim(disk: &dyn Disk, directory: &Path) -> Result<DirectoryLock, OpenError> {
    let failed = |operation| move |source| OpenError::Disk { operation, path: directory.to_owned(), source };
    disk.create_directory(directory).map_err(failed("creating"))?;
    disk.lock(&directory.join("lock")).map_err(|error| {
        if error.kind() == std::io::ErrorKind::WouldBlock {
            OpenError::InUse { directory: directory.to_owned() }
        } else {
            failed("locking")(error)
        }
    })
}

/// Adds a hub; partitions that left no trace begin like `untraced`.
fn define(shared: &Shared, hub: EventHubDefinition, untraced: PartitionProperties) -> Result<(), DefineError> {
    let mut hubs = write(&shared.hubs);
    let requested = hub.partitions.get();
    if let Some(existing) = hubs.get(&hub.id) {
        let existing = existing.len() as u32;
        let is_same = existing == requested;
        return if is_same { Ok(()) } else { Err(DefineError::PartitionCount { hub: hub.id, existing, requested }) };
    }
    let mut undefined = lock(&shared.undefined);
    let all = count(&hubs) + undefined.len() + requested as usize;
    let max = shared.config.partitions_max();
    if all > max {
        return Err(DefineError::TooManyPartitions { requested: all, max });
    }
    let partitions = hub.partitions.partitions().map(|id| {
        let key = (hub.id, id);
        Arc::new(Partition::new(key, undefined.remove(&key).unwrap_or(untraced)))
    });
    let partitions: Arc<[Arc<Partition>]> = partitions.collect();
    hubs.insert(hub.id, partitions);
    Ok(())
}

fn count(hubs: &HashMap<EventHubId, Arc<[Arc<Partition>]>>) -> usize {
    hubs.values().map(|partitions| partitions.len()).sum()
}
