//! Which commands are handed out to whom. Kept in memory: a restart takes every command back.

use std::collections::HashMap;

use crate::command_queue::{CommandQueue, Lock};

type Held = Vec<(u64, Lock)>;

/// Locks by queue and sequence number. Changes can be undone until they are kept, so that they
/// stand and fall with the transaction they were made in.
#[derive(Debug, Default)]
pub(crate) struct LockTable {
    held: HashMap<i64, Held>,
    undo: Vec<(i64, Held)>,
}

impl LockTable {
    /// The lock on one command.
    pub(crate) fn of(&self, identity: i64, sequence: u64) -> Option<Lock> {
        let held = self.held.get(&identity)?;
        held.iter().find(|(held, _)| *held == sequence).map(|(_, lock)| *lock)
    }

    /// Takes over the locks that `queue` shows.
    pub(crate) fn set(&mut self, identity: i64, queue: &CommandQueue) {
        let held: Held = queue.entries().iter().filter_map(|entry| entry.lock.map(|lock| (entry.sequence, lock))).collect();
        let before = self.replace(identity, held);
        self.undo.push((identity, before));
    }

    /// Forgets the locks of an identity that is deleted.
    pub(crate) fn forget(&mut self, identity: i64) {
        self.set(identity, &CommandQueue::default());
    }

    /// The transaction is committed.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
    }

    /// The transaction is rolled back.
    pub(crate) fn undo(&mut self) {
        while let Some((identity, before)) = self.undo.pop() {
            self.replace(identity, before);
        }
    }

    fn replace(&mut self, identity: i64, held: Held) -> Held {
        let before = if held.is_empty() { self.held.remove(&identity) } else { self.held.insert(identity, held) };
        before.unwrap_or_default()
    }
}
