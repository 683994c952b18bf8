//! What the log counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the log was opened, and what is staged now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Commit groups made durable.
    pub groups: u64,
    /// Syncs of commit groups and segment heads.
    pub syncs: u64,
    /// Batches made durable.
    pub frames: u64,
    /// Events made durable.
    pub events: u64,
    /// Bytes written in commit groups, padding included.
    pub bytes_written: u64,
    /// Bytes of the budget in use: reserved, or staged and not yet durable.
    pub staged_bytes: u64,
    /// Segments begun.
    pub segments: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    groups: AtomicU64,
    syncs: AtomicU64,
    frames: AtomicU64,
    events: AtomicU64,
    bytes_written: AtomicU64,
    segments: AtomicU64,
}

impl Counters {
    pub(crate) fn note_group(&self, frames: u64, events: u64, bytes: u64) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.frames.fetch_add(frames, Ordering::Relaxed);
        self.events.fetch_add(events, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn note_segment(&self) {
        self.segments.fetch_add(1, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn statistics(&self, staged_bytes: u64) -> Statistics {
        Statistics {
            groups: self.groups.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
            staged_bytes,
            segments: self.segments.load(Ordering::Relaxed),
        }
    }
}
