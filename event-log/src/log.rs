//! The handle of the log.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use model::{Clock, EventHubId, PartitionId, SequenceNumber, Timestamp};

use crate::batch::{Batch, Origin};
use crate::config::{Config, EventHubDefinition};
use crate::counters::Statistics;
use crate::disk::{DirectoryLock, Disk};
use crate::error::{DefineError, LogFailed, OpenError, ReadError, ReaderError, RemoveError, StageError, UnknownPartition};
use crate::health::Health;
use crate::opening::{self, Opened};
use crate::partition::PartitionProperties;
use crate::reader::{Reader, Start};
use crate::recovery::RecoveryReport;
use crate::recycle::Workshop;
use crate::shared::Shared;
use crate::spare::SpareSegments;
use crate::staging::{self, AppendPermit};
use crate::sync::{lock, read};
use crate::ticket::Ticket;
use crate::timestamps::{self, TimestampedOffset};
#[cfg(feature = "testkit")]
use crate::writer::Writer;
use crate::{hubs, keeper};

/// The log. A clone is another handle of the same; the last one dropped closes it.
#[derive(Clone)]
pub struct EventLog {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    drive: Mutex<Option<Drive>>,
    lock: Mutex<Option<DirectoryLock>>,
}

/// Who runs writer and keeper.
enum Drive {
    Threads {
        writer: JoinHandle<()>,
        keeper: JoinHandle<()>,
    },
    #[cfg(feature = "testkit")]
    Manual(Box<Writer>),
}

