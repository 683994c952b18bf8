//! The event hubs that the log knows: defined, defined anew, removed.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::EventHubId;

use crate::config::EventHubDefinition;
use crate::error::{DefineError, RemoveError};
use crate::partition::{Partition, PartitionProperties};
use crate::retention::Retention;
use crate::sealed;
use crate::shared::Shared;
use crate::sync::{lock, read, write};

/// The event hubs that the log knows.
#[derive(Default)]
pub(crate) struct Hubs {
    pub(crate) defined: HashMap<EventHubId, Hub>,
    /// Their frames are left out when segments are sealed.
    pub(crate) removed: HashSet<EventHubId>,
}

/// An event hub in memory.
pub(crate) struct Hub {
    pub(crate) partitions: Arc<[Arc<Partition>]>,
    pub(crate) retention: Retention,
}

impl Hubs {
    /// All partitions of defined hubs.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.defined.values().flat_map(|hub| hub.partitions.iter())
    }
}

/// Adds a hub, or changes its retention; partitions that left no trace begin like `untraced`.
pub(crate) fn define(shared: &Shared, definition: EventHubDefinition, untraced: PartitionProperties) -> Result<(), DefineError> {
    let EventHubDefinition { id, partitions, retention } = definition;
    let requested = partitions.get();
    let mut hubs = write(&shared.hubs);
    if hubs.removed.contains(&id) {
        return Err(DefineError::Removed { hub: id });
    }
    if let Some(existing) = hubs.defined.get_mut(&id) {
        let count = existing.partitions.len() as u32;
        if count != requested {
            return Err(DefineError::PartitionCount { hub: id, existing: count, requested });
        }
        existing.retention = retention;
        return Ok(());
    }
    let mut undefined = lock(&shared.undefined);
    let all = hubs.partitions().count() + undefined.len() + requested as usize;
    let max = shared.config.partitions_max();
    if all > max {
        return Err(DefineError::TooManyPartitions { requested: all, max });
    }
    let partitions = partitions.partitions().map(|partition| {
        let key = (id, partition);
        Arc::new(Partition::new(key, undefined.remove(&key).unwrap_or(untraced)))
    });
    let partitions = partitions.collect();
    hubs.defined.insert(id, Hub { partitions, retention });
    Ok(())
}

/// See [`EventLog::remove`](crate::EventLog::remove).
pub(crate) fn remove(shared: &Shared, hub: EventHubId) -> Result<(), RemoveError> {
    let removed = {
        let mut hubs = write(&shared.hubs);
        hubs.removed.insert(hub);
        lock(&shared.undefined).retain(|(owner, _), _| *owner != hub);
        hubs.defined.remove(&hub)
    };
    lock(&shared.staging).producers.forget(hub);
    for partition in removed.iter().flat_map(|hub| hub.partitions.iter()) {
        partition.is_removed.store(true, Ordering::Release);
        partition.grown.notify_waiters();
    }
    // A segment that is being sealed with the hub's events is waited for.
    let _keeper = lock(&shared.keeper);
    write(&shared.catalogue).forget_hub(hub);
    lock(&shared.health).forget_lost(|range| range.hub == hub);
    remove_files(shared, hub)
}

fn remove_files(shared: &Shared, hub: EventHubId) -> Result<(), RemoveError> {
    let failed = |operation, path: PathBuf| move |source: io::Error| RemoveError::Disk { operation, path, source };
    let names = shared.disk.list(&shared.directory).map_err(failed("listing", shared.directory.clone()))?;
    let mut names: Vec<String> = names.into_iter().filter(|name| sealed::name_parts(name).is_some_and(|(_, owner)| owner == hub)).collect();
    names.sort_unstable();
    for name in names {
        let path = shared.directory.join(name);
        shared.disk.remove(&path).map_err(failed("removing", path))?;
    }
    shared.disk.sync_directory(&shared.directory).map_err(failed("syncing", shared.directory.clone()))
}

/// Whether events of the hub are to be kept when a segment is sealed.
pub(crate) fn is_kept(shared: &Shared, hub: EventHubId) -> bool {
    !read(&shared.hubs).removed.contains(&hub)
}
