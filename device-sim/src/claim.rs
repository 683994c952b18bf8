//! One fleet for each prefix: devices of the same names would take over each other's connections.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;

use hubctl::DataDirectory;
use thiserror::Error;

/// The sole use of the devices of a prefix, for as long as this value or the process lasts.
///
/// A locked file in the hub's data directory, which every fleet of the hub has to read anyway.
#[derive(Debug)]
pub(crate) struct Claim {
    _lock: File,
}

/// Why a prefix is not to be had.
#[derive(Debug, Error)]
pub(crate) enum ClaimError {
    #[error(
        "another fleet runs {prefix}-00001 and so on, on the hub of {}, and a device has one connection; choose other names with --prefix, as --prefix {prefix}2",
        directory.display()
    )]
    Taken { prefix: String, directory: PathBuf },
    #[error("{} cannot be locked", path.display())]
    File { path: PathBuf, source: io::Error },
}

impl Claim {
    /// Claims the devices of `prefix` on the hub of `directory`.
    ///
    /// # Errors
    /// [`ClaimError::Taken`] while another process has it.
    pub(crate) fn to(directory: &DataDirectory, prefix: &str) -> Result<Self, ClaimError> {
        let path = directory.path().join(format!("fleet-{prefix}.lock"));
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let lock = match opened {
            Ok(lock) => lock,
            Err(source) => return Err(ClaimError::File { path, source }),
        };
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ClaimError::Taken { prefix: prefix.to_owned(), directory: directory.path().to_owned() }),
            Err(TryLockError::Error(source)) => Err(ClaimError::File { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_one_fleets_until_it_ends() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = DataDirectory::new(root.path());
        let first = Claim::to(&directory, "sim").expect("nobody has it");
        let refused = Claim::to(&directory, "sim").expect_err("taken");
        assert!(refused.to_string().ends_with("as --prefix sim2"), "{refused}");
        assert!(Claim::to(&directory, "line").is_ok());
        drop(first);
        assert!(Claim::to(&directory, "sim").is_ok());
    }
}
