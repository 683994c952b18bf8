//! A body on its way to disk: it has a random name until it is whole and synced.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use model::Timestamp;
use thiserror::Error;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::checksum::{Crc64, Md5};
use super::room::{NoRoom, Room};

/// Gathered before it is written.
const BUFFER_BYTES: usize = 128 * 1024;
/// Ends the names of bodies that are not whole.
pub(super) const PART_SUFFIX: &str = ".part";

/// Why a body was not written. It leaves nothing behind.
#[derive(Debug, Error)]
pub(crate) enum PartError {
    /// It is over the bound on one file.
    #[error("a file may have {max} bytes")]
    TooLarge {
        /// The bound.
        max: u64,
    },
    /// All files together are at their bound.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The disk.
    #[error("the disk does not take it: {0}")]
    Disk(#[from] std::io::Error),
}

/// A file that is being written; removed when dropped before it has its place.
#[derive(Debug)]
pub(crate) struct Part {
    file: BufWriter<File>,
    md5: Md5,
    crc: Crc64,
    max: u64,
    bytes: u64,
    rest: Remains,
}

/// A file that is whole and on disk, and has no place yet; removed when dropped.
#[derive(Debug)]
pub(crate) struct Whole {
    /// Its size.
    pub(crate) bytes: u64,
    /// MD5 of it.
    pub(crate) md5: [u8; 16],
    /// CRC-64 of it.
    pub(crate) crc64: [u8; 8],
    pub(super) rest: Remains,
}

/// What is taken back if nothing comes of it.
#[derive(Debug)]
pub(super) struct Remains {
    path: Option<PathBuf>,
    room: Option<Room>,
}

impl Part {
    /// Begins a file of at most `max` bytes in `directory`.
    pub(super) async fn begin(directory: &Path, room: Room, max: u64) -> Result<Self, PartError> {
        let path = directory.join(format!("{:032x}{PART_SUFFIX}", rand::random::<u128>()));
        let file = File::options().write(true).create_new(true).open(&path).await?;
        let rest = Remains { path: Some(path), room: Some(room) };
        Ok(Self { file: BufWriter::with_capacity(BUFFER_BYTES, file), md5: Md5::new(), crc: Crc64::new(), max, bytes: 0, rest })
    }

    /// Adds `piece`.
    ///
    /// # Errors
    /// [`PartError`]; then nothing more is to be added.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), PartError> {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        if self.bytes > self.max {
            return Err(PartError::TooLarge { max: self.max });
        }
        if let Some(room) = &mut self.rest.room {
            room.grow(self.bytes)?;
        }
        self.md5.update(piece);
        self.crc.update(piece);
        Ok(self.file.write_all(piece).await?)
    }

    /// Says that it was written at `now`, and syncs it.
    ///
    /// # Errors
    /// [`PartError::Disk`]
    pub(crate) async fn finish(mut self, now: Timestamp) -> Result<Whole, PartError> {
        self.file.flush().await?;
        let file = self.file.into_inner().into_std().await;
        let synced = tokio::task::spawn_blocking(move || {
            file.set_modified(written_at(now))?;
            file.sync_all()
        });
        synced.await.map_err(std::io::Error::other)??;
        Ok(Whole { bytes: self.bytes, md5: self.md5.finish(), crc64: self.crc.finish(), rest: self.rest })
    }
}

impl Remains {
    /// Where it is now.
    pub(super) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// It has its place: nothing is taken back.
    pub(super) fn keep(mut self) {
        self.path = None;
        if let Some(room) = self.room.take() {
            room.keep();
        }
    }

    /// A file that was made otherwise.
    pub(super) fn of(path: PathBuf, room: Room) -> Self {
        Self { path: Some(path), room: Some(room) }
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!(path = %path.display(), %error, "a partial upload stays until the next start");
        }
    }
}

/// The moment a file shows as that of its last change.
pub(super) fn written_at(now: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_milliseconds()).unwrap_or(0))
}
