//! Definitions of event hubs. Their events are the event log's.

use std::time::Duration;

use model::event_hub::{InvalidEventHubSetting, checked_message_bytes_max};
use model::limits::EVENT_BYTES_MAX;
use model::partition::PartitionCount;
use model::{EventHubId, EventHubName, Retention, Timestamp};
use rusqlite::{OptionalExtension as _, params};
use thiserror::Error;

use crate::error::{StoreError, UnknownEventHub};
use crate::handle::Twins;
use crate::store::{ReadRow, Stop, Unit, from_unsigned, refuse, to_unsigned};

/// An event hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHub {
    /// Its number in the log, never given to another.
    pub id: EventHubId,
    /// Its name, unique; letters of different case differ.
    pub name: EventHubName,
    /// How many partitions it has, for ever.
    pub partitions: PartitionCount,
    /// How long its events are kept.
    pub retention: Retention,
    /// The largest event, in bytes, that it takes from those who send to it directly. Messages of
    /// devices have a bound of their own.
    pub message_bytes_max: u32,
    /// Drawn at random at its creation: tells it from others of the same name, earlier or later.
    pub topic_id: [u8; 16],
    /// When it was created.
    pub created: Timestamp,
}

/// An event hub to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEventHub {
    /// Its name.
    pub name: EventHubName,
    /// How many partitions it is to have.
    pub partitions: PartitionCount,
    /// How long its events are to be kept.
    pub retention: Retention,
    /// The largest event it is to take, in bytes.
    pub message_bytes_max: u32,
}

impl NewEventHub {
    /// One with the default retention that takes the largest events there are.
    pub fn new(name: EventHubName, partitions: PartitionCount) -> Self {
        Self { name, partitions, retention: Retention::default(), message_bytes_max: EVENT_BYTES_MAX as u32 }
    }
}

/// What is to change of an event hub; `None` leaves a setting as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventHubChange {
    /// Refused unless it is what the event hub has.
    pub partitions: Option<PartitionCount>,
    /// How long its events are kept.
    pub retention_time: Option<Duration>,
    /// How many bytes of events are kept; `Some(None)` removes the bound.
    pub retention_bytes: Option<Option<u64>>,
    /// The largest event it takes, in bytes.
    pub message_bytes_max: Option<u32>,
}

