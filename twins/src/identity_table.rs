//! Every identity in memory: what admission asks on each connection, and the facts of being
//! connected, which change too often to be written each time.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use model::api::ConnectionState;
use model::{Credentials, DeviceId, Epoch, Identity, IdentityRecord, Timestamp};

#[cfg(test)]
mod tests;

/// Parts of the table, each under a lock of its own.
const SHARDS: usize = 64;

/// What a committed transaction changed.
#[derive(Debug)]
pub(crate) enum IdentityChange {
    /// An identity was created or updated; it was created if its generation is new.
    Put { identity: Identity, generation: Arc<str>, enabled: bool, credentials: Credentials },
    /// An identity was deleted.
    Remove(Identity),
}

/// How many devices there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceStatistics {
    /// All of them.
    pub total: u64,
    /// Those that may connect.
    pub enabled: u64,
    /// Those that may not.
    pub disabled: u64,
}

/// What is known of an identity's connections. Readers see it at once; the row follows.
#[derive(Debug)]
pub(crate) struct Facts {
    connections: AtomicU64,
    connection_updated: AtomicI64,
    last_activity: AtomicI64,
    model_id: Mutex<Arc<str>>,
    /// Whether the identity is in the list of those to write.
    is_listed: std::sync::atomic::AtomicBool,
}

/// Facts as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) state: ConnectionState,
    pub(crate) connection_updated: Timestamp,
    pub(crate) last_activity: Timestamp,
    pub(crate) model_id: Arc<str>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            state: ConnectionState::Disconnected,
            connection_updated: Timestamp::NEVER,
            last_activity: Timestamp::NEVER,
            model_id: "".into(),
        }
    }
}

/// Something that happened to a connection.
#[derive(Debug)]
pub(crate) enum Note<'a> {
    Connected,
    Disconnected,
    Activity,
    ModelId(&'a str),
}

