//! A sealed file: what one event hub has in a full segment, grouped by partition, so that a reader
//! of one partition reads contiguous bytes. Written once, then never changed.
//!
//! ```text
//! head | partition data | partition data | … | index blocks | notes | footer | footer | trailer
//! ```
//!
//! Head and trailer tell the same, each of its own copy of the footer: no single damage keeps a
//! file from being opened. Both are written after everything else is synced, so a file with either
//! of them is whole. The bytes are drawn in `docs/event-log-format.md`.
//!
//! In memory a file takes 72 bytes for each partition it has and 24 for each lost range. Its handle
//! is one of the log's [`Handles`], open while the file is among those read last.

mod footer;
mod format;
mod handles;
mod index;
mod layout;
mod part_writer;
mod read;
#[cfg(all(test, feature = "testkit"))]
mod tests;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use model::{EventHubId, PartitionId, Timestamp};
use thiserror::Error;

use crate::disk::{Disk, DiskFile, Holes, read_around_holes};
use crate::error::LostRange;
use crate::sync::lock;
use footer::Footer;
pub(crate) use footer::Part;
use format::{Anchor, AnchorRead, End, FileIdentity};
pub(crate) use handles::Handles;
pub(crate) use read::Place;
pub(crate) use write::seal;

/// Read at once while a segment is sealed.
const WINDOW_BYTES: usize = 1024 * 1024;

/// A sealed file, open for reading.
pub(crate) struct SealedFile {
    path: PathBuf,
    access: Access,
    identity: FileIdentity,
    file_bytes: u64,
    footer: Footer,
    /// A block of the index did not verify; said once.
    has_index_damage: AtomicBool,
    /// What the disk was found unable to read.
    holes: Mutex<Holes>,
}

/// How a file is read.
enum Access {
    /// By a handle of its own.
    Own(Arc<dyn DiskFile>),
    /// By one of the log's.
    Shared(Arc<Handles>),
}

/// Why a file could not be opened as a sealed one.
#[derive(Debug, Error)]
pub(crate) enum SealedFault {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// Neither end of the file leads to a footer that verifies: the file was not finished, or it
    /// is damaged at both.
    #[error("the {what} at byte {at} does not verify")]
    Damaged {
        /// What was looked for last.
        what: &'static str,
        /// Its place in the file.
        at: u64,
    },
    /// Written by a later version.
    #[error("format version {0} of sealed files is unknown; this version reads {known}", known = format::VERSION)]
    Version(u32),
    /// The file's name gives another epoch or event hub than its content.
    #[error("the file's name belongs to another sealed file")]
    Foreign,
}

impl SealedFile {
    /// Opens a file by its trailer, or, should that be damaged, by its head. Reads no events.
    ///
    /// # Errors
    /// See [`SealedFault`].
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, SealedFault> {
        let file = disk.open(path)?;
        let file_bytes = file.length()?;
        let mut holes = Holes::default();
        let (identity, footer) = match open_at(&*file, file_bytes, End::Trailer, &mut holes) {
            Err(SealedFault::Damaged { what, at }) => {
                let opened = open_at(&*file, file_bytes, End::Head, &mut holes)?;
                tracing::warn!(file = %path.display(), what, at, "a sealed file is damaged at its end and was opened by its head");
                opened
            }
            opened => opened?,
        };
        if path.file_name().and_then(|name| name.to_str()).and_then(name_parts) != Some((identity.segment.epoch, identity.hub)) {
            return Err(SealedFault::Foreign);
        }
        let opened = Self::new(path.to_owned(), file, identity, file_bytes, footer);
        opened.note_holes(&holes);
        Ok(opened)
    }

    fn new(path: PathBuf, file: Arc<dyn DiskFile>, identity: FileIdentity, file_bytes: u64, footer: Footer) -> Self {
        let (access, has_index_damage) = (Access::Own(file), AtomicBool::new(false));
        Self { path, access, identity, file_bytes, footer, has_index_damage, holes: Mutex::default() }
    }

    /// Gives up the handle that the file was opened with for one of `handles`.
    pub(crate) fn with_handles(mut self, handles: &Arc<Handles>) -> Self {
        self.access = Access::Shared(Arc::clone(handles));
        self
    }

