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
mod opening;
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

use crate::disk::{DiskFile, Holes, read_around_holes};
use crate::error::LostRange;
use crate::sync::lock;
use footer::Footer;
pub(crate) use footer::Part;
use format::FileIdentity;
pub(crate) use handles::Handles;
pub(crate) use opening::SealedFault;
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

impl SealedFile {
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
