//! What lies in the log's directory: segments, sealed files, spares, and what a crash left over.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::EventHubId;

use super::WINDOW_BYTES;
use crate::disk::{Disk, DiskFile, Holes, is_bad_block, read_around_holes};
use crate::error::OpenError;
use crate::format::{GroupHeader, HEAD_ALIGNMENT, HEAD_BYTES, HeadRead, Position, SegmentHead};
use crate::recycle::{SPARES_MAX, Spare, Workshop};
use crate::scan::{self, Window};
use crate::sealed::{self, SealedFault, SealedFile};
use crate::segment;

/// A segment file and what its first bytes say.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) epoch: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// `None` when the head does not verify.
    pub(crate) head: Option<SegmentHead>,
    /// The number of its first group, of the head or of the group itself, where that can be told.
    pub(crate) base_group: Option<u64>,
    /// Of the head, or of a group where the head does not verify. `None` for a file that was
    /// prepared and not used.
    pub(crate) log_id: Option<u128>,
    /// The disk could not read all of the head.
    pub(crate) is_head_unreadable: bool,
}

/// Everything found, cleaned of what is of no use.
pub(super) struct Directory {
    /// In order of their epochs, with at least a head or a group each.
    pub(super) segments: Vec<Found>,
    /// In order of their epochs.
    pub(super) sealed: Vec<SealedFile>,
    pub(super) damaged: Vec<DamagedFile>,
    pub(super) spares: Vec<Spare>,
    /// The highest epoch of any file.
    pub(super) epoch_max: u64,
}

/// A sealed file that cannot be opened.
pub(super) struct DamagedFile {
    pub(super) path: PathBuf,
    pub(super) hub: EventHubId,
    pub(super) epoch: u64,
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Disk { operation, path, source }
}

/// Lists the directory, opens what is in use, removes what is not.
pub(super) fn read(workshop: &Workshop) -> Result<Directory, OpenError> {
    let Workshop { disk, directory, segment_bytes, .. } = workshop;
    let disk = &**disk;
    let mut names = disk.list(directory).map_err(failed("listing", directory))?;
    names.sort_unstable();
    let segments = names.iter().filter_map(|name| segment::epoch_of(name));
    let segments = segments.map(|epoch| find_segment(disk, directory, epoch)).collect::<Result<Vec<_>, _>>()?;
    let mut epoch_max = segments.last().map_or(0, |found| found.epoch);
    let (mut segments, unused) = tell_used(segments)?;
    for epoch in unused {
        remove(disk, &segment::path(directory, epoch))?;
    }
    let (mut sealed, mut damaged) = (Vec::new(), Vec::new());
    for (epoch, hub) in names.iter().filter_map(|name| sealed::name_parts(name)) {
        epoch_max = epoch_max.max(epoch);
        let path = sealed::path(directory, epoch, hub);
        if segments.iter().any(|segment| segment.epoch == epoch) {
            // The segment has its name still, so it is the truth; it is sealed again.
            remove(disk, &path)?;
            continue;
        }
        match open_sealed(disk, &path)? {
            Some(file) => sealed.push(file.with_handles(&workshop.handles)),
            None => damaged.push(DamagedFile { path, hub, epoch }),
        }
    }
    let log_id = sealed.last().map(SealedFile::log_id);
    segments.iter_mut().try_for_each(|found| name_log(found, log_id))?;
    let mut spares = Vec::new();
    for epoch in names.iter().rev().filter_map(|name| segment::spare_epoch_of(name)) {
        epoch_max = epoch_max.max(epoch);
        let path = segment::spare_path(directory, epoch);
        let length = disk.open(&path).and_then(|file| file.length()).map_err(failed("opening", &path))?;
        if spares.len() < SPARES_MAX && length == *segment_bytes {
            spares.push(Spare { epoch, held: None });
        } else {
            remove(disk, &path)?;
        }
    }
    for epoch in names.iter().filter_map(|name| segment::damaged_epoch_of(name)) {
        epoch_max = epoch_max.max(epoch);
        let path = segment::damaged_path(directory, epoch);
        tracing::warn!(file = %path.display(), "a segment that could not be read in full lies set aside; copy it away for rescue, then delete it");
    }
    disk.sync_directory(directory).map_err(failed("syncing", directory))?;
    Ok(Directory { segments, sealed, damaged, spares, epoch_max })
}

/// Gives a segment of which neither head nor groups tell the log it is of that of the sealed files.
fn name_log(found: &mut Found, log_id: Option<u128>) -> Result<(), OpenError> {
    found.log_id = found.log_id.or(log_id);
    if found.log_id.is_some() {
        return Ok(());
    }
    let source = io::Error::other("its head cannot be read, and nothing else tells whether it holds events");
    Err(failed("reading", &found.path)(source))
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    disk.remove(path).map_err(failed("removing", path))
}

