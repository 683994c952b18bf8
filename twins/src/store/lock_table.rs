//! What is handed out to whom. Kept in memory: a restart takes everything back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::Timestamp;

use crate::command_queue::{Entry, Lock, LockHolder, LockOwner, LockToken};

/// The lock on an entry, and when that expires.
#[derive(Debug, Clone, Copy)]
struct Held {
    lock: Lock,
    expiry: Timestamp,
}

/// Locks by queue and sequence number, those that have ended included until a sweep takes them.
/// Changes can be undone until they are kept, so that they stand and fall with the transaction
/// they were made in.
#[derive(Debug, Default)]
pub(crate) struct LockTable {
    held: HashMap<i64, BTreeMap<u64, Held>>,
    /// Where each lock that ends by itself is, by its end.
    ends: BTreeSet<(Timestamp, i64, u64)>,
    undo: Vec<(i64, u64, Option<Held>)>,
}

impl LockTable {
    /// The lock on one entry.
    pub(crate) fn of(&self, queue: i64, sequence: u64) -> Option<Lock> {
        self.held.get(&queue)?.get(&sequence).map(|held| held.lock)
    }

    /// The entry that was handed out under `token`.
    pub(crate) fn sequence_of(&self, queue: i64, token: LockToken) -> Option<u64> {
        self.held.get(&queue)?.iter().find(|(_, held)| held.lock.token == token).map(|(sequence, _)| *sequence)
    }

    /// How many entries of a queue have one.
    pub(crate) fn count(&self, queue: i64) -> usize {
        self.held.get(&queue).map_or(0, BTreeMap::len)
    }

    /// The first end of a lock, which may have passed.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, ..)| *end)
    }

    /// Takes over the lock that `entry` shows, or that it shows none.
    pub(crate) fn set(&mut self, queue: i64, entry: &Entry) {
        self.change(queue, entry.sequence, entry.lock.map(|lock| Held { lock, expiry: entry.expiry }));
    }

    /// Forgets the lock on an entry that comes back or is no more.
    pub(crate) fn clear(&mut self, queue: i64, sequence: u64) {
        self.change(queue, sequence, None);
    }

    /// Forgets every lock of a queue.
    pub(crate) fn clear_queue(&mut self, queue: i64) {
        let sequences: Vec<u64> = self.held.get(&queue).into_iter().flat_map(BTreeMap::keys).copied().collect();
        sequences.into_iter().for_each(|sequence| self.clear(queue, sequence));
    }

    /// Takes back what a connection was handed; says when that expires.
    pub(crate) fn release(&mut self, queue: i64, owner: LockOwner) -> Vec<Timestamp> {
        let is_owners = |held: &Held| held.lock.holder == LockHolder::Connection(owner);
        let of_queue = self.held.get(&queue).into_iter().flatten();
        let released: Vec<_> = of_queue.filter(|(_, held)| is_owners(held)).map(|(sequence, held)| (*sequence, held.expiry)).collect();
        let release = |(sequence, expiry)| {
            self.clear(queue, sequence);
            expiry
        };
        released.into_iter().map(release).collect()
    }

    /// Takes back up to `limit` entries whose locks have ended; says of which queue each is and when
    /// it expires.
    pub(crate) fn take_ended(&mut self, now: Timestamp, limit: usize) -> Vec<(i64, Timestamp)> {
        let ended = self.ends.iter().take_while(|(end, ..)| *end <= now).take(limit);
        let ended: Vec<_> = ended.map(|(_, queue, sequence)| (*queue, *sequence)).collect();
        let take = |(queue, sequence)| self.change(queue, sequence, None).map(|held| (queue, held.expiry));
        ended.into_iter().filter_map(take).collect()
    }

    /// The transaction is committed.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
    }

    /// The transaction is rolled back.
    pub(crate) fn undo(&mut self) {
        while let Some((queue, sequence, before)) = self.undo.pop() {
            self.replace(queue, sequence, before);
        }
    }

    fn change(&mut self, queue: i64, sequence: u64, held: Option<Held>) -> Option<Held> {
        let before = self.replace(queue, sequence, held);
        if before.is_some() || held.is_some() {
            self.undo.push((queue, sequence, before));
        }
        before
    }

    fn replace(&mut self, queue: i64, sequence: u64, held: Option<Held>) -> Option<Held> {
        let of_queue = self.held.entry(queue).or_default();
        let before = match held {
            Some(held) => of_queue.insert(sequence, held),
            None => of_queue.remove(&sequence),
        };
        if of_queue.is_empty() {
            self.held.remove(&queue);
        }
        if let Some(end) = before.and_then(|held| held.lock.end()) {
            self.ends.remove(&(end, queue, sequence));
        }
        if let Some(end) = held.and_then(|held| held.lock.end()) {
            self.ends.insert((end, queue, sequence));
        }
        before
    }
}
