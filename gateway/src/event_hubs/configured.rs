//! Event hubs that the configuration wants there.

use std::time::Duration;

use model::partition::PartitionCount;
use model::{EventHubName, Retention};
use thiserror::Error;
use twins::{CreateEventHubError, EventHubChange, NewEventHub, UpdateEventHubError};

use super::{DefineEventHubError, EventHubs};

/// `[[event_hub]]`. What it leaves out is the default of an event hub to create, and stays as it
/// is of one that exists: a start must not shorten what an operator has lengthened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfiguredEventHub {
    /// Its name.
    pub(crate) name: EventHubName,
    /// How many partitions it is to have.
    pub(crate) partitions: Option<PartitionCount>,
    /// How long its events are kept.
    pub(crate) retention_time: Option<Duration>,
    /// How many bytes of events are kept.
    pub(crate) retention_bytes: Option<u64>,
    /// The largest event it takes.
    pub(crate) message_bytes_max: Option<u32>,
}

/// Why an event hub cannot be as configured.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum EnsureEventHubError {
    /// It does not exist and cannot be created.
    #[error(transparent)]
    Create(#[from] DefineEventHubError<CreateEventHubError>),
    /// It exists and cannot be changed; above all, it has another number of partitions.
    #[error(transparent)]
    Update(#[from] DefineEventHubError<UpdateEventHubError>),
}

/// Creates the event hub, or brings its settings to what is configured.
///
/// # Errors
/// [`EnsureEventHubError`]
pub(crate) async fn ensure(event_hubs: &EventHubs, wanted: ConfiguredEventHub) -> Result<(), EnsureEventHubError> {
    let ConfiguredEventHub { name, partitions, retention_time, retention_bytes, message_bytes_max } = wanted;
    let Some(stored) = event_hubs.get(name.as_str()) else {
        let default = Retention::default();
        let new = NewEventHub::new(name, partitions.unwrap_or_default());
        let retention = Retention { time: retention_time.unwrap_or(default.time), bytes: retention_bytes };
        let message_bytes_max = message_bytes_max.unwrap_or(new.message_bytes_max);
        event_hubs.create(NewEventHub { retention, message_bytes_max, ..new }).await?;
        return Ok(());
    };
    let change = EventHubChange { partitions, retention_time, retention_bytes: retention_bytes.map(Some), message_bytes_max };
    let is_so = partitions.is_none_or(|partitions| partitions == stored.partitions)
        && retention_time.is_none_or(|time| time == stored.retention.time)
        && retention_bytes.is_none_or(|bytes| Some(bytes) == stored.retention.bytes)
        && message_bytes_max.is_none_or(|bytes| bytes == stored.message_bytes_max);
    if !is_so {
        event_hubs.update(&name, change).await?;
    }
    Ok(())
}
