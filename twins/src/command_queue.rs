//! The state machine of a queue: of one identity's commands, or of feedback messages. Pure: it
//! works on what rows and locks say, and returns what to do to the rows.
//!
//! ```text
//! Enqueued ──lock──▶ Invisible ──complete──▶ completed: gone
//!    │  ▲               ├──reject──────────▶ dead-lettered (Rejected)
//!    │  ├──release──────┤  its connection ended
//!    │  ├──lock's end───┤  its reader polls and was late; the count stays
//!    │  └──abandon (+1)─┴──abandon, count at its maximum ──▶ dead-lettered (DeliveryCountExceeded)
//!    ├──expiry──▶ dead-lettered (Expired)
//!    └──purge, from either state──▶ gone
//!
//! dead-lettered ──redrive──▶ Enqueued, at the end, as a new entry with count 0
//! ```
//!
//! An entry keeps its place while it is handed out and when it comes back; those behind it do not
//! wait for it. An expiry that passes meanwhile counts only once it is back.
//!
//! Two kinds of reader hold locks. A connection holds its own until it settles them or ends. A
//! reader that polls may go away without a word, so its locks end by themselves; a lock that has
//! ended is as good as none. Locks are not stored: after a restart everything is enqueued.

use std::fmt;

use model::Timestamp;
use model::api::DeadLetterReason;
use thiserror::Error;

use crate::feedback::Ack;

#[cfg(test)]
mod tests;

/// A connection that holds locks, by a number never used again while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockOwner(pub u64);

/// Who was handed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockHolder {
    /// A connection, until it is released.
    Connection(LockOwner),
    /// A reader that polls, until this moment.
    Until(Timestamp),
}

/// Names one handing-out; shown as a GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockToken(pub u128);

impl fmt::Display for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&guid(self.0))
    }
}

/// A text that is not a lock token; nothing can be locked under it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a lock token")]
pub struct InvalidLockToken(pub String);

impl std::str::FromStr for LockToken {
    type Err = InvalidLockToken;

    /// Reads what [`LockToken`] shows, in either case.
    fn from_str(text: &str) -> Result<Self, InvalidLockToken> {
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        let token = u128::from_str_radix(&digits, 16).map(Self).map_err(|_| InvalidLockToken(text.to_owned()))?;
        // Whatever reads as a number but is written otherwise is no token of ours.
        if token.to_string().eq_ignore_ascii_case(text) { Ok(token) } else { Err(InvalidLockToken(text.to_owned())) }
    }
}

/// A number as a GUID writes it.
pub(crate) fn guid(number: u128) -> String {
    let [a, b, c, d] = [number >> 96, number >> 80, number >> 64, number >> 48].map(|part| part & 0xffff_ffff);
    let (b, c, d) = (b & 0xffff, c & 0xffff, d & 0xffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{:012x}", number & 0xffff_ffff_ffff)
}

/// One of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its position, never used again.
    pub sequence: u64,
    /// When it stops being of use.
    pub expiry: Timestamp,
    /// How often it was abandoned.
    pub delivery_count: u32,
    /// Which outcome is to be told.
    pub ack: Ack,
    /// Who was given it last, unless it was given back.
    pub lock: Option<Lock>,
}

/// An entry's being handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// Names it.
    pub token: LockToken,
    /// To whom.
    pub holder: LockHolder,
}

impl Lock {
    /// Whether it keeps others out at `now`.
    pub fn holds(self, now: Timestamp) -> bool {
        self.end().is_none_or(|end| now < end)
    }

    /// When it ends by itself, if it does.
    pub fn end(self) -> Option<Timestamp> {
        match self.holder {
            LockHolder::Connection(_) => None,
            LockHolder::Until(end) => Some(end),
        }
    }
}

impl Entry {
    /// The lock that keeps others out at `now`.
    pub fn held(&self, now: Timestamp) -> Option<Lock> {
        self.lock.filter(|lock| lock.holds(now))
    }
}

/// What a reader says of something it was handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Done with.
    Complete,
    /// Never wanted.
    Reject,
    /// Not now.
    Abandon,
}

/// What a settlement does to the entry's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Remove it.
    Completed(Entry),
    /// Move it to the dead letters.
    DeadLettered {
        /// Which, with its last count.
        entry: Entry,
        /// Why.
        reason: DeadLetterReason,
    },
    /// Write its new count; it is to be had again.
    Requeued(Entry),
}

/// As many commands wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{depth} commands wait already, the most that may")]
pub struct QueueFull {
    /// How many may wait.
    pub depth: usize,
}

/// The lock is not held any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the lock is gone: it has ended or was settled before")]
pub struct LockLost;

/// Whether a queue of `waiting` entries, handed out or not, takes one more.
///
/// # Errors
/// [`QueueFull`].
pub fn check_room(waiting: usize, depth: usize) -> Result<(), QueueFull> {
    if waiting < depth { Ok(()) } else { Err(QueueFull { depth }) }
}

/// A queue in order, or that part of one that an operation looks at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandQueue {
    entries: Vec<Entry>,
}

impl CommandQueue {
    /// A queue of `entries` in ascending order of their sequence numbers.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The entries in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes out what is past its time and not handed out, in the order of expiry; these are to be
    /// dead-lettered.
    pub fn expire(&mut self, now: Timestamp) -> Vec<u64> {
        let is_expired = |entry: &mut Entry| entry.expiry <= now && entry.held(now).is_none();
        let mut expired: Vec<Entry> = self.entries.extract_if(.., is_expired).collect();
        expired.sort_by_key(|entry| (entry.expiry, entry.sequence));
        expired.into_iter().map(|entry| entry.sequence).collect()
    }

    /// Hands out the first `limit` entries that nobody has, in order; each shows its lock.
    pub fn lock(&mut self, holder: LockHolder, limit: usize, now: Timestamp, mut new_token: impl FnMut() -> LockToken) -> Vec<Entry> {
        let free = self.entries.iter_mut().filter(|entry| entry.held(now).is_none());
        free.take(limit)
            .map(|entry| {
                entry.lock = Some(Lock { token: new_token(), holder });
                *entry
            })
            .collect()
    }

    /// Settles what was handed out under `token`. Of `delivery_count_max` abandonments the last
    /// dead-letters.
    ///
    /// # Errors
    /// [`LockLost`]; the queue is as it was.
    pub fn settle(
        &mut self,
        token: LockToken,
        settlement: Settlement,
        now: Timestamp,
        delivery_count_max: u32,
    ) -> Result<Settled, LockLost> {
        let holds = |entry: &Entry| entry.held(now).is_some_and(|lock| lock.token == token);
        let position = self.entries.iter().position(holds).ok_or(LockLost)?;
        let entry = self.entries.get_mut(position).ok_or(LockLost)?;
        let settled = match settlement {
            Settlement::Complete => Settled::Completed(*entry),
            Settlement::Reject => Settled::DeadLettered { entry: *entry, reason: DeadLetterReason::Rejected },
            Settlement::Abandon => {
                entry.lock = None;
                entry.delivery_count = entry.delivery_count.saturating_add(1);
                if entry.delivery_count < delivery_count_max {
                    return Ok(Settled::Requeued(*entry));
                }
                Settled::DeadLettered { entry: *entry, reason: DeadLetterReason::DeliveryCountExceeded }
            }
        };
        self.entries.remove(position);
        Ok(settled)
    }
}
