//! The state machine of one identity's command queue. Pure: it works on what a queue's rows and
//! locks say, and returns what to do to the rows.
//!
//! ```text
//! Enqueued ──lock──▶ Invisible ──complete──▶ gone
//!    │  ▲               ├──reject──────────▶ dead-lettered (Rejected)
//!    │  ├──release──────┤
//!    │  └──abandon (+1)─┴──abandon, count at its maximum ──▶ dead-lettered (DeliveryCountExceeded)
//!    └──expiry, found at the next access──▶ dead-lettered (Expired)
//! ```
//!
//! A command keeps its place while it is handed out, and an expiry that passes then counts only
//! once it is back.

use std::fmt;

use model::Timestamp;
use model::limits::{COMMAND_DELIVERY_COUNT_MAX, COMMAND_QUEUE_DEPTH_MAX};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Who holds locks: a connection, by a number never used again while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockOwner(pub u64);

/// Names one handing-out of one command; shown as a GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockToken(pub u128);

impl fmt::Display for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&guid(self.0))
    }
}

/// A number as a GUID writes it.
pub(crate) fn guid(number: u128) -> String {
    let [a, b, c, d] = [number >> 96, number >> 80, number >> 64, number >> 48].map(|part| part & 0xffff_ffff);
    let (b, c, d) = (b & 0xffff, c & 0xffff, d & 0xffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{:012x}", number & 0xffff_ffff_ffff)
}

/// A command in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its position, never used again.
    pub sequence: u64,
    /// When it stops being of use.
    pub expiry: Timestamp,
    /// How often it was abandoned.
    pub delivery_count: u32,
    /// Who has it now.
    pub lock: Option<Lock>,
}

/// A command's being handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// Names it.
    pub token: LockToken,
    /// To whom.
    pub owner: LockOwner,
}

/// What a reader says of a command it was handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Done with.
    Complete,
    /// Never wanted.
    Reject,
    /// Not now.
    Abandon,
}

/// Why a command was dead-lettered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterReason {
    /// Nobody completed it in time.
    Expired,
    /// The device rejected it.
    Rejected,
    /// It was abandoned too often.
    DeliveryCountExceeded,
}

/// What a settlement does to the command's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Remove it.
    Completed {
        /// Which.
        sequence: u64,
    },
    /// Move it to the dead letters.
    DeadLettered {
        /// Which.
        sequence: u64,
        /// Why.
        reason: DeadLetterReason,
    },
    /// Write its new count.
    Requeued {
        /// Which.
        sequence: u64,
        /// How often it has been abandoned now.
        delivery_count: u32,
    },
}

/// 50 commands wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{COMMAND_QUEUE_DEPTH_MAX} commands wait already, the most that may")]
pub struct QueueFull;

/// The lock is not held any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the lock on the command is gone")]
pub struct LockLost;

/// The queue of one identity, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandQueue {
    entries: Vec<Entry>,
}

impl CommandQueue {
    /// A queue of `entries` in ascending order of their sequence numbers.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The commands in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes out what is past its time and not handed out; these are to be dead-lettered.
    pub fn expire(&mut self, now: Timestamp) -> Vec<u64> {
        let is_expired = |entry: &mut Entry| entry.lock.is_none() && entry.expiry <= now;
        self.entries.extract_if(.., is_expired).map(|entry| entry.sequence).collect()
    }

    /// Adds a command at the end.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn enqueue(&mut self, sequence: u64, expiry: Timestamp) -> Result<(), QueueFull> {
        if self.entries.len() >= COMMAND_QUEUE_DEPTH_MAX {
            return Err(QueueFull);
        }
        self.entries.push(Entry { sequence, expiry, delivery_count: 0, lock: None });
        Ok(())
    }

    /// Hands out the first `limit` commands that nobody has, in order.
    pub fn lock(&mut self, owner: LockOwner, limit: usize, mut new_token: impl FnMut() -> LockToken) -> Vec<(Entry, LockToken)> {
        let waiting = self.entries.iter_mut().filter(|entry| entry.lock.is_none());
        waiting
            .take(limit)
            .map(|entry| {
                let token = new_token();
                entry.lock = Some(Lock { token, owner });
                (*entry, token)
            })
            .collect()
    }

    /// Settles what was handed out under `token`.
    ///
    /// # Errors
    /// [`LockLost`]; the queue is as it was.
    pub fn settle(&mut self, token: LockToken, settlement: Settlement) -> Result<Settled, LockLost> {
        let holds = |entry: &Entry| entry.lock.is_some_and(|lock| lock.token == token);
        let position = self.entries.iter().position(holds).ok_or(LockLost)?;
        let entry = self.entries.get_mut(position).ok_or(LockLost)?;
        let sequence = entry.sequence;
        let settled = match settlement {
            Settlement::Complete => Settled::Completed { sequence },
            Settlement::Reject => Settled::DeadLettered { sequence, reason: DeadLetterReason::Rejected },
            Settlement::Abandon if entry.delivery_count + 1 >= COMMAND_DELIVERY_COUNT_MAX => {
                Settled::DeadLettered { sequence, reason: DeadLetterReason::DeliveryCountExceeded }
            }
            Settlement::Abandon => {
                entry.lock = None;
                entry.delivery_count += 1;
                return Ok(Settled::Requeued { sequence, delivery_count: entry.delivery_count });
            }
        };
        self.entries.remove(position);
        Ok(settled)
    }

    /// Takes back what `owner` was handed; delivery counts stay.
    pub fn release(&mut self, owner: LockOwner) {
        for entry in &mut self.entries {
            entry.lock = entry.lock.filter(|lock| lock.owner != owner);
        }
    }

    /// Empties the queue, handed out or not, and says how many there were.
    pub fn purge(&mut self) -> usize {
        std::mem::take(&mut self.entries).len()
    }
}
