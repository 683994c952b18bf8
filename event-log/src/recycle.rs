//! Where prepared segment files come from: retired segments used again, or new files of zeros.
//!
//! A retired segment keeps its bytes, which carry its old epoch in every group and frame, so
//! nothing of them verifies under the name and head of a later use.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::counters::Counters;
use crate::disk::{Disk, DiskFile};
use crate::sealed::Handles;
use crate::segment::{self, Segment};
use crate::sync::lock;

/// Retired segments kept for their next use; more are removed.
pub(crate) const SPARES_MAX: usize = 2;

/// Prepares segment files, and keeps what is open of the directory.
pub(crate) struct Workshop {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) segment_bytes: u64,
    pub(crate) counters: Arc<Counters>,
    /// Of the sealed files.
    pub(crate) handles: Arc<Handles>,
    spares: Mutex<VecDeque<Spare>>,
}

/// A retired segment.
pub(crate) struct Spare {
    /// Of its last use: its name.
    pub(crate) epoch: u64,
    /// The segment as long as a reader may hold it.
    pub(crate) held: Option<Arc<Segment>>,
}

impl Spare {
    /// Whether a reader still reads the old use: it must not see the new one's bytes.
    fn is_held(&self) -> bool {
        self.held.as_ref().is_some_and(|segment| Arc::strong_count(segment) > 1)
    }
}

impl Workshop {
    pub(crate) fn new(disk: Arc<dyn Disk>, directory: &Path, segment_bytes: u64, counters: Arc<Counters>) -> Self {
        let handles = Arc::new(Handles::new(Arc::clone(&disk)));
        Self { disk, directory: directory.to_owned(), segment_bytes, counters, handles, spares: Mutex::default() }
    }

    /// Keeps a retired segment whose file already bears its name as a spare.
    pub(crate) fn keep(&self, spare: Spare) {
        lock(&self.spares).push_back(spare);
    }

    /// Whether another retired segment of this length is of use.
    pub(crate) fn wants(&self, length: u64) -> bool {
        length == self.segment_bytes && lock(&self.spares).len() < SPARES_MAX
    }

    /// Makes a file ready to become the segment of `epoch`: its blocks written and its name
    /// durable, so that commits change content only.
    pub(crate) fn prepare(&self, epoch: u64) -> io::Result<Arc<dyn DiskFile>> {
        while let Some(spare) = self.next_spare() {
            let old = segment::spare_path(&self.directory, spare.epoch);
            if spare.is_held() {
                self.disk.remove(&old)?;
                continue;
            }
            let path = segment::path(&self.directory, epoch);
            if let Err(error) = self.disk.rename(&old, &path) {
                self.keep(spare);
                return Err(error);
            }
            self.disk.sync_directory(&self.directory)?;
            let file = self.disk.open(&path)?;
            self.counters.note_recycled();
            return Ok(file);
        }
        let prepared = segment::prepare(&*self.disk, &self.directory, epoch, self.segment_bytes);
        let file = prepared.inspect_err(|_| self.discard(epoch))?;
        self.counters.note_zeroed();
        Ok(file)
    }

    /// Removes a file that could not be prepared: on a full disk the room it takes is what sealing
    /// needs, and sealing is what makes a spare.
    fn discard(&self, epoch: u64) {
        let removed = self.disk.remove(&segment::path(&self.directory, epoch));
        if let Err(error) = removed.and_then(|()| self.disk.sync_directory(&self.directory)) {
            tracing::debug!(epoch, %error, "an unfinished segment stays behind until it is prepared again");
        }
    }

    fn next_spare(&self) -> Option<Spare> {
        lock(&self.spares).pop_front()
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use super::*;
    use crate::disk::FaultyDisk;
    use crate::format::SegmentIdentity;

    #[test]
    fn a_retired_segment_is_used_again_unless_a_reader_holds_it() {
        let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new(1));
        let directory = Path::new("log");
        let workshop = Workshop::new(Arc::clone(&disk), directory, 8192, Arc::default());
        for (epoch, is_held) in [(1, true), (2, false)] {
            let file = workshop.prepare(epoch).expect("made");
            let segment = Arc::new(Segment::new(SegmentIdentity { log_id: 1, epoch }, file, 4096, Vec::new()));
            disk.rename(&segment::path(directory, epoch), &segment::spare_path(directory, epoch)).expect("renamed");
            let reader = is_held.then(|| Arc::clone(&segment));
            workshop.keep(Spare { epoch, held: Some(segment) });
            workshop.prepare(epoch + 10).expect("made");
            drop(reader);
            assert!(disk.open(&segment::spare_path(directory, epoch)).is_err(), "it is gone or has its new name");
        }
        let statistics = workshop.counters.statistics(0, 0);
        assert_eq!((statistics.segments_zeroed, statistics.segments_recycled), (3, 1));
    }
}
