//! Opening a directory: find the segments, verify them, cut a torn tail, report damage.
//!
//! Recovery changes nothing that a crash in its midst could harm: it removes files that were
//! prepared and never used, writes the last group once more with the same bytes, and syncs. (After
//! a failed sync the page cache may hold bytes that the disk does not; without the second write
//! they would be served and then vanish.)

mod positions;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::EventHubId;

use crate::disk::{Disk, DiskFile, read_at_most, write_all_at};
use crate::error::{LostRange, OpenError};
use crate::format::{HEAD_ALIGNMENT, HEAD_BYTES, HeadRead, SegmentHead, SegmentIdentity};
use crate::index::IndexEntry;
use crate::producers::Producers;
use crate::scan::{self, Stretch, Window};
use crate::segment::{self, Segment};
use crate::sync::write;
pub(crate) use positions::Positions;

/// Read at once while scanning.
const WINDOW_BYTES: usize = 1024 * 1024;

/// What opening the log found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// Segments in use.
    pub segments: usize,
    /// Commit groups that verify.
    pub groups: u64,
    /// Events in them.
    pub events: u64,
    /// The last write was torn and is cut; nothing of it was acknowledged. What it left behind
    /// may be seen again until a later group covers it.
    pub torn_tail: bool,
    /// Events that damage took away.
    pub lost: Vec<LostRange>,
    /// Event hubs that have events in the log and were not defined; they can be later.
    pub undefined_hubs: Vec<EventHubId>,
}

/// A log's state on disk.
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) next_group: u64,
    pub(crate) positions: Positions,
    pub(crate) producers: Producers,
    pub(crate) report: RecoveryReport,
}

/// Reads the log in `directory`, or begins one.
pub(crate) fn recover(disk: &dyn Disk, directory: &Path, segment_bytes: u64) -> Result<Recovered, OpenError> {
    let files = list_segments(disk, directory)?;
    let used = keep_used(disk, directory, files)?;
    if used.is_empty() {
        return begin_log(disk, directory, segment_bytes);
    }
    let mut recovery = Recovery::default();
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
    recovery.finish(segments, directory)
}

fn begin_log(disk: &dyn Disk, directory: &Path, segment_bytes: u64) -> Result<Recovered, OpenError> {
    let identity = SegmentIdentity { log_id: u128::from(disk.random()) << 64 | u128::from(disk.random()), epoch: 1 };
    let head = SegmentHead { identity, base_group: 1, positions: Vec::new() };
    let made = segment::prepare(disk, directory, identity.epoch, segment_bytes).and_then(|file| Segment::begin(file, &head));
    let segment =
        made.map_err(|source| OpenError::Disk { operation: "preparing", path: segment::path(directory, identity.epoch), source })?;
    Ok(Recovered {
        segments: vec![Arc::new(segment)],
        next_group: 1,
        positions: Positions::default(),
        producers: Producers::default(),
        report: RecoveryReport { segments: 1, ..RecoveryReport::default() },
    })
}

/// A segment file and what its first bytes say.
struct Found {
    path: PathBuf,
    epoch: u64,
    file: Arc<dyn DiskFile>,
    /// `None` when the head does not verify.
    head: Option<SegmentHead>,
    /// A group that verifies, where the head does not.
    log_id: Option<u128>,
}

fn list_segments(disk: &dyn Disk, directory: &Path) -> Result<Vec<Found>, OpenError> {
    let failed = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Disk { operation, path, source }
    };
    let names = disk.list(directory).map_err(failed("listing", directory))?;
    let mut epochs: Vec<u64> = names.iter().filter_map(|name| segment::epoch_of(name)).collect();
    epochs.sort_unstable();
    let mut found = Vec::with_capacity(epochs.len());
    for epoch in epochs {
        let path = segment::path(directory, epoch);
        let file = disk.open(&path).map_err(failed("opening", &path))?;
        let head = match read_head(&*file).map_err(failed("reading", &path))? {
            HeadRead::Valid(head) => Some(head),
            HeadRead::Version(version) => return Err(OpenError::Version { path, version }),
            HeadRead::Invalid => None,
        };
        let log_id = match &head {
            Some(head) => Some(head.identity.log_id),
            None => log_id_of_groups(&*file, epoch).map_err(failed("reading", &path))?,
        };
        found.push(Found { path, epoch, file, head, log_id });
    }
    Ok(found)
}

