//! The directory that holds everything: made private, locked by one process, written so that a
//! power cut leaves a file whole or absent.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use thiserror::Error;

/// The file in a data directory that whoever works in it has locked.
pub(crate) const LOCK_FILE: &str = "lock";
/// Directories are their owner's alone.
const DIRECTORY_MODE: u32 = 0o700;

/// A locked data directory; the lock lasts as long as this value, and never longer than the
/// process.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub(crate) enum DataDirError {
    /// Another process works in it.
    #[error("another hub is running in {}; stop it or use another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file or directory in it.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A file or directory that cannot be made, read or written.
#[derive(Debug, Error)]
#[error("cannot {doing} {}", path.display())]
pub(crate) struct FileError {
    /// What was tried.
    pub(crate) doing: &'static str,
    /// On which path.
    pub(crate) path: PathBuf,
    /// Why it failed.
    #[source]
    pub(crate) source: io::Error,
}

impl DataDir {
    /// Makes the directory if it is not there, and locks it.
    pub(crate) fn create(path: &Path) -> Result<Self, DataDirError> {
        create_directory(path)?;
        Self::open(path)
    }

    /// Locks a directory that is there.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let lock_path = path.join(LOCK_FILE);
        let fault = |source| FileError { doing: "lock", path: lock_path.clone(), source };
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path).map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(fault(source).into()),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// From here on every file this process makes is its owner's alone unless told otherwise: the
/// database and the event log hold keys and messages, whatever directory they are put in.
pub(crate) fn keep_files_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Makes a directory and what is above it, if it is not there, for its owner alone.
pub(crate) fn create_directory(path: &Path) -> Result<(), FileError> {
    let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path);
    made.map_err(|source| FileError { doing: "make the directory", path: path.to_owned(), source })
}

/// Writes a file so that, whatever happens, `path` holds all of `content` or what it held before.
/// Durable when it returns.
pub(crate) fn replace_file(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let fault = |source| FileError { doing: "write", path: path.to_owned(), source };
    let temporary = path.with_added_extension("new");
    write_synced(&temporary, content, mode).map_err(fault)?;
    fs::rename(&temporary, path).map_err(fault)?;
    sync_directory_of(path).map_err(fault)
}

/// Removes a file durably; one that is not there is no fault.
pub(crate) fn remove_file(path: &Path) -> Result<(), FileError> {
    let removed = match fs::remove_file(path) {
        Ok(()) => sync_directory_of(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|source| FileError { doing: "remove", path: path.to_owned(), source })
}

/// Reads a text file; `None` when it is not there.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError { doing: "read", path: path.to_owned(), source }),
    }
}

/// What an interrupted write left under the same name goes first, lest its mode stays.
fn write_synced(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    // Not left to the process's mask, which would take bits away.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("metadata").permissions().mode() & 0o777
    }

    #[test]
    fn a_second_hub_in_the_same_directory_is_refused() {
        let parent = tempfile::tempdir().expect("directory");
        let path = parent.path().join("data");
        let first = DataDir::create(&path).expect("first");
        assert!(matches!(DataDir::create(&path), Err(DataDirError::InUse { .. })));
        drop(first);
        DataDir::create(&path).expect("after the first is gone");
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_replaced_file_is_whole_and_has_its_mode() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("key.pem");
        fs::write(directory.path().join("key.pem.new"), "half of an interrupted wri").expect("left-over");
        replace_file(&path, b"first", 0o600).expect("write");
        replace_file(&path, b"second", 0o600).expect("write");
        assert_eq!(read_if_present(&path).expect("read").as_deref(), Some("second"));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("list").count(), 1, "no left-over");
        remove_file(&path).expect("remove");
        remove_file(&path).expect("remove again");
        assert_eq!(read_if_present(&path).expect("read"), None);
    }
}
