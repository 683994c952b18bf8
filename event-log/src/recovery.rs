//! Opening a directory: read the sealed files' footers, scan the segments that are not sealed, cut
//! a torn tail, report damage.
//!
//! Recovery changes nothing that a crash in its midst could harm: it removes files that were
//! prepared and never used and sealed files whose segment is still there, writes the last group
//! once more with the same bytes, and syncs. (After a failed sync the page cache may hold bytes
//! that the disk does not; without the second write they would be served and then vanish.)

pub(crate) mod directory;
mod positions;
mod walk;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::EventHubId;

use crate::catalogue::Catalogue;
use crate::disk::{Holes, read_around_holes, write_all_at};
use crate::error::{LostRange, OpenError};
use crate::format::{SegmentHead, SegmentIdentity};
use crate::producers::Producers;
use crate::recycle::Workshop;
use crate::rolling::UNSEALED_MAX;
use crate::sealed::SealedFile;
use crate::segment::{self, Segment};
use directory::Directory;
pub(crate) use positions::Positions;
pub(crate) use walk::Successor;

/// Read at once while scanning.
const WINDOW_BYTES: usize = 1024 * 1024;

/// What opening the log found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// Segments in use and not yet sealed.
    pub segments: usize,
    /// Commit groups in them that verify.
    pub groups: u64,
    /// Events in these.
    pub events: u64,
    /// Sealed files.
    pub sealed_files: usize,
    /// Sealed files that cannot be opened; what they held is in [`lost`](Self::lost), as far as
    /// other files tell. They are kept until retention passes them.
    pub damaged_files: Vec<PathBuf>,
    /// The last write was torn and is cut, as far as its bytes can be told from those of an
    /// earlier use of the file; nothing of it was acknowledged.
    pub torn_tail: bool,
    /// What the disk cannot read of the segments; it counts as damaged.
    pub unreadable: Vec<UnreadableRange>,
    /// Events that damage took away.
    pub lost: Vec<LostRange>,
    /// Event hubs that have events in the log and were not defined; they can be later.
    pub undefined_hubs: Vec<EventHubId>,
}

/// Bytes of a file that the disk cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRange {
    /// The file.
    pub path: PathBuf,
    /// The place of the first byte.
    pub at: u64,
    /// How many there are.
    pub bytes: u64,
}

/// A log's state on disk.
pub(crate) struct Recovered {
    pub(crate) catalogue: Catalogue,
    pub(crate) active: Arc<Segment>,
    pub(crate) next_group: u64,
    pub(crate) positions: Positions,
    pub(crate) producers: Producers,
    pub(crate) report: RecoveryReport,
}

/// Reads the log in the workshop's directory, or begins one; its spares become the workshop's.
pub(crate) fn recover(workshop: &Workshop) -> Result<Recovered, OpenError> {
    let path = &workshop.directory;
    let found = directory::read(workshop)?;
    let mut recovery = Recovery::default();
    recovery.note_sealed(&found).map_err(|source| OpenError::Disk { operation: "reading", path: path.clone(), source })?;
    if found.segments.is_empty() {
        return recovery.begin_segment(workshop, found);
    }
    let Directory { segments: used, sealed, damaged, spares, .. } = found;
    spares.into_iter().for_each(|spare| workshop.keep(spare));
    let mut segments = Vec::with_capacity(used.len());
    let mut used = used.into_iter().peekable();
    while let Some(found) = used.next() {
        let path = found.path.clone();
        let successor = used.peek().map_or(Successor::None, Successor::of);
        let segment = recovery.scan(found, successor).map_err(|source| OpenError::Disk { operation: "reading", path, source })?;
        segments.push(segment);
    }
    segments.iter_mut().for_each(|segment| segment.add_starts(recovery.positions.guessed_starts()));
    let segments: Vec<Arc<Segment>> = segments.into_iter().map(Arc::new).collect();
    let Some(active) = segments.last().cloned() else { return Err(OpenError::Foreign { path: path.clone() }) };
    let damaged = damaged.iter().map(|file| (file.hub, file.epoch)).collect();
    recovery.finish(Catalogue::new(sealed, damaged, segments), active, path)
}

#[derive(Default)]
struct Recovery {
    positions: Positions,
    producers: Producers,
    report: RecoveryReport,
    /// The number that the next group must have; `None` after damage.
    expected: Option<u64>,
    next_group: u64,
    last_stretch: Option<(u64, u64)>,
}

