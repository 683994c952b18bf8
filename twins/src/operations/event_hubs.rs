//! Definitions of event hubs. Their events are the event log's.

use model::partition::PartitionCount;
use model::{EventHubId, EventHubName, Timestamp};
use thiserror::Error;

use crate::error::StoreError;

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
