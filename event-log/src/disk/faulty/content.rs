//! A file of the faulty disk: what was written, and what a power cut leaves of it for certain.

use std::collections::BTreeSet;

/// What a disk writes at once: a power cut keeps or loses sectors of this size, each for itself.
const SECTOR_BYTES: usize = 512;

#[derive(Default)]
pub(super) struct Content {
    pub(super) current: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Sectors that differ.
    pub(super) pending: BTreeSet<usize>,
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
        self.pending.extend(at / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
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
