//! The one writer: a thread that commits in groups.
//!
//! It takes everything that waits, up to a bound, into one transaction, and answers nobody
//! before COMMIT has returned. While one group is being synced the next one gathers, so the
//! groups grow with the load. A failure of SQLite fails its whole group; one of IO also ends
//! writing until a restart, because after a failed sync nobody knows what is on disk.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use model::{Clock, Timestamp};
use rusqlite::Connection;
use rusqlite::ffi;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::agenda::Agenda;
use super::lock_table::LockTable;
use super::unit::{Stop, Unit};
use crate::command_settings::CommandSettings;
use crate::error::{SqliteFailure, StoreError};
use crate::identity_table::{IdentityChange, IdentityTable};

#[cfg(test)]
mod tests;

/// Operations in one transaction: enough that a sync costs each of them little, few enough that
/// the first does not wait long for the last.
const GROUP_OPERATIONS_MAX: usize = 1024;

/// How much may wait for the writer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueBounds {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// Hands operations to the writer's thread.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
    poison: Arc<OnceLock<SqliteFailure>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    deadline: watch::Receiver<Option<Timestamp>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        connection: Connection,
        table: Arc<IdentityTable>,
        clock: Clock,
        bounds: QueueBounds,
        settings: CommandSettings,
        agenda: Agenda,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(bounds.entries.max(1));
        let bytes_max = bounds.bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let poison = Arc::new(OnceLock::new());
        let (told, deadline) = watch::channel(agenda.next(None));
        let shift = Shift {
            connection,
            locks: LockTable::default(),
            agenda,
            settings,
            deadline: told,
            table,
            clock,
            last_generation: 0,
            poison: Arc::clone(&poison),
        };
        let thread = std::thread::Builder::new().name("twins-writer".to_owned()).spawn(move || shift.run(receiver))?;
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            bytes: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
            poison,
            thread: Mutex::new(Some(thread)),
            deadline,
        })
    }

    /// Runs `work` in the next transaction and returns its outcome once that is committed.
    ///
    /// `bytes` is what the work holds beside itself. While the queue is full, in entries or
    /// bytes, the caller waits. A caller that stops waiting for the outcome does not undo it.
    pub(crate) async fn submit<T, E>(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut Unit<'_>) -> Result<T, Stop<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.health()?;
        let permits = u32::try_from(bytes.min(self.bytes_max)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.bytes).acquire_many_owned(permits).await.map_err(|_| StoreError::Closed)?;
        let (reply, outcome) = oneshot::channel();
        let sender = lock(&self.queue).clone().ok_or(StoreError::Closed)?;
        let operation = Operation { work: Some(work), outcome: None, reply };
        sender.send(Job { task: Box::new(operation), _bytes: permit }).await.map_err(|_| StoreError::Closed)?;
        drop(sender);
        outcome.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// The next moment in the agenda, after each transaction.
    pub(crate) fn deadline(&self) -> watch::Receiver<Option<Timestamp>> {
        self.deadline.clone()
    }

    /// Whether writes are taken.
    pub(crate) fn health(&self) -> Result<(), StoreError> {
        if let Some(failure) = self.poison.get() {
            return Err(StoreError::Poisoned(failure.clone()));
        }
        let is_open = lock(&self.queue).as_ref().is_some_and(|queue| !queue.is_closed());
        if is_open { Ok(()) } else { Err(StoreError::Closed) }
    }

    /// Takes no more, and returns the thread that is finishing what was taken.
    pub(crate) fn close(&self) -> Option<JoinHandle<()>> {
        lock(&self.queue).take();
        lock(&self.thread).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An operation in the queue, with its share of the bytes that may wait.
struct Job {
    task: Box<dyn Task>,
    _bytes: OwnedSemaphorePermit,
}

trait Task: Send {
    /// Does the work; after an error the transaction must fail.
    fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), SqliteFailure>;
    /// Tells the caller, once the transaction has succeeded or failed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Operation<W, T, E> {
    work: Option<W>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<W, T, E> Task for Operation<W, T, E>
where
    W: FnOnce(&mut Unit<'_>) -> Result<T, Stop<E>> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), SqliteFailure> {
        let Some(work) = self.work.take() else { return Ok(()) };
        self.outcome = Some(unit.attempt(work)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { outcome, reply, .. } = *self;
        let answer = committed.map_err(E::from).and_then(|()| outcome.unwrap_or_else(|| Err(StoreError::Closed.into())));
        // A caller that has gone away has no use for it.
        let _ = reply.send(answer);
    }
}

/// What the thread works with.
struct Shift {
    connection: Connection,
    locks: LockTable,
    agenda: Agenda,
    settings: CommandSettings,
    deadline: watch::Sender<Option<Timestamp>>,
    table: Arc<IdentityTable>,
    clock: Clock,
    last_generation: i64,
    poison: Arc<OnceLock<SqliteFailure>>,
}

impl Shift {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::new();
        while queue.blocking_recv_many(&mut group, GROUP_OPERATIONS_MAX) > 0 {
            let committed = match self.poison.get() {
                Some(failure) => Err(StoreError::Poisoned(failure.clone())),
                None => self.commit(&mut group),
            };
            for job in group.drain(..) {
                job.task.answer(committed.clone());
            }
        }
    }

    /// Runs a group in one transaction and commits it, with all that hangs on the commit.
    fn commit(&mut self, group: &mut [Job]) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        let agenda = self.agenda;
        match self.transact(group, &mut changes) {
            Ok(()) => {
                self.locks.keep();
                self.tell_deadline();
                changes.into_iter().for_each(|change| self.table.apply(change));
                Ok(())
            }
            Err(failure) => {
                self.agenda = agenda;
                self.roll_back();
                Err(self.failed(failure))
            }
        }
    }

    fn transact(&mut self, group: &mut [Job], changes: &mut Vec<IdentityChange>) -> Result<(), SqliteFailure> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for job in group {
            let mut unit = Unit {
                connection: &self.connection,
                locks: &mut self.locks,
                agenda: &mut self.agenda,
                settings: &self.settings,
                now: self.clock.now(),
                changes,
                last_generation: &mut self.last_generation,
            };
            job.task.run(&mut unit)?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn tell_deadline(&self) {
        let next = self.agenda.next(self.locks.next_end());
        self.deadline.send_if_modified(|told| std::mem::replace(told, next) != next);
    }

    fn roll_back(&mut self) {
        self.locks.undo();
        // SQLite has rolled back by itself after some errors; then there is nothing left to do.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
            self.poison.get_or_init(|| error.into());
        }
    }

    fn failed(&self, failure: SqliteFailure) -> StoreError {
        if is_lasting(&failure) {
            tracing::error!(%failure, "a transaction failed on IO; no more writes are taken until a restart");
            self.poison.get_or_init(|| failure.clone());
        } else {
            tracing::error!(%failure, "a transaction failed");
        }
        StoreError::Transaction(failure)
    }
}

/// Whether a failure speaks of the disk or the file rather than of a statement.
fn is_lasting(failure: &SqliteFailure) -> bool {
    let primary = failure.code.map(|code| code & 0xff);
    matches!(
        primary,
        Some(ffi::SQLITE_IOERR | ffi::SQLITE_FULL | ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB | ffi::SQLITE_CANTOPEN | ffi::SQLITE_READONLY)
    )
}