fn read_head(file: &dyn DiskFile) -> io::Result<HeadRead> {
    let first = read_at_most(file, 0, HEAD_BYTES)?;
    let announced = SegmentHead::announced_bytes(&first).unwrap_or(0);
    if !announced.is_multiple_of(HEAD_ALIGNMENT) || announced as u64 > file.length()? {
        return Ok(HeadRead::Invalid);
    }
    Ok(SegmentHead::decode(&read_at_most(file, 0, announced)?))
}

fn log_id_of_groups(file: &dyn DiskFile, epoch: u64) -> io::Result<Option<u128>> {
    let mut window = Window::new(file, WINDOW_BYTES);
    let found = scan::find_group(&mut window, HEAD_ALIGNMENT as u64, file.length()?, |header| header.identity.epoch == epoch)?;
    Ok(found.map(|(_, header)| header.identity.log_id))
}

/// Removes files that were prepared and hold nothing; all others must be of one log.
fn keep_used(disk: &dyn Disk, directory: &Path, files: Vec<Found>) -> Result<Vec<Found>, OpenError> {
    let log_id = files.iter().find_map(|found| found.log_id);
    let mut used = Vec::with_capacity(files.len());
    for found in files {
        if found.log_id.is_some() && (found.log_id != log_id || found.head.as_ref().is_some_and(|head| head.identity.epoch != found.epoch))
        {
            return Err(OpenError::Foreign { path: found.path });
        }
        if found.log_id.is_some() {
            used.push(found);
        } else {
            disk.remove(&found.path).map_err(|source| OpenError::Disk { operation: "removing", path: found.path, source })?;
        }
    }
    disk.sync_directory(directory).map_err(|source| OpenError::Disk { operation: "syncing", path: directory.to_owned(), source })?;
    Ok(used)
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
    fn scan(&mut self, found: Found, successor: Successor) -> io::Result<Segment> {
        let limit = found.file.length()?;
        let identity = SegmentIdentity { log_id: found.log_id.unwrap_or_default(), epoch: found.epoch };
        let groups_at = self.enter(found.head.as_ref());
        let segment = Segment::new(identity, Arc::clone(&found.file), groups_at);
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
                if is_final && successor == Successor::None {
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
        segment.set_end(at);
        if successor == Successor::None && window.slice(at, HEAD_BYTES)?.iter().any(|byte| *byte != 0) {
            self.report.torn_tail = true;
        }
        Ok(segment)
    }

    /// Takes over what a segment's head knows; returns where its groups begin.
    fn enter(&mut self, head: Option<&SegmentHead>) -> u64 {
        self.report.segments += 1;
        let Some(head) = head else {
            self.positions.note_damage(HEAD_ALIGNMENT as u64);
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
            index.note((header.hub, header.partition), entry, header.frame_bytes() as u64);
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

    fn finish(mut self, segments: Vec<Arc<Segment>>, directory: &Path) -> Result<Recovered, OpenError> {
        if let Some(last) = segments.last() {
            let path = segment::path(directory, last.identity.epoch);
            harden(last, self.last_stretch).map_err(|source| OpenError::Disk { operation: "syncing", path, source })?;
        }
        self.report.lost = self.positions.close();
        let Self { positions, producers, report, next_group, .. } = self;
        Ok(Recovered { segments, next_group, positions, producers, report })
    }
}

/// Writes the last group, or else the head, with the bytes it has, and syncs.
fn harden(segment: &Segment, last_stretch: Option<(u64, u64)>) -> io::Result<()> {
    let (at, end) = last_stretch.unwrap_or((0, segment.groups_at));
    let bytes = read_at_most(&*segment.file, at, (end - at) as usize)?;
    write_all_at(&*segment.file, &bytes, at)?;
    segment.file.sync_data()
}
