//! What handle, writer and readers of one log share.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, RwLock};

use model::{Clock, EventHubId, PartitionId};
use tokio::sync::Semaphore;

use std::collections::HashMap;

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::counters::Counters;
use crate::disk::Disk;
use crate::error::UnknownPartition;
use crate::format::Position;
use crate::health::HealthState;
use crate::hubs::Hubs;
use crate::keeper::{Bell, Keeper};
use crate::partition::{Partition, PartitionKey, PartitionProperties};
use crate::recycle::Workshop;
use crate::staging::Staging;
use crate::sync::{lock, read};

pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) hubs: RwLock<Hubs>,
    /// Partitions found in the log whose event hub is not defined.
    pub(crate) undefined: Mutex<HashMap<PartitionKey, PartitionProperties>>,
    pub(crate) staging: Mutex<Staging>,
    /// Signalled when there is something to write, room to try for, or the log closes.
    pub(crate) staged: Condvar,
    /// Set while [`Staging::ended`] is: looked at without the lock.
    pub(crate) refuses: AtomicBool,
    pub(crate) budget: Semaphore,
    pub(crate) catalogue: RwLock<Catalogue>,
    pub(crate) workshop: Arc<Workshop>,
    /// Held through each change of the sealed files: sealing, retention, removal of a hub.
    pub(crate) keeper: Mutex<Keeper>,
    pub(crate) keeper_bell: Bell,
    pub(crate) is_closed: AtomicBool,
    pub(crate) health: Mutex<HealthState>,
    pub(crate) counters: Arc<Counters>,
}

impl Shared {
    pub(crate) fn partition(&self, hub: EventHubId, partition: PartitionId) -> Result<Arc<Partition>, UnknownPartition> {
        let hubs = read(&self.hubs);
        let found = hubs.defined.get(&hub).and_then(|hub| hub.partitions.get(partition.0 as usize));
        found.cloned().ok_or(UnknownPartition { hub, partition })
    }

    /// Where every partition stands, for the head of a segment. Partitions without events need
    /// no entry.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let mut positions: Vec<Position> = lock(&self.undefined).iter().map(|(key, properties)| position(*key, properties)).collect();
        for partition in read(&self.hubs).partitions() {
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
