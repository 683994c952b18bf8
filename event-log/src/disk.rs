//! The boundary to storage, the only one: a real disk, and one that tests can break.

#[cfg(feature = "testkit")]
mod faulty;
mod read_only;
mod real;
mod salvage;

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "testkit")]
pub use faulty::{Faults, FaultyDisk};
pub use read_only::ReadOnlyDisk;
pub use real::RealDisk;
pub(crate) use salvage::{Holes, is_bad_block, read_around_holes};

/// Keeps a directory to one owner until it is dropped.
pub type DirectoryLock = Box<dyn Any + Send + Sync>;

/// A file system as far as the log uses one. Every call blocks.
pub trait Disk: Send + Sync {
    /// Creates a directory and its parents; one that exists is left alone.
    fn create_directory(&self, directory: &Path) -> io::Result<()>;
    /// The names of the files in a directory, in no order.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Creates an empty file, in place of any older one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, replacing what bears it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
    /// Claims a directory through a lock file; [`io::ErrorKind::WouldBlock`] if it is claimed.
    fn lock(&self, path: &Path) -> io::Result<DirectoryLock>;
    /// A number that nobody can guess.
    fn random(&self) -> u64;
}

/// An open file. A write is durable after a sync that began later has returned well.
pub trait DiskFile: Send + Sync {
    /// Reads at most `buffer.len()` bytes from `offset`; 0 only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at least one byte and at most all of `bytes` to `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes the content durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Makes the content and the file's length durable (`fsync`).
    fn sync_all(&self) -> io::Result<()>;
    /// The file's length in bytes.
    fn length(&self) -> io::Result<u64>;
}

/// Writes all of `bytes`, however short the single writes are.
pub(crate) fn write_all_at(file: &dyn DiskFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads `length` bytes from `offset`, fewer only at the end of the file.
pub(crate) fn read_at_most(file: &dyn DiskFile, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}
