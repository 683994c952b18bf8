//! The certificate and key of `[tls]`, as the files hold them at a moment.

use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use crate::config::text_file::{self, TextFileError};

/// Where the server's certificate and its key come from.
pub(crate) struct PairSource {
    /// The file with the chain in PEM, the server's own certificate first.
    pub(crate) certificate: PathBuf,
    /// The key.
    pub(crate) key: KeySource,
}

/// Where the server's key comes from.
pub(crate) enum KeySource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// The environment, which stays what it was at the start: the key in PEM.
    Environment(Zeroizing<String>),
}

/// A certificate and a key. Whether they belong together is not known yet.
pub(crate) struct Pair {
    /// The chain in PEM, the server's own certificate first.
    pub(crate) chain_pem: String,
    /// The private key in PEM.
    pub(crate) key_pem: Zeroizing<String>,
}

/// Tells one pair from another without keeping a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl PairSource {
    /// Reads both.
    ///
    /// # Errors
    /// [`TextFileError`] names the file.
    pub(crate) fn read(&self) -> Result<Pair, TextFileError> {
        Ok(Pair { chain_pem: text_file::read(&self.certificate)?, key_pem: self.key.read()? })
    }
}

impl KeySource {
    /// The key in PEM.
    ///
    /// # Errors
    /// [`TextFileError`]
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, TextFileError> {
        match self {
            Self::File(path) => text_file::read_secret(path),
            Self::Environment(key_pem) => Ok(key_pem.clone()),
        }
    }
}

impl Pair {
    /// Equal for equal texts only.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut digest = Context::new(&SHA256);
        // With its length, so that nothing moves from one text to the other unseen.
        digest.update(&(self.chain_pem.len() as u64).to_be_bytes());
        digest.update(self.chain_pem.as_bytes());
        digest.update(self.key_pem.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.finish().as_ref());
        Fingerprint(bytes)
    }
}