impl Recovery {
    /// Takes over what the sealed files know, and that some cannot be read.
    fn note_sealed(&mut self, found: &Directory) -> io::Result<()> {
        self.report.sealed_files = found.sealed.len();
        self.report.damaged_files = found.damaged.iter().map(|file| file.path.clone()).collect();
        let hubs: HashSet<EventHubId> = found.damaged.iter().map(|file| file.hub).collect();
        for hub in hubs {
            self.positions.note_damaged_hub(hub);
        }
        for file in &found.sealed {
            for part in file.parts() {
                self.positions.note_part(file.hub(), part);
            }
            self.positions.note_lost(file.lost());
        }
        self.restore_producers(&found.sealed)
    }

    /// Takes over what a hub's newest file notes of its idempotent producers, or, where that does
    /// not verify, the one before.
    fn restore_producers(&mut self, sealed: &[SealedFile]) -> io::Result<()> {
        let mut restored = HashSet::new();
        for file in sealed.iter().rev().filter(|file| !file.parts().is_empty()) {
            if restored.contains(&file.hub()) {
                continue;
            }
            let notes = file.notes()?.filter(|notes| self.producers.restore(file.hub(), notes).is_ok());
            if notes.is_some() {
                restored.insert(file.hub());
            } else {
                tracing::warn!(file = %file.path().display(), "the notes on idempotent producers do not verify");
            }
        }
        Ok(())
    }

    /// Begins the first segment of a log, or the next one where a log has lost all it had.
    fn begin_segment(mut self, workshop: &Workshop, found: Directory) -> Result<Recovered, OpenError> {
        let Directory { sealed, damaged, spares, epoch_max, .. } = found;
        let log_id = sealed.last().map(SealedFile::log_id);
        let log_id = log_id.unwrap_or_else(|| u128::from(workshop.disk.random()) << 64 | u128::from(workshop.disk.random()));
        let identity = SegmentIdentity { log_id, epoch: epoch_max + 1 };
        let path = segment::path(&workshop.directory, identity.epoch);
        let failed = |source| OpenError::Disk { operation: "preparing", path, source };
        let had_events = !(sealed.is_empty() && damaged.is_empty() && spares.is_empty());
        if had_events {
            for spare in &spares {
                let positions = directory::positions_of_spare(&*workshop.disk, &workshop.directory, spare);
                self.positions.note_head(&positions.unwrap_or_default());
            }
            // The segment that was written, and those that waited to be sealed.
            self.positions.note_damage(workshop.segment_bytes.saturating_mul(UNSEALED_MAX as u64 + 1));
            self.report.lost = self.positions.close();
        }
        spares.into_iter().for_each(|spare| workshop.keep(spare));
        let head = SegmentHead { identity, base_group: 1, positions: self.positions.standing() };
        let segment = workshop.prepare(identity.epoch).and_then(|file| Segment::begin(file, head)).map_err(failed)?;
        let active = Arc::new(segment);
        self.report.segments = 1;
        let damaged = damaged.iter().map(|file| (file.hub, file.epoch)).collect();
        let catalogue = Catalogue::new(sealed, damaged, vec![Arc::clone(&active)]);
        let Self { positions, producers, report, .. } = self;
        Ok(Recovered { catalogue, active, next_group: 1, positions, producers, report })
    }

    fn finish(mut self, catalogue: Catalogue, active: Arc<Segment>, directory: &Path) -> Result<Recovered, OpenError> {
        let path = segment::path(directory, active.identity.epoch);
        harden(&active, self.last_stretch).map_err(|source| OpenError::Disk { operation: "syncing", path, source })?;
        self.report.lost = self.positions.close();
        let Self { positions, producers, report, next_group, .. } = self;
        Ok(Recovered { catalogue, active, next_group, positions, producers, report })
    }
}

/// Writes the last group, or else the head, with the bytes it has, and syncs. What cannot be read
/// is left as it is.
fn harden(segment: &Segment, last_stretch: Option<(u64, u64)>) -> io::Result<()> {
    let (at, end) = last_stretch.unwrap_or((0, segment.groups_at));
    let mut holes = Holes::default();
    let bytes = read_around_holes(&*segment.file, at, (end - at) as usize, &mut holes)?;
    let mut written = at;
    for hole in holes.iter().cloned().chain(std::iter::once(end..end)) {
        let (from, to) = ((written - at) as usize, (hole.start - at) as usize);
        write_all_at(&*segment.file, bytes.get(from..to.min(bytes.len())).unwrap_or_default(), written)?;
        written = hole.end;
    }
    segment.file.sync_data()
}
