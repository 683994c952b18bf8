//! A file of the faulty disk: what was written, and what a power cut leaves of it for certain.

use std::collections::BTreeSet;
use std::ops::Range;

/// What a disk writes at once: a power cut keeps or loses sectors of this size, each for itself.
const SECTOR_BYTES: usize = 512;

#[derive(Default)]
pub(super) struct Content {
    pub(super) current: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Sectors that differ.
    pub(super) pending: BTreeSet<usize>,
    /// Sectors that cannot be read until they are written.
    pub(super) unreadable: BTreeSet<usize>,
    pub(super) hiccup: Option<Hiccup>,
}

/// Reads that fail for a while.
pub(super) struct Hiccup {
    bytes: Range<u64>,
    failures: Range<u32>,
    reads: u32,
}

impl Hiccup {
    pub(super) fn new(bytes: Range<u64>, failures: Range<u32>) -> Self {
        Self { bytes, failures, reads: 0 }
    }

    /// Whether the read of these bytes fails.
    fn strikes(&mut self, read: &Range<u64>) -> bool {
        if read.end <= self.bytes.start || self.bytes.end <= read.start {
            return false;
        }
        self.reads += 1;
        self.failures.contains(&(self.reads - 1))
    }
}

impl Content {
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        if let Some(slot) = self.current.get_mut(at..end) {
            slot.copy_from_slice(bytes);
        }
        let sectors = at / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
        // As a drive does that finds another place for a bad sector.
        self.unreadable.retain(|sector| !sectors.contains(sector));
        self.pending.extend(sectors);
    }

    /// Makes the sectors of these bytes unreadable.
    pub(super) fn spoil(&mut self, bytes: Range<u64>) {
        self.unreadable.extend(bytes.start as usize / SECTOR_BYTES..(bytes.end as usize).div_ceil(SECTOR_BYTES));
    }

    /// Whether this read works.
    pub(super) fn admits_read(&mut self, at: usize, length: usize) -> bool {
        if self.hiccup.as_mut().is_some_and(|hiccup| hiccup.strikes(&(at as u64..(at + length) as u64))) {
            return false;
        }
        let sectors = at / SECTOR_BYTES..(at + length).div_ceil(SECTOR_BYTES);
        sectors.is_empty() || self.unreadable.range(sectors).next().is_none()
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.current.len(), 0);
        for sector in std::mem::take(&mut self.pending) {
            self.keep(sector);
        }
    }

    pub(super) fn keep(&mut self, sector: usize) {
        let at = sector * SECTOR_BYTES;
        let end = (at + SECTOR_BYTES).min(self.current.len()).min(self.durable.len());
        if let (Some(from), Some(to)) = (self.current.get(at..end), self.durable.get_mut(at..end)) {
            to.copy_from_slice(from);
        }
    }
}
