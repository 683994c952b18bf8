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
    /// New files written full of zeros to become segments.
    pub segments_zeroed: u64,
    /// Retired segments taken into use again.
    pub segments_recycled: u64,
    /// Segments rewritten as sealed files.
    pub segments_sealed: u64,
    /// Segments that wait to be sealed.
    pub segments_unsealed: u64,
    /// Sealed files written.
    pub sealed_files: u64,
    /// Their bytes.
    pub sealed_bytes: u64,
    /// Sealed files that retention removed.
    pub files_removed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    groups: AtomicU64,
    syncs: AtomicU64,
    frames: AtomicU64,
    events: AtomicU64,
    bytes_written: AtomicU64,
    segments: AtomicU64,
    segments_zeroed: AtomicU64,
    segments_recycled: AtomicU64,
    segments_sealed: AtomicU64,
    sealed_files: AtomicU64,
    sealed_bytes: AtomicU64,
    files_removed: AtomicU64,
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

    pub(crate) fn note_zeroed(&self) {
        self.segments_zeroed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_recycled(&self) {
        self.segments_recycled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_sealed(&self, files: u64, bytes: u64) {
        self.segments_sealed.fetch_add(1, Ordering::Relaxed);
        self.sealed_files.fetch_add(files, Ordering::Relaxed);
        self.sealed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn note_file_removed(&self) {
        self.files_removed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn statistics(&self, staged_bytes: u64, segments_unsealed: u64) -> Statistics {
        Statistics {
            groups: self.groups.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
            staged_bytes,
            segments: self.segments.load(Ordering::Relaxed),
            segments_zeroed: self.segments_zeroed.load(Ordering::Relaxed),
            segments_recycled: self.segments_recycled.load(Ordering::Relaxed),
            segments_sealed: self.segments_sealed.load(Ordering::Relaxed),
            segments_unsealed,
            sealed_files: self.sealed_files.load(Ordering::Relaxed),
            sealed_bytes: self.sealed_bytes.load(Ordering::Relaxed),
            files_removed: self.files_removed.load(Ordering::Relaxed),
        }
    }
}
