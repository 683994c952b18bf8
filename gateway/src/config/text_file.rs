//! Text files that a configuration names: certificates, and secrets in files of their own.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

/// More than any chain of certificates or key takes, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// Why a file is not read. The whole reason is in the text.
#[derive(Debug, Error)]
pub(crate) enum TextFileError {
    /// It is not there, may not be read, or holds no UTF-8.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// It cannot be what it is said to be.
    #[error("{} holds more than 1 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A secret that is none.
    #[error("{} may be read by others; chmod 600 it", path.display())]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a file that anybody may read, at most 1 MiB.
///
/// # Errors
/// [`TextFileError`]
pub(crate) fn read(path: &Path) -> Result<String, TextFileError> {
    let text = open(path).and_then(|file| read_whole(file, path))?;
    Ok(text.to_string())
}

/// Reads a file that only its owner may read, at most 1 MiB.
///
/// # Errors
/// [`TextFileError`], also when others may read it.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, TextFileError> {
    let file = open(path)?;
    let metadata = file.metadata().map_err(|reason| TextFileError::Unreadable { path: path.to_owned(), reason })?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(TextFileError::ReadableByOthers { path: path.to_owned() });
    }
    read_whole(file, path)
}

fn open(path: &Path) -> Result<File, TextFileError> {
    File::open(path).map_err(|reason| TextFileError::Unreadable { path: path.to_owned(), reason })
}

fn read_whole(file: File, path: &Path) -> Result<Zeroizing<String>, TextFileError> {
    let announced = file.metadata().map_or(0, |metadata| metadata.len().min(BYTES_MAX));
    // Room for everything at once: growing would leave copies of a key behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(announced).unwrap_or(0) + 64));
    match file.take(BYTES_MAX + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > BYTES_MAX => Err(TextFileError::TooLarge { path: path.to_owned() }),
        Ok(_) => Ok(text),
        Err(reason) => Err(TextFileError::Unreadable { path: path.to_owned(), reason }),
    }
}
