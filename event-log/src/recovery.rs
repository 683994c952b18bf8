//! Opening a directory: read the sealed files' footers, scan the segments that are not sealed, cut
//! a torn tail, report damage.
//!
//! Recovery changes nothing that a crash in its midst could harm: it removes files that were
//! prepared and never used and sealed files whose segment is still there, writes the last group
//! once more with the same bytes, and syncs. (After a failed sync the page cache may hold bytes
//! that the disk does not; without the second write they would be served and then vanish.)

pub(crate) mod directory;
mod positions;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::EventHubId;

use crate::catalogue::Catalogue;
use crate::config::GROUP_BYTES_MAX;
use crate::disk::{Holes, read_around_holes, write_all_at};
use crate::error::{LostRange, OpenError};
use crate::format::{BLOCK_BYTES, HEAD_ALIGNMENT, SegmentHead, SegmentIdentity};
use crate::index::IndexEntry;
use crate::producers::Producers;
use crate::recycle::Workshop;
use crate::scan::{self, Stretch, Window};
use crate::sealed::SealedFile;
use crate::segment::{self, Segment};
use crate::sync::write;
use crate::timestamps::record_time_max;
use directory::{Directory, Found};
pub(crate) use positions::Positions;

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
        let successor = used
            .peek()
            .map_or(Successor::None, |next| next.head.as_ref().map_or(Successor::Unknown, |head| Successor::At(head.base_group)));
        let segment = recovery.scan(found, successor).map_err(|source| OpenError::Disk { operation: "reading", path, source })?;
        segments.push(Arc::new(segment));
    }
    let Some(active) = segments.last().cloned() else { return Err(OpenError::Foreign { path: path.clone() }) };
    let damaged = damaged.iter().map(|file| (file.hub, file.epoch)).collect();
    recovery.finish(Catalogue::new(sealed, damaged, segments), active, path)
}

/// The segment after the one being scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Successor {
    /// The segment is the last.
    None,
    /// There is one, but its head is damaged.
    Unknown,
    /// It begins with this group.
    At(u64),
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
            self.positions.note_damage(HEAD_ALIGNMENT as u64);
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

    fn scan(&mut self, found: Found, successor: Successor) -> io::Result<Segment> {
        let limit = found.file.length()?;
        let identity = SegmentIdentity { log_id: found.log_id.unwrap_or_default(), epoch: found.epoch };
        let groups_at = self.enter(found.head.as_ref());
        let starts = found.head.map_or_else(|| self.positions.standing(), |head| head.positions);
        let segment = Segment::new(identity, Arc::clone(&found.file), groups_at, starts);
        let mut window = Window::new(&*found.file, WINDOW_BYTES);
        let mut at = groups_at;
        self.last_stretch = None;
        while let Some(stretch) = scan::next_stretch(&mut window, identity, at, limit)? {
            if self.expected.is_some_and(|expected| successor == Successor::At(expected)) {
                // What follows was torn and cut by an earlier recovery, then the log went on in
                // the next segment.
                break;
            }
            if !stretch.is_whole() {
                let is_final = scan::find_group(&mut window, stretch.end, limit, |header| header.identity == identity)?.is_none();
                // What the disk cannot read was not torn by a power cut: it may have been acknowledged.
                let is_hidden = window.holes().touch(&(stretch.at..stretch.end + BLOCK_BYTES as u64));
                if is_final && successor == Successor::None && !is_hidden {
                    self.report.torn_tail = true;
                    break;
                }
                self.positions.note_damage(stretch.end - stretch.at);
                if is_final && successor == Successor::Unknown {
                    // Torn and cut, or damaged? Its frames may be ghosts, so they are not shown.
                    self.expected = None;
                    break;
                }
            }
            self.note_stretch(&segment, &stretch);
            at = stretch.end;
        }
        let is_open = successor == Successor::None;
        segment.set_end(if is_open { self.pass_hidden_end(window.holes(), at, limit) } else { at });
        self.note_holes(&found.path, &segment, window.holes());
        Ok(segment)
    }

    /// Where the log goes on in its last segment after what was found up to `at`. A group there may
    /// have a header that the disk cannot read, and others behind it; the place of each one's header
    /// must lie in a hole. Then the segment counts as full, so that the next one's head tells the
    /// numbers that were passed over.
    fn pass_hidden_end(&mut self, holes: &Holes, at: u64, limit: u64) -> u64 {
        if !holes.touch(&(at..at + BLOCK_BYTES as u64)) {
            return at;
        }
        let end_max = holes.end().unwrap_or(at).saturating_add(GROUP_BYTES_MAX as u64).min(limit);
        self.positions.note_damage(end_max.saturating_sub(at));
        limit
    }

    fn note_holes(&mut self, path: &Path, segment: &Segment, holes: &Holes) {
        segment.note_holes(holes);
        let ranges = holes.iter().map(|hole| UnreadableRange { path: path.to_owned(), at: hole.start, bytes: hole.end - hole.start });
        self.report.unreadable.extend(ranges);
    }

    /// Takes over what a segment's head knows; returns where its groups begin.
    fn enter(&mut self, head: Option<&SegmentHead>) -> u64 {
        self.report.segments += 1;
        let Some(head) = head else {
            self.positions.note_damaged_head();
            self.expected = None;
            return HEAD_ALIGNMENT as u64;
        };
        if self.expected.is_some_and(|expected| expected != head.base_group) {
            // The segment before lost its end.
            self.positions.note_damage(HEAD_ALIGNMENT as u64);
        }
        self.positions.note_head(&head.positions);
        self.expected = Some(head.base_group);
        self.next_group = head.base_group.max(self.next_group);
        SegmentHead::bytes_with(head.positions.len()) as u64
    }

    fn note_stretch(&mut self, segment: &Segment, stretch: &Stretch) {
        let mut index = write(&segment.index);
        for frame in stretch.frames() {
            // A frame that verifies tells the position even where its batch does not.
            let header = frame.header;
            let Some(batch) = frame.batch() else { continue };
            let entry = IndexEntry { base: batch.base, append_time: batch.append_time, group_at: stretch.at };
            index.note((header.hub, header.partition), entry, record_time_max(&batch.bytes), header.frame_bytes() as u64);
            segment.began.get_or_init(|| batch.append_time);
            self.positions.note_batch((header.hub, header.partition), &batch);
            self.producers.note((header.hub, header.partition), &batch);
            self.report.events += u64::from(batch.count);
        }
        if let Some(header) = stretch.header {
            self.report.groups += 1;
            self.next_group = header.number + 1;
            self.last_stretch = Some((stretch.at, stretch.end));
        }
        self.expected = stretch.header.map(|header| header.number + 1);
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
