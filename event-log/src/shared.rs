//! What handle, writer and readers of one log share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, RwLock};

use model::{Clock, EventHubId, PartitionId};
use tokio::sync::Semaphore;

use crate::counters::Counters;
use crate::error::UnknownPartition;
use crate::format::Position;
use crate::health::HealthState;
use crate::log::Config;
use crate::partition::{Partition, PartitionKey, PartitionProperties};
use crate::segment::Segment;
use crate::staging::Staging;
use crate::sync::{lock, read};

pub(crate) struct Shared {
    pub(crate) directory: PathBuf,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) hubs: RwLock<HashMap<EventHubId, Arc<[Arc<Partition>]>>>,
    /// Partitions found in the log whose event hub is not defined.
    pub(crate) undefined: Mutex<HashMap<PartitionKey, PartitionProperties>>,
    pub(crate) staging: Mutex<Staging>,
    /// Signalled when there is something to write, or the log closes.
    pub(crate) staged: Condvar,
    pub(crate) budget: Semaphore,
    /// In order of their epochs; the last one is written.
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    pub(crate) health: Mutex<HealthState>,
    pub(crate) counters: Counters,
}

impl Shared {
    pub(crate) fn partition(&self, hub: EventHubId, partition: PartitionId) -> Result<Arc<Partition>, UnknownPartition> {
        let hubs = read(&self.hubs);
        let found = hubs.get(&hub).and_then(|partitions| partitions.get(partition.0 as usize));
        found.cloned().ok_or(UnknownPartition { hub, partition })
    }

    /// Where every partition stands, for the head of a segment. Partitions without events need
    /// no entry.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let mut positions: Vec<Position> = lock(&self.undefined).iter().map(|(key, properties)| position(*key, properties)).collect();
        for partition in read(&self.hubs).values().flat_map(|partitions| partitions.iter()) {
            positions.push(position(partition.key, &lock(&partition.durable).properties));
        }
        positions.retain(|position| position.next.0 > 0);
        positions.sort_unstable_by_key(|position| (position.hub, position.partition));
        positions
    }
}

fn position((hub, partition): PartitionKey, properties: &PartitionProperties) -> Position {
    let last_time = properties.last_enqueued_time.unwrap_or(model::Timestamp::NEVER);
    Position { hub, partition, next: properties.next, last_time }
}