/// Why an event hub was not created. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateEventHubError {
    /// The name is taken.
    #[error("the event hub {0} exists already")]
    AlreadyExists(EventHubName),
    /// A setting out of bounds.
    #[error(transparent)]
    Setting(#[from] InvalidEventHubSetting),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an event hub was not changed. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpdateEventHubError {
    /// No such event hub.
    #[error(transparent)]
    NotFound(#[from] UnknownEventHub),
    /// Another number of partitions: keys would go elsewhere and lose their order.
    #[error("the event hub {name} has {has} partitions for ever; it cannot have {wanted}")]
    Partitions {
        /// The event hub.
        name: EventHubName,
        /// What it has.
        has: u32,
        /// What was asked for.
        wanted: u32,
    },
    /// A setting out of bounds.
    #[error(transparent)]
    Setting(#[from] InvalidEventHubSetting),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an event hub was not deleted. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeleteEventHubError {
    /// No such event hub.
    #[error(transparent)]
    NotFound(#[from] UnknownEventHub),
    /// Device telemetry goes to it.
    #[error("the event hub events is built in: device messages go to it, so it cannot be deleted")]
    BuiltIn,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a row is read from, in the order of [`read_event_hub`].
macro_rules! columns {
    () => {
        "id, name, partitions, retention_time, retention_bytes, message_bytes_max, topic_id, created"
    };
}

const SELECT_ALL: &str = concat!("SELECT ", columns!(), " FROM event_hubs ORDER BY id");
const SELECT_NAMED: &str = concat!("SELECT ", columns!(), " FROM event_hubs WHERE name = ?1");
const INSERT: &str = concat!(
    "INSERT INTO event_hubs (name, partitions, retention_time, retention_bytes, message_bytes_max, topic_id, created) ",
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING ",
    columns!()
);

impl Twins {
    /// Every event hub in the order of their creation; the first is the built-in `events`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn event_hubs(&self) -> Result<Vec<EventHub>, StoreError> {
        sqlx::query(SELECT_ALL).fetch_all(&self.inner.readers.0).await?.iter().map(read_event_hub).collect()
    }

    /// Defines an event hub under an id that no other ever had.
    ///
    /// # Errors
    /// [`CreateEventHubError`].
    pub async fn create_event_hub(&self, new: NewEventHub) -> Result<EventHub, CreateEventHubError> {
        let new = NewEventHub {
            retention: new.retention.checked()?,
            message_bytes_max: checked_message_bytes_max(new.message_bytes_max)?,
            ..new
        };
        self.inner.writer.submit(0, move |unit| unit.create_event_hub(new)).await
    }

    /// Changes an event hub's settings; gives it as it is then.
    ///
    /// # Errors
    /// [`UpdateEventHubError`].
    pub async fn update_event_hub(&self, name: &EventHubName, change: EventHubChange) -> Result<EventHub, UpdateEventHubError> {
        let name = name.clone();
        self.inner.writer.submit(0, move |unit| unit.update_event_hub(name, change)).await
    }

    /// Forgets an event hub and its policies; gives what it was. Its name may be used again, its
    /// id never is.
    ///
    /// # Errors
    /// [`DeleteEventHubError`].
    pub async fn delete_event_hub(&self, name: &EventHubName) -> Result<EventHub, DeleteEventHubError> {
        if *name == EventHubName::events() {
            return Err(DeleteEventHubError::BuiltIn);
        }
        let name = name.clone();
        self.inner.writer.submit(0, move |unit| unit.delete_event_hub(name)).await
    }

    /// Defines the built-in event hub unless it is there; then its partitions stay as they are.
    pub(crate) async fn ensure_events_hub(&self, partitions: PartitionCount) -> Result<(), StoreError> {
        let ensure = move |unit: &mut Unit<'_>| match unit.event_hub(&EventHubName::events())? {
            Some(_) => Ok(()),
            None => unit.insert_event_hub(&NewEventHub::new(EventHubName::events(), partitions)).map(drop),
        };
        self.inner.writer.submit(0, ensure).await
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
    let retention_bytes: Option<i64> = row.column(4).map_err(StoreError::Read)?;
    let topic_id: Vec<u8> = row.column(6).map_err(StoreError::Read)?;
    Ok(EventHub {
        id: EventHubId(number(0, "id")?),
        name: name.parse().map_err(|error| inconsistent("name", &error))?,
        partitions: number(2, "partitions")?.try_into().map_err(|error| inconsistent("partitions", &error))?,
        retention: Retention {
            time: Duration::from_millis(row.unsigned(3).map_err(StoreError::Read)?),
            bytes: retention_bytes.map(to_unsigned),
        },
        message_bytes_max: number(5, "message_bytes_max")?,
        topic_id: topic_id.try_into().map_err(|_| inconsistent("topic_id", &"it has not 16 bytes"))?,
        created: Timestamp::from_milliseconds(row.column(7).map_err(StoreError::Read)?),
    })
}

impl Unit<'_> {
    pub(super) fn event_hub<E: From<StoreError>>(&mut self, name: &EventHubName) -> Result<Option<EventHub>, Stop<E>> {
        let mut select = self.connection.prepare_cached(SELECT_NAMED)?;
        let found = select.query_row([name.as_str()], |row| Ok(read_event_hub(row))).optional()?;
        Ok(found.transpose()?)
    }

    fn create_event_hub(&mut self, new: NewEventHub) -> Result<EventHub, Stop<CreateEventHubError>> {
        match self.event_hub(&new.name)? {
            Some(_) => refuse(CreateEventHubError::AlreadyExists(new.name)),
            None => self.insert_event_hub(&new),
        }
    }

    fn insert_event_hub<E: From<StoreError>>(&mut self, new: &NewEventHub) -> Result<EventHub, Stop<E>> {
        let mut insert = self.connection.prepare_cached(INSERT)?;
        let NewEventHub { name, partitions, retention, message_bytes_max } = new;
        let (time, bytes) = retention_columns(retention);
        let topic_id: [u8; 16] = rand::random();
        let created = self.now().as_milliseconds();
        let row = params![name.as_str(), partitions.get(), time, bytes, message_bytes_max, topic_id, created];
        Ok(insert.query_row(row, |row| Ok(read_event_hub(row)))??)
    }

    fn update_event_hub(&mut self, name: EventHubName, change: EventHubChange) -> Result<EventHub, Stop<UpdateEventHubError>> {
        let Some(stored) = self.event_hub(&name)? else { return refuse(UnknownEventHub(name)) };
        if let Some(wanted) = change.partitions.filter(|wanted| *wanted != stored.partitions) {
            return refuse(UpdateEventHubError::Partitions { name, has: stored.partitions.get(), wanted: wanted.get() });
        }
        let changed = match changed(stored, change) {
            Ok(changed) => changed,
            Err(invalid) => return refuse(invalid),
        };
        let mut update = self
            .connection
            .prepare_cached("UPDATE event_hubs SET retention_time = ?2, retention_bytes = ?3, message_bytes_max = ?4 WHERE id = ?1")?;
        let (time, bytes) = retention_columns(&changed.retention);
        update.execute(params![changed.id.0, time, bytes, changed.message_bytes_max])?;
        Ok(changed)
    }

    fn delete_event_hub(&mut self, name: EventHubName) -> Result<EventHub, Stop<DeleteEventHubError>> {
        let Some(stored) = self.event_hub(&name)? else { return refuse(UnknownEventHub(name)) };
        self.connection.prepare_cached("DELETE FROM event_hubs WHERE id = ?1")?.execute([stored.id.0])?;
        Ok(stored)
    }
}

fn changed(stored: EventHub, change: EventHubChange) -> Result<EventHub, InvalidEventHubSetting> {
    let retention = Retention {
        time: change.retention_time.unwrap_or(stored.retention.time),
        bytes: change.retention_bytes.unwrap_or(stored.retention.bytes),
    };
    Ok(EventHub {
        retention: retention.checked()?,
        message_bytes_max: checked_message_bytes_max(change.message_bytes_max.unwrap_or(stored.message_bytes_max))?,
        ..stored
    })
}

fn retention_columns(retention: &Retention) -> (i64, Option<i64>) {
    (from_unsigned(retention.milliseconds()), retention.bytes.map(from_unsigned))
}