impl EventLog {
    /// Opens the log in `directory`, or begins one there, and recovers it. Blocks: reads the
    /// footers of sealed files and every segment that is not sealed, nine at most, and for a new
    /// log writes the first one full of zeros.
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
        let failed = |source| OpenError::Disk { operation: "starting a thread for", path: directory.to_owned(), source };
        let start = |workshop: &Arc<Workshop>| SpareSegments::background(Arc::clone(workshop));
        let opened = opening::open(directory, disk, config, clock, hubs, |workshop| start(workshop).map_err(failed))?;
        let Opened { shared, writer, directory_lock, report } = opened;
        let own = Arc::clone(&shared);
        let keeper = thread::Builder::new().name("log-sealer".into()).spawn(move || keeper::run(&own)).map_err(failed)?;
        let writer = thread::Builder::new().name("log-writer".into()).spawn(move || writer.run());
        let writer = writer.inspect_err(|_| shared.keeper_bell.close()).map_err(failed)?;
        Ok((Self::with(shared, Drive::Threads { writer, keeper }, directory_lock), report))
    }

    /// Opens a log without threads: groups are committed by [`EventLog::commit_staged`], segments
    /// sealed by [`EventLog::seal_oldest`] and files removed by [`EventLog::keep_retention`]
    /// alone, so that the order of everything that happens on disk is the test's.
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
        let inline = |workshop: &Arc<Workshop>| Ok(SpareSegments::inline(Arc::clone(workshop)));
        let Opened { shared, writer, directory_lock, report } = opening::open(directory, disk, config, clock, hubs, inline)?;
        Ok((Self::with(shared, Drive::Manual(Box::new(writer)), directory_lock), report))
    }

    fn with(shared: Arc<Shared>, drive: Drive, lock: DirectoryLock) -> Self {
        Self { handle: Arc::new(Handle { shared, drive: Mutex::new(Some(drive)), lock: Mutex::new(Some(lock)) }) }
    }

    /// Makes an event hub's partitions known; a second time only the retention takes effect.
    /// Events of the hub found at opening become readable.
    ///
    /// # Errors
    /// See [`DefineError`].
    pub fn define(&self, hub: EventHubDefinition) -> Result<(), DefineError> {
        hubs::define(&self.handle.shared, hub, PartitionProperties::empty(SequenceNumber::FIRST))
    }

    /// Removes an event hub with its events: they are unreadable at once, readers get
    /// [`ReadError::Removed`], its files go. What segments hold of it goes when they are sealed.
    /// Blocks, for a segment that is being sealed too. A second time it removes what is left.
    ///
    /// The log does not remember removals: after a crash, events in segments that were not sealed
    /// count as those of an undefined hub ([`RecoveryReport::undefined_hubs`]) until the owner
    /// removes it again.
    ///
    /// # Errors
    /// See [`RemoveError`].
    pub fn remove(&self, hub: EventHubId) -> Result<(), RemoveError> {
        hubs::remove(&self.handle.shared, hub)
    }

    /// Lets the events of a partition before `before` go, see [`Retention::Released`]. Held in
    /// memory: the owner says it again after opening. A smaller number than before has no effect.
    ///
    /// [`Retention::Released`]: crate::Retention::Released
    ///
    /// # Errors
    /// No such partition.
    pub fn release(&self, hub: EventHubId, partition: PartitionId, before: SequenceNumber) -> Result<(), UnknownPartition> {
        let partition = self.handle.shared.partition(hub, partition)?;
        partition.released.fetch_max(before.0, Ordering::Relaxed);
        self.handle.shared.keeper_bell.ring();
        Ok(())
    }

    /// The first event whose record's timestamp is `at_or_after` or later: timestamps are the
    /// producers' and in no order. Blocks: reads from disk.
    ///
    /// # Errors
    /// [`ReadError::UnknownPartition`], [`ReadError::Disk`].
    pub fn offset_for_timestamp(
        &self,
        hub: EventHubId,
        partition: PartitionId,
        at_or_after: Timestamp,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        let partition = self.handle.shared.partition(hub, partition)?;
        timestamps::first_at_or_after(&self.handle.shared, partition.key, at_or_after)
    }

    /// The first of the stored events with the latest record timestamp; `None` for a partition
    /// without events. Blocks: reads from disk.
    ///
    /// # Errors
    /// [`ReadError::UnknownPartition`], [`ReadError::Disk`].
    pub fn max_timestamp(&self, hub: EventHubId, partition: PartitionId) -> Result<Option<TimestampedOffset>, ReadError> {
        let partition = self.handle.shared.partition(hub, partition)?;
        timestamps::latest(&self.handle.shared, partition.key)
    }

    /// Resolves when the partition's [`next`](PartitionProperties::next) lies beyond `position`,
    /// the hub was removed or the log closed.
    ///
    /// # Errors
    /// No such partition.
    pub fn grown_past(
        &self,
        hub: EventHubId,
        partition: PartitionId,
        position: SequenceNumber,
    ) -> Result<impl Future<Output = ()> + Send + 'static, UnknownPartition> {
        let partition = self.handle.shared.partition(hub, partition)?;
        let shared = Arc::clone(&self.handle.shared);
        Ok(async move {
            loop {
                let mut grown = std::pin::pin!(partition.grown.notified());
                // Listening before looking: what happens in between wakes us.
                grown.as_mut().enable();
                let is_over = partition.is_removed.load(Ordering::Acquire) || shared.is_closed.load(Ordering::Acquire);
                if is_over || lock(&partition.durable).properties.next > position {
                    return;
                }
                grown.await;
            }
        })
    }

    /// Waits until `bytes` of the staging budget are free and takes them: before the work that
    /// makes the batch, so that a slow disk slows who sends. In order of calls. More than the
    /// whole budget waits for all of it.
    ///
    /// # Errors
    /// The log takes no more events.
    pub async fn reserve(&self, bytes: usize) -> Result<AppendPermit, LogFailed> {
        let shared = &self.handle.shared;
        self.check_taking()?;
        let bytes = bytes.min(shared.config.staged_bytes_max);
        let Ok(permit) = shared.budget.acquire_many(bytes as u32).await else { return Err(self.ended()) };
        // Refused while it waited; the permit goes back.
        self.check_taking()?;
        permit.forget();
        Ok(AppendPermit::new(Arc::clone(shared), bytes))
    }

    /// Like [`EventLog::reserve`], but `None` where that would wait.
    ///
    /// # Errors
    /// The log takes no more events.
    pub fn try_reserve(&self, bytes: usize) -> Result<Option<AppendPermit>, LogFailed> {
        let shared = &self.handle.shared;
        self.check_taking()?;
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

    /// Without a lock as long as the log takes events.
    fn check_taking(&self) -> Result<(), LogFailed> {
        if !self.handle.shared.refuses.load(Ordering::Acquire) {
            return Ok(());
        }
        lock(&self.handle.shared.staging).ended.clone().map_or(Ok(()), Err)
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
        let unsealed = read(&shared.catalogue).full_segments() as u64;
        shared.counters.statistics(shared.config.staged_bytes_max.saturating_sub(free) as u64, unsealed)
    }

    /// Stages nothing more, writes what is staged, ends the writer and gives the directory free.
    /// Blocks; a second call waits for the first.
    pub fn close(&self) {
        self.handle.close();
    }

    /// Commits one group on a log opened by [`EventLog::open_manual`], after rolling a segment
    /// that is too old and, where no segment could be had before, trying for one again; `false`
    /// if nothing was staged or the log closed.
    #[cfg(feature = "testkit")]
    pub fn commit_staged(&self) -> bool {
        match lock(&self.handle.drive).as_mut() {
            Some(Drive::Manual(writer)) => writer.step(),
            Some(Drive::Threads { .. }) | None => false,
        }
    }

    /// Seals the oldest full segment on the caller's thread; `false` if there is none.
    ///
    /// # Errors
    /// The disk's; the next call tries again.
    #[cfg(feature = "testkit")]
    pub fn seal_oldest(&self) -> std::io::Result<bool> {
        keeper::seal_oldest(&self.handle.shared)
    }

    /// Removes what retention lets go on the caller's thread; returns how many files went.
    ///
    /// # Errors
    /// The disk's; the next call goes on.
    #[cfg(feature = "testkit")]
    pub fn keep_retention(&self) -> std::io::Result<usize> {
        keeper::keep_retention(&self.handle.shared)
    }
}

impl Handle {
    fn close(&self) {
        let mut drive = lock(&self.drive);
        self.end_staging();
        match drive.take() {
            // A thread that panicked has nothing left to wait for. The writer may still need the
            // keeper's work, not its thread.
            Some(Drive::Threads { writer, keeper }) => {
                self.shared.keeper_bell.close();
                drop(writer.join());
                drop(keeper.join());
            }
            #[cfg(feature = "testkit")]
            Some(Drive::Manual(mut writer)) => while writer.step() {},
            None => {}
        }
        self.shared.budget.close();
        self.shared.is_closed.store(true, Ordering::Release);
        read(&self.shared.hubs).partitions().for_each(|partition| partition.grown.notify_waiters());
        lock(&self.lock).take();
    }

    /// Nothing more is staged. A log that waits for room waits no more.
    fn end_staging(&self) {
        let mut staging = lock(&self.shared.staging);
        if matches!(staging.ended, None | Some(LogFailed::Full { .. })) {
            staging.ended = Some(LogFailed::Closed);
        }
        self.shared.refuses.store(true, Ordering::Release);
        drop(staging);
        self.shared.staged.notify_one();
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
