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
//! In memory a file takes 72 bytes for each partition it has, 24 for each lost range, and an open
//! file handle.

mod footer;
mod format;
mod index;
mod layout;
mod part_writer;
mod read;
#[cfg(all(test, feature = "testkit"))]
mod tests;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use model::{EventHubId, PartitionId, Timestamp};
use thiserror::Error;

use crate::disk::{Disk, DiskFile, read_at_most};
use crate::error::LostRange;
use footer::Footer;
pub(crate) use footer::Part;
use format::{Anchor, AnchorRead, End, FileIdentity};
pub(crate) use read::Place;
pub(crate) use write::seal;

/// Read at once while a segment is sealed.
const WINDOW_BYTES: usize = 1024 * 1024;

/// A sealed file, open for reading.
pub(crate) struct SealedFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    identity: FileIdentity,
    file_bytes: u64,
    footer: Footer,
    /// A block of the index did not verify; said once.
    has_index_damage: AtomicBool,
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
        let (identity, footer) = match open_at(&*file, file_bytes, End::Trailer) {
            Err(SealedFault::Damaged { what, at }) => {
                let opened = open_at(&*file, file_bytes, End::Head)?;
                tracing::warn!(file = %path.display(), what, at, "a sealed file is damaged at its end and was opened by its head");
                opened
            }
            opened => opened?,
        };
        if path.file_name().and_then(|name| name.to_str()).and_then(name_parts) != Some((identity.segment.epoch, identity.hub)) {
            return Err(SealedFault::Foreign);
        }
        Ok(Self::new(path.to_owned(), file, identity, file_bytes, footer))
    }

    fn new(path: PathBuf, file: Arc<dyn DiskFile>, identity: FileIdentity, file_bytes: u64, footer: Footer) -> Self {
        Self { path, file, identity, file_bytes, footer, has_index_damage: AtomicBool::new(false) }
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
        let bytes = read_at_most(&*self.file, notes.at, notes.bytes as usize)?;
        Ok((crc32c::crc32c_append(self.identity.seed(), &bytes) == notes.checksum).then(|| bytes.into()))
    }

    /// Where the notes lie.
    pub(crate) fn notes_at(&self) -> u64 {
        self.footer.notes.at
    }

    /// The places of those ends of the file, or of their copies of the footer, that do not verify.
    pub(crate) fn damaged_ends(&self) -> io::Result<Vec<u64>> {
        let mut damaged = Vec::new();
        for end in [End::Head, End::Trailer] {
            match open_at(&*self.file, self.file_bytes, end) {
                Ok((identity, _)) if identity == self.identity => {}
                Ok(_) | Err(SealedFault::Version(_) | SealedFault::Foreign) => damaged.push(end.place(self.file_bytes)),
                Err(SealedFault::Damaged { at, .. }) => damaged.push(at),
                Err(SealedFault::Disk(error)) => return Err(error),
            }
        }
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

impl std::fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedFile").field("path", &self.path).field("footer", &self.footer).finish_non_exhaustive()
    }
}

/// The footer that one end of the file leads to.
fn open_at(file: &dyn DiskFile, file_bytes: u64, end: End) -> Result<(FileIdentity, Footer), SealedFault> {
    let (what, at) = (end.name(), end.place(file_bytes));
    let anchor = match Anchor::decode(&read_at_most(file, at, format::ANCHOR_BYTES)?, end) {
        AnchorRead::Valid(anchor) => anchor,
        AnchorRead::Version(version) => return Err(SealedFault::Version(version)),
        AnchorRead::Invalid => return Err(SealedFault::Damaged { what, at }),
    };
    let damaged = SealedFault::Damaged { what: "footer", at: anchor.footer.at };
    if anchor.footer.end() > file_bytes {
        return Err(damaged);
    }
    let bytes = read_at_most(file, anchor.footer.at, anchor.footer.bytes as usize)?;
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
