//! How many bytes all files may take together.

use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

/// What a file takes at least, however small: what it costs the disk to have it.
const FILE_BYTES_MIN: u64 = 4096;

/// The bytes that files take, whole and partial; clones count together.
#[derive(Debug, Clone)]
pub(super) struct Rooms {
    used: Arc<Mutex<u64>>,
    max: u64,
}

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("all files together may have {max} bytes, and there is no room for more")]
pub(crate) struct NoRoom {
    /// How many they may have.
    pub(crate) max: u64,
}

/// Room that one file takes; given back when dropped, unless it is kept.
#[derive(Debug)]
pub(super) struct Room {
    rooms: Rooms,
    bytes: u64,
}

impl Rooms {
    pub(super) fn new(max: u64) -> Self {
        Self { used: Arc::default(), max }
    }

    /// What files take now.
    pub(super) fn used(&self) -> u64 {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a file of `bytes` that is there, bound or not.
    pub(super) fn count(&self, bytes: u64) {
        self.change(|used| used.saturating_add(taken(bytes)));
    }

    /// A file of `bytes` is gone.
    pub(super) fn give_back(&self, bytes: u64) {
        self.change(|used| used.saturating_sub(taken(bytes)));
    }

    /// Room for a file that begins.
    pub(super) fn begin(&self) -> Result<Room, NoRoom> {
        let mut room = Room { rooms: self.clone(), bytes: 0 };
        room.grow(0)?;
        Ok(room)
    }

    fn change(&self, change: impl FnOnce(u64) -> u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = change(*used);
    }
}

impl Room {
    /// Makes room for a file that has now `bytes`.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let more = taken(bytes).saturating_sub(self.bytes);
        let mut used = self.rooms.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.saturating_add(more) > self.rooms.max {
            return Err(NoRoom { max: self.rooms.max });
        }
        *used += more;
        drop(used);
        self.bytes += more;
        Ok(())
    }

    /// The file stays.
    pub(super) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.rooms.change(|used| used.saturating_sub(bytes));
    }
}

fn taken(bytes: u64) -> u64 {
    bytes.max(FILE_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_makes_room_again() {
        let rooms = Rooms::new(10_000);
        let mut first = rooms.begin().expect("room");
        first.grow(5_000).expect("room");
        assert_eq!(first.grow(10_001), Err(NoRoom { max: 10_000 }));
        let second = rooms.begin().expect("room for a small one");
        assert_eq!(rooms.begin().err(), Some(NoRoom { max: 10_000 }));
        drop(first);
        second.keep();
        rooms.begin().expect("room").grow(5_904).expect("room for the rest");
        rooms.give_back(1);
        rooms.begin().expect("room").grow(10_000).expect("room for all");
    }
}
