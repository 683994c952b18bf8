//! The handle to everything in the database.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use model::limits::PARTITIONS_DEFAULT;
use model::partition::{InvalidPartitionCount, PartitionCount};
use model::{Clock, Identity, IdentityRecord, Timestamp};
use thiserror::Error;

use crate::command_settings::{CommandSettings, InvalidCommandSetting};
use crate::error::{SqliteFailure, StoreError};
use crate::identity_table::{DeviceStatistics, IdentityTable, Note};
use crate::store::{self, Agenda, ConnectionError, QueueBounds, Readers, Stop, Writer};

#[cfg(test)]
mod tests;

/// How often what was seen of connections is written.
const SEEN_WRITE_PERIOD: Duration = Duration::from_secs(30);
/// Identities whose facts are written in one operation, so that others get between.
const SEEN_WRITE_BATCH: usize = 500;

/// Bounds of the store. `Default` is what a hub runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Operations that may wait for the writer; the next caller waits outside.
    pub queue_entries_max: usize,
    /// Bytes of documents and bodies that may wait for the writer; the next caller waits outside.
    pub queue_bytes_max: usize,
    /// Partitions of the built-in event hub `events`, when the database is created.
    pub events_partitions: u32,
    /// Bounds of command queues and feedback.
    pub commands: CommandSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            queue_entries_max: 4096,
            queue_bytes_max: 32 * 1024 * 1024,
            events_partitions: PARTITIONS_DEFAULT,
            commands: CommandSettings::default(),
        }
    }
}