    /// Up to `length` bytes from `at`, fewer only at the end of the file; zeros where the disk
    /// cannot read.
    fn read_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut holes = Holes::default();
        let bytes = read_around_holes(&*self.handle()?, at, length, &mut holes)?;
        self.note_holes(&holes);
        Ok(bytes)
    }

    fn handle(&self) -> io::Result<Arc<dyn DiskFile>> {
        match &self.access {
            Access::Own(file) => Ok(Arc::clone(file)),
            Access::Shared(handles) => handles.get((self.epoch(), self.hub()), &self.path),
        }
    }

    /// Takes down what the disk could not read, and says it once.
    fn note_holes(&self, holes: &Holes) {
        let mut known = lock(&self.holes);
        for hole in holes.iter() {
            if known.add(hole.clone()) {
                let (at, bytes) = (hole.start, hole.end - hole.start);
                tracing::error!(file = %self.path.display(), at, bytes, "the disk cannot read a part of a sealed file; it counts as damaged");
            }
        }
    }

    /// What the disk was found unable to read of the file.
    pub(crate) fn holes(&self) -> Holes {
        lock(&self.holes).clone()
    }

    /// Where the file lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The epoch of the segment it was made from.
    pub(crate) fn epoch(&self) -> u64 {
        self.identity.segment.epoch
    }

    /// The event hub.
    pub(crate) fn hub(&self) -> EventHubId {
        self.identity.hub
    }

    /// The log.
    pub(crate) fn log_id(&self) -> u128 {
        self.identity.segment.log_id
    }

    /// The file's length.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The latest append time in the file, that of lost events included where it is known;
    /// [`Timestamp::NEVER`] where all are lost and it is not.
    pub(crate) fn newest(&self) -> Timestamp {
        self.footer.parts.iter().map(|part| part.append_time_max).max().unwrap_or(Timestamp::NEVER)
    }

    /// What the file has of each partition, in order of partitions.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.footer.parts
    }

    /// What the file has of a partition.
    pub(crate) fn part(&self, partition: PartitionId) -> Option<&Part> {
        let found = self.footer.parts.binary_search_by_key(&partition, |part| part.partition).ok()?;
        self.footer.parts.get(found)
    }

    /// Events that were lost when the file was made, in order.
    pub(crate) fn lost(&self) -> &[LostRange] {
        &self.footer.lost
    }

    /// The notes given when the file was made; `None` if they do not verify.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn notes(&self) -> io::Result<Option<Bytes>> {
        let notes = self.footer.notes;
        let bytes = self.read_at(notes.at, notes.bytes as usize)?;
        Ok((crc32c::crc32c_append(self.identity.seed(), &bytes) == notes.checksum).then(|| bytes.into()))
    }

    /// Where the notes lie.
    pub(crate) fn notes_at(&self) -> u64 {
        self.footer.notes.at
    }

    /// The places of those ends of the file, or of their copies of the footer, that do not verify.
    pub(crate) fn damaged_ends(&self) -> io::Result<Vec<u64>> {
        let (mut damaged, mut holes, file) = (Vec::new(), Holes::default(), self.handle()?);
        for end in [End::Head, End::Trailer] {
            match open_at(&*file, self.file_bytes, end, &mut holes) {
                Ok((identity, _)) if identity == self.identity => {}
                Ok(_) | Err(SealedFault::Version(_) | SealedFault::Foreign) => damaged.push(end.place(self.file_bytes)),
                Err(SealedFault::Damaged { at, .. }) => damaged.push(at),
                Err(SealedFault::Disk(error)) => return Err(error),
            }
        }
        self.note_holes(&holes);
        Ok(damaged)
    }

    /// Whether a block of the index was found that does not verify. Costs speed only.
    #[cfg(all(test, feature = "testkit"))]
    fn has_index_damage(&self) -> bool {
        self.has_index_damage.load(Ordering::Relaxed)
    }

    fn note_index_damage(&self, block_at: u64) {
        if !self.has_index_damage.swap(true, Ordering::Relaxed) {
            tracing::warn!(file = %self.path.display(), at = block_at, "a block of a sealed file's index does not verify; seeks get slower");
        }
    }
}

impl Drop for SealedFile {
    fn drop(&mut self) {
        // A removed file's blocks are free when it is closed.
        if let Access::Shared(handles) = &self.access {
            handles.forget((self.epoch(), self.hub()));
        }
    }
}

impl std::fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedFile").field("path", &self.path).field("footer", &self.footer).finish_non_exhaustive()
    }
}

/// The footer that one end of the file leads to.
fn open_at(file: &dyn DiskFile, file_bytes: u64, end: End, holes: &mut Holes) -> Result<(FileIdentity, Footer), SealedFault> {
    let (what, at) = (end.name(), end.place(file_bytes));
    let anchor = match Anchor::decode(&read_around_holes(file, at, format::ANCHOR_BYTES, holes)?, end) {
        AnchorRead::Valid(anchor) => anchor,
        AnchorRead::Version(version) => return Err(SealedFault::Version(version)),
        AnchorRead::Invalid => return Err(SealedFault::Damaged { what, at }),
    };
    let damaged = SealedFault::Damaged { what: "footer", at: anchor.footer.at };
    if anchor.footer.end() > file_bytes {
        return Err(damaged);
    }
    let bytes = read_around_holes(file, anchor.footer.at, anchor.footer.bytes as usize, holes)?;
    if crc32c::crc32c_append(anchor.identity.seed(), &bytes) != anchor.footer.checksum {
        return Err(damaged);
    }
    let footer = Footer::decode(&bytes, anchor.identity.hub, file_bytes).ok_or(damaged)?;
    Ok((anchor.identity, footer))
}

/// The sealed file of a segment's events of one hub.
pub(crate) fn path(directory: &Path, epoch: u64, hub: EventHubId) -> PathBuf {
    directory.join(format!("{epoch:020}-{:010}.sealed", hub.0))
}

/// The epoch and the hub in a sealed file's name; `None` for other files.
pub(crate) fn name_parts(name: &str) -> Option<(u64, EventHubId)> {
    let (epoch, hub) = name.strip_suffix(".sealed")?.split_once('-')?;
    let is_number = |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(epoch, 20) || !is_number(hub, 10) {
        return None;
    }
    Some((epoch.parse().ok()?, EventHubId(hub.parse().ok()?)))
}
