//! Definitions of event hubs. Their events are the event log's.

use model::partition::PartitionCount;
use model::{EventHubId, EventHubName, Timestamp};
use rusqlite::params;
use thiserror::Error;

use crate::error::StoreError;
use crate::handle::Twins;
use crate::store::{ReadRow, Stop, Unit, refuse};

/// An event hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHub {
    /// Its number in the log, never given to another.
    pub id: EventHubId,
    /// Its name, unique; letters of different case differ.
    pub name: EventHubName,
    /// How many partitions it has, for ever.
    pub partitions: PartitionCount,
    /// When it was created.
    pub created: Timestamp,
}

/// Why an event hub was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateEventHubError {
    /// The name is taken.
    #[error("the event hub {0} exists already")]
    AlreadyExists(EventHubName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The event hub that device telemetry goes to.
const BUILT_IN: &str = "events";

impl Twins {
    /// Every event hub in the order of their creation; the first is the built-in `events`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn event_hubs(&self) -> Result<Vec<EventHub>, StoreError> {
        let query = sqlx::query("SELECT id, name, partitions, created FROM event_hubs ORDER BY id");
        query.fetch_all(&self.inner.readers.0).await?.iter().map(read_event_hub).collect()
    }

    /// Defines an event hub.
    ///
    /// # Errors
    /// [`CreateEventHubError`].
    pub async fn create_event_hub(&self, name: EventHubName, partitions: PartitionCount) -> Result<EventHub, CreateEventHubError> {
        self.inner.writer.submit(0, move |unit| unit.create_event_hub(name, partitions)).await
    }

    /// Defines the built-in event hub unless it is there; then its partitions stay as they are.
    pub(crate) async fn ensure_events_hub(&self, partitions: PartitionCount) -> Result<(), StoreError> {
        let Ok(name) = BUILT_IN.parse() else { return Ok(()) };
        match self.create_event_hub(name, partitions).await {
            Ok(_) | Err(CreateEventHubError::AlreadyExists(_)) => Ok(()),
            Err(CreateEventHubError::Store(error)) => Err(error),
        }
    }
}

fn read_event_hub(row: &impl ReadRow) -> Result<EventHub, StoreError> {
    let inconsistent =
        |column, reason: &dyn std::fmt::Display| StoreError::Inconsistent { table: "event_hubs", column, reason: reason.to_string() };
    let number = |index, column| {
        let number = row.unsigned(index).map_err(StoreError::Read)?;
        u32::try_from(number).map_err(|error| inconsistent(column, &error))
    };
    let name: String = row.column(1).map_err(StoreError::Read)?;
    Ok(EventHub {
        id: EventHubId(number(0, "id")?),
        name: name.parse().map_err(|error| inconsistent("name", &error))?,
        partitions: number(2, "partitions")?.try_into().map_err(|error| inconsistent("partitions", &error))?,
        created: Timestamp::from_milliseconds(row.column(3).map_err(StoreError::Read)?),
    })
}

impl Unit<'_> {
    fn create_event_hub(&mut self, name: EventHubName, partitions: PartitionCount) -> Result<EventHub, Stop<CreateEventHubError>> {
        let mut exists = self.connection.prepare_cached("SELECT 1 FROM event_hubs WHERE name = ?1")?;
        if exists.exists([name.as_str()])? {
            return refuse(CreateEventHubError::AlreadyExists(name));
        }
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO event_hubs (name, partitions, created) VALUES (?1, ?2, ?3) RETURNING id, name, partitions, created",
        )?;
        let mut rows = insert.query(params![name.as_str(), partitions.get(), self.now().as_milliseconds()])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(read_event_hub(row)?)
    }
}