/// Opens a segment's file and reads its head.
pub(crate) fn find_segment(disk: &dyn Disk, directory: &Path, epoch: u64) -> Result<Found, OpenError> {
    let path = segment::path(directory, epoch);
    let file = disk.open(&path).map_err(failed("opening", &path))?;
    let mut holes = Holes::default();
    let head = match read_head(&*file, &mut holes).map_err(failed("reading", &path))? {
        HeadRead::Valid(head) => Some(head),
        HeadRead::Version(version) => return Err(OpenError::Version { path, version }),
        HeadRead::Invalid => None,
    };
    let (log_id, base_group) = match &head {
        Some(head) if head.identity.epoch >= epoch => (Some(head.identity.log_id), Some(head.base_group)),
        // Without a head, or with that of an earlier use: groups tell whether it was used.
        Some(_) | None => {
            let group = first_group(&*file, epoch).map_err(failed("reading", &path))?;
            // Where no other can have been before it.
            let base = group.filter(|(at, _)| *at == HEAD_ALIGNMENT as u64);
            (group.map(|(_, header)| header.identity.log_id), base.map(|(_, header)| header.number))
        }
    };
    Ok(Found { path, epoch, file, head, base_group, log_id, is_head_unreadable: holes.end().is_some() })
}

fn read_head(file: &dyn DiskFile, holes: &mut Holes) -> io::Result<HeadRead> {
    let first = read_around_holes(file, 0, HEAD_BYTES, holes)?;
    let announced = SegmentHead::announced_bytes(&first).unwrap_or(0);
    if !announced.is_multiple_of(HEAD_ALIGNMENT) || announced as u64 > file.length()? {
        return Ok(HeadRead::Invalid);
    }
    Ok(SegmentHead::decode(&read_around_holes(file, 0, announced, holes)?))
}

/// The first group of the epoch, and its place.
fn first_group(file: &dyn DiskFile, epoch: u64) -> io::Result<Option<(u64, GroupHeader)>> {
    let mut window = Window::new(file, WINDOW_BYTES);
    scan::find_group(&mut window, HEAD_ALIGNMENT as u64, file.length()?, |header| header.identity.epoch == epoch)
}

/// Parts the segments in use, all of one log, from those that were prepared and hold nothing.
pub(crate) fn tell_used(files: Vec<Found>) -> Result<(Vec<Found>, Vec<u64>), OpenError> {
    let log_id = files.iter().find_map(|found| found.log_id);
    let (mut used, mut unused) = (Vec::with_capacity(files.len()), Vec::new());
    for mut found in files {
        // Used again and not yet begun, or begun and its head damaged since.
        found.head = found.head.filter(|head| head.identity.epoch >= found.epoch);
        if found.log_id.is_none() && found.is_head_unreadable {
            // Used or not, which cannot be told: it is kept.
            found.log_id = log_id;
            used.push(found);
            continue;
        }
        if found.log_id.is_none() {
            unused.push(found.epoch);
            continue;
        }
        if found.log_id != log_id || found.head.as_ref().is_some_and(|head| head.identity.epoch != found.epoch) {
            return Err(OpenError::Foreign { path: found.path });
        }
        used.push(found);
    }
    Ok((used, unused))
}

/// Opens a sealed file; `None` if it is damaged.
fn open_sealed(disk: &dyn Disk, path: &Path) -> Result<Option<SealedFile>, OpenError> {
    match SealedFile::open(disk, path) {
        Ok(file) => Ok(Some(file)),
        Err(SealedFault::Disk(source)) if is_bad_block(&source) => Err(OpenError::Unreadable { path: path.to_owned(), source }),
        Err(SealedFault::Disk(source)) => Err(failed("reading", path)(source)),
        Err(SealedFault::Version(version)) => Err(OpenError::Version { path: path.to_owned(), version }),
        Err(SealedFault::Foreign) => Err(OpenError::Foreign { path: path.to_owned() }),
        Err(fault @ SealedFault::Damaged { .. }) => {
            tracing::error!(file = %path.display(), error = %fault, "a sealed file is damaged; its events are lost");
            Ok(None)
        }
    }
}

/// The positions in the head of a retired segment, for a log that lost all its segments.
pub(super) fn positions_of_spare(disk: &dyn Disk, directory: &Path, spare: &Spare) -> io::Result<Vec<Position>> {
    let file = disk.open(&segment::spare_path(directory, spare.epoch))?;
    Ok(match read_head(&*file, &mut Holes::default())? {
        HeadRead::Valid(head) => head.positions,
        HeadRead::Invalid | HeadRead::Version(_) => Vec::new(),
    })
}