#[derive(Debug, Clone)]
struct Entry {
    record: Arc<IdentityRecord>,
    facts: Arc<Facts>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct IdentityTable {
    hasher: RandomState,
    shards: Vec<RwLock<HashMap<Identity, Entry>>>,
    enabled: AtomicU64,
    disabled: AtomicU64,
    /// Those whose facts are newer than their rows, once each.
    listed: Mutex<Vec<Identity>>,
}

impl IdentityTable {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::iter::repeat_with(RwLock::default).take(SHARDS).collect(),
            enabled: AtomicU64::new(0),
            disabled: AtomicU64::new(0),
            listed: Mutex::default(),
        }
    }

    /// What admission needs of an identity.
    pub(crate) fn record(&self, identity: &Identity) -> Option<Arc<IdentityRecord>> {
        self.with_entry(identity, |entry| Arc::clone(&entry.record))
    }

    /// Whether a device is registered.
    pub(crate) fn has_device(&self, device: &DeviceId) -> bool {
        self.with_entry(&Identity::device(device.clone()), |_| ()).is_some()
    }

    /// What is known of an identity's connections.
    pub(crate) fn seen(&self, identity: &Identity) -> Seen {
        self.with_entry(identity, |entry| entry.facts.seen()).unwrap_or_default()
    }

    /// Takes in what happened to a connection; nothing when the identity is gone.
    pub(crate) fn note(&self, identity: &Identity, note: Note<'_>, at: Timestamp) {
        let Some(facts) = self.with_entry(identity, |entry| Arc::clone(&entry.facts)) else { return };
        facts.note(note, at);
        if !facts.is_listed.swap(true, Ordering::AcqRel) {
            self.listed().push(identity.clone());
        }
    }

    /// Takes the list of identities whose facts are newer than their rows; each is to be handed to
    /// [`IdentityTable::to_write`], or back to [`IdentityTable::list_again`].
    pub(crate) fn take_listed(&self) -> Vec<Identity> {
        std::mem::take(&mut *self.listed())
    }

    /// Takes back identities that were listed and not handed to [`IdentityTable::to_write`].
    pub(crate) fn list_again(&self, identities: Vec<Identity>) {
        self.listed().extend(identities);
    }

    /// Takes back identities whose facts [`IdentityTable::to_write`] gave out and nobody wrote, except
    /// those that something noted since has listed.
    pub(crate) fn list_unwritten(&self, unwritten: &[(Identity, Seen)]) {
        let is_listed = |identity| self.with_entry(identity, |entry| entry.facts.is_listed.swap(true, Ordering::AcqRel));
        let to_list = unwritten.iter().map(|(identity, _)| identity).filter(|identity| is_listed(identity) == Some(false));
        let to_list: Vec<Identity> = to_list.cloned().collect();
        self.listed().extend(to_list);
    }

    /// The facts to write of identities that were listed. What is noted from here on lists them
    /// again.
    pub(crate) fn to_write(&self, identities: Vec<Identity>) -> Vec<(Identity, Seen)> {
        let facts = |identity: Identity| {
            let facts = self.with_entry(&identity, |entry| Arc::clone(&entry.facts))?;
            // Unlisted first: a fact noted from here on lists the identity again.
            facts.is_listed.store(false, Ordering::Release);
            Some((identity, facts.seen()))
        };
        identities.into_iter().filter_map(facts).collect()
    }

    fn listed(&self) -> MutexGuard<'_, Vec<Identity>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many devices there are.
    pub(crate) fn statistics(&self) -> DeviceStatistics {
        let (enabled, disabled) = (self.enabled.load(Ordering::Relaxed), self.disabled.load(Ordering::Relaxed));
        DeviceStatistics { total: enabled + disabled, enabled, disabled }
    }

    /// Takes in an identity read at start.
    pub(crate) fn load(&self, change: IdentityChange, seen: &Seen) {
        let IdentityChange::Put { identity, generation, enabled, credentials } = change else { return };
        self.count(None, identity.module.is_none().then_some(enabled));
        let record = IdentityRecord { identity: identity.clone(), generation, enabled, credentials, epoch: Epoch::default() };
        let entry = Entry { record: Arc::new(record), facts: Arc::new(Facts::new(seen)) };
        self.shard(&identity).write().unwrap_or_else(PoisonError::into_inner).insert(identity, entry);
    }

    /// Takes in what a transaction changed. Only the writer calls this.
    pub(crate) fn apply(&self, change: IdentityChange) {
        match change {
            IdentityChange::Remove(identity) => self.remove(&identity),
            IdentityChange::Put { identity, generation, enabled, credentials } => self.put(identity, generation, enabled, credentials),
        }
    }

    fn put(&self, identity: Identity, generation: Arc<str>, enabled: bool, credentials: Credentials) {
        let is_device = identity.module.is_none();
        let mut shard = self.shard(&identity).write().unwrap_or_else(PoisonError::into_inner);
        let before = shard.get(&identity).cloned();
        let same = before.as_ref().filter(|entry| entry.record.generation == generation);
        let epoch = same.map_or_else(Epoch::default, |entry| entry.record.epoch.clone());
        let facts = same.map_or_else(|| Arc::new(Facts::new(&Seen::default())), |entry| Arc::clone(&entry.facts));
        let revokes = before.as_ref().is_some_and(|entry| {
            let record = &entry.record;
            record.generation != generation || (record.enabled && !enabled) || record.credentials != credentials
        });
        let record = Arc::new(IdentityRecord { identity: identity.clone(), generation, enabled, credentials, epoch });
        shard.insert(identity, Entry { record, facts });
        drop(shard);
        self.count(before.as_ref().filter(|_| is_device).map(|entry| entry.record.enabled), is_device.then_some(enabled));
        // After the new record is in place: who is admitted from here on is judged by it.
        if let Some(before) = before.filter(|_| revokes) {
            before.record.epoch.raise();
        }
    }

    fn remove(&self, identity: &Identity) {
        let removed = self.shard(identity).write().unwrap_or_else(PoisonError::into_inner).remove(identity);
        if let Some(entry) = removed {
            self.count(identity.module.is_none().then_some(entry.record.enabled), None);
            entry.record.epoch.raise();
        }
    }

    /// Keeps the numbers of enabled and disabled devices.
    fn count(&self, before: Option<bool>, after: Option<bool>) {
        let counter = |enabled: bool| if enabled { &self.enabled } else { &self.disabled };
        if let Some(enabled) = before {
            counter(enabled).fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(enabled) = after {
            counter(enabled).fetch_add(1, Ordering::Relaxed);
        }
    }

    fn with_entry<T>(&self, identity: &Identity, read: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.shard(identity).read().unwrap_or_else(PoisonError::into_inner).get(identity).map(read)
    }

    fn shard(&self, identity: &Identity) -> &RwLock<HashMap<Identity, Entry>> {
        let position = self.hasher.hash_one(identity) as usize % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "the position is a remainder of the length")]
        &self.shards[position]
    }
}

impl Facts {
    fn new(seen: &Seen) -> Self {
        Self {
            connections: AtomicU64::new(0),
            connection_updated: AtomicI64::new(seen.connection_updated.as_milliseconds()),
            last_activity: AtomicI64::new(seen.last_activity.as_milliseconds()),
            model_id: Mutex::new(Arc::clone(&seen.model_id)),
            is_listed: std::sync::atomic::AtomicBool::new(false),
        }
    }

    fn note(&self, note: Note<'_>, at: Timestamp) {
        let at = at.as_milliseconds();
        match note {
            Note::Connected => {
                self.connections.fetch_add(1, Ordering::AcqRel);
                self.connection_updated.store(at, Ordering::Release);
            }
            Note::Disconnected => {
                let one_less = |connections: u64| connections.checked_sub(1);
                let _ = self.connections.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
                self.connection_updated.store(at, Ordering::Release);
                return;
            }
            Note::Activity => {}
            Note::ModelId(model_id) => {
                *self.model_id.lock().unwrap_or_else(PoisonError::into_inner) = model_id.into();
                return;
            }
        }
        self.last_activity.fetch_max(at, Ordering::AcqRel);
    }

    fn seen(&self) -> Seen {
        let connected = self.connections.load(Ordering::Acquire) > 0;
        Seen {
            state: if connected { ConnectionState::Connected } else { ConnectionState::Disconnected },
            connection_updated: Timestamp::from_milliseconds(self.connection_updated.load(Ordering::Acquire)),
            last_activity: Timestamp::from_milliseconds(self.last_activity.load(Ordering::Acquire)),
            model_id: Arc::clone(&self.model_id.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}