/// Why the database was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A configured number of partitions out of bounds.
    #[error(transparent)]
    Partitions(#[from] InvalidPartitionCount),
    /// A configured bound of commands or feedback out of its own bounds; the first of
    /// [`CommandSettings::faults`].
    #[error(transparent)]
    Commands(#[from] InvalidCommandSetting),
    /// The schema cannot be brought up to date: not a database, not writable, or made by a later
    /// version.
    #[error("the database cannot be migrated: {0}")]
    Migrate(sqlx::migrate::MigrateError),
    /// The writer's connection is not fit for use.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Read(#[from] StoreError),
    /// The writer's thread cannot be started.
    #[error("the writer's thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// The registry, twins, commands, subscriptions, trust and event hub definitions of one hub.
/// Cheap to clone; the last clone to go stops the writer after what it has taken.
#[derive(Debug, Clone)]
pub struct Twins {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) table: Arc<IdentityTable>,
    pub(crate) clock: Clock,
    pub(crate) settings: CommandSettings,
    writing_seen: tokio::sync::Mutex<()>,
}

impl Twins {
    /// Opens the database at `path`, creating or migrating it, and reads every identity into
    /// memory. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`]: among others when WAL or `synchronous=FULL` do not take, or SQLite is older
    /// than 3.51.3.
    pub async fn open(path: &Path, clock: Clock, config: Config) -> Result<Self, OpenError> {
        let events_partitions = PartitionCount::try_from(config.events_partitions)?;
        if let Some(fault) = config.commands.faults().into_iter().next() {
            return Err(fault.into());
        }
        store::migrate(path).await.map_err(OpenError::Migrate)?;
        let connection = store::open_writer_connection(path)?;
        let table = Arc::new(IdentityTable::new());
        store::load_identities(&connection, &table)?;
        let bounds = QueueBounds { entries: config.queue_entries_max, bytes: config.queue_bytes_max };
        let (settings, agenda) = (config.commands, Agenda::load(&connection)?);
        let writer = Writer::start(connection, Arc::clone(&table), clock.clone(), bounds, settings.clone(), agenda);
        let writer = writer.map_err(OpenError::Thread)?;
        let readers = Readers::open(path).await.map_err(StoreError::from)?;
        let inner = Arc::new(Inner { writer, readers, table, clock, settings, writing_seen: tokio::sync::Mutex::default() });
        let twins = Self { inner };
        twins.ensure_events_hub(events_partitions).await?;
        tokio::spawn(write_seen_now_and_then(Arc::downgrade(&twins.inner)));
        Ok(twins)
    }

    /// Writes what waits, takes nothing more, and returns when the writer has ended. Every
    /// operation after it answers [`StoreError::Closed`].
    pub async fn close(&self) {
        if let Err(error) = self.inner.write_seen().await {
            tracing::warn!(%error, "what was last seen of connections was not written");
        }
        if let Some(thread) = self.inner.writer.close() {
            let ended = tokio::task::spawn_blocking(|| thread.join().is_ok()).await;
            if !matches!(ended, Ok(true)) {
                tracing::error!("the writer's thread ended by a panic");
            }
        }
        self.inner.readers.0.close().await;
    }

    /// Whether writes are taken.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`] with the failure after which none are, or [`StoreError::Closed`].
    pub fn health(&self) -> Result<(), StoreError> {
        self.inner.writer.health()
    }

    /// What admission needs of an identity, from memory.
    ///
    /// The record is a snapshot: one fetched before a change and judged after it can admit under
    /// an epoch that has already been raised. Whoever admits therefore compares the record with
    /// another fetched after the grant is registered, and starts over when they differ.
    pub fn identity(&self, identity: &Identity) -> Option<Arc<IdentityRecord>> {
        self.inner.table.record(identity)
    }

    /// How many devices there are, from memory.
    pub fn device_statistics(&self) -> DeviceStatistics {
        self.inner.table.statistics()
    }

    /// Notes a connection that keeps a session. Each is to be followed by one
    /// [`Twins::note_disconnected`]; the identity shows as connected while one is open.
    ///
    /// Notes are seen by reads at once and written within half a minute, and when the store is
    /// closed; a crash may lose the last.
    pub fn note_connected(&self, identity: &Identity, at: Timestamp) {
        self.inner.table.note(identity, Note::Connected, at);
    }

    /// Notes the end of a connection noted before.
    pub fn note_disconnected(&self, identity: &Identity, at: Timestamp) {
        self.inner.table.note(identity, Note::Disconnected, at);
    }

    /// Notes that an identity sent or received something.
    pub fn note_activity(&self, identity: &Identity, at: Timestamp) {
        self.inner.table.note(identity, Note::Activity, at);
    }

    /// Notes the digital-twin model that an identity announced.
    pub fn note_model_id(&self, identity: &Identity, model_id: &str) {
        self.inner.table.note(identity, Note::ModelId(model_id), Timestamp::NEVER);
    }
}

impl Inner {
    /// Writes the facts that are newer than their rows when this begins: each row once, however
    /// busy its identity is meanwhile. Waits for one that is under way. What an error keeps from being
    /// written is written with what is noted later.
    async fn write_seen(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.writing_seen.lock().await;
        let mut listed = self.table.take_listed();
        while !listed.is_empty() {
            let batch = listed.split_off(listed.len().saturating_sub(SEEN_WRITE_BATCH));
            let unwritten = Arc::new(self.table.to_write(batch));
            let batch = Arc::clone(&unwritten);
            let write = move |unit: &mut store::Unit<'_>| {
                batch.iter().try_for_each(|(identity, seen)| unit.write_seen(identity, seen)).map_err(Stop::<StoreError>::from)
            };
            if let Err(error) = self.writer.submit(0, write).await {
                self.table.list_unwritten(&unwritten);
                self.table.list_again(listed);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Ends when the store is dropped, closed or poisoned.
async fn write_seen_now_and_then(inner: Weak<Inner>) {
    let mut period = tokio::time::interval(SEEN_WRITE_PERIOD);
    loop {
        period.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        match inner.write_seen().await {
            Ok(()) | Err(StoreError::Transaction(_)) => {}
            Err(StoreError::Closed | StoreError::Poisoned(_) | StoreError::Read(_) | StoreError::Inconsistent { .. }) => return,
        }
    }
}

impl From<SqliteFailure> for OpenError {
    fn from(failure: SqliteFailure) -> Self {
        Self::Read(StoreError::Read(failure))
    }
}
