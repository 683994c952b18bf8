//! What the hub knows of an identity in order to let it in, and of a policy in order to obey it.
//!
//! The registry keeps these in memory; `certs` judges by them. A change is published by raising
//! an [`Epoch`]: whoever was let in under the old one sees it with a single atomic load.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::Identity;

mod rights;

pub use rights::{EventHubRights, InvalidRight, Rights};

/// Secret bytes: never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// A key that is not base64, or holds no bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a key must be base64 of at least one byte")]
pub struct InvalidKey;

impl Secret {
    /// Keeps `bytes` as a secret.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads a key as connection strings and the registry write it.
    ///
    /// # Errors
    /// [`InvalidKey`] when `text` is not base64 or is empty.
    pub fn from_base64(text: &str) -> Result<Self, InvalidKey> {
        let bytes = STANDARD.decode(text).map_err(|_| InvalidKey)?;
        if bytes.is_empty() { Err(InvalidKey) } else { Ok(Self::new(bytes)) }
    }

    /// The key in base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&*self.0)
    }

    /// The bytes, for signing and comparing.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The hash of a certificate's DER bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thumbprint {
    /// SHA-1, accepted for compatibility.
    Sha1([u8; 20]),
    /// SHA-256, what our own tools write.
    Sha256([u8; 32]),
}

/// A text that is neither 40 nor 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a thumbprint is 40 (SHA-1) or 64 (SHA-256) hexadecimal digits, with or without colons")]
pub struct InvalidThumbprint;

impl Thumbprint {
    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }
}

impl FromStr for Thumbprint {
    type Err = InvalidThumbprint;

    /// Reads upper or lower case, with or without colons or spaces between bytes.
    fn from_str(text: &str) -> Result<Self, InvalidThumbprint> {
        let digits: String = text.chars().filter(|c| *c != ':' && *c != ' ').collect();
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidThumbprint);
        }
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(InvalidThumbprint);
        }
        let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0) as u8;
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| nibble(*high) << 4 | nibble(*low)).collect();
        if let Ok(sha1) = bytes.as_slice().try_into() {
            Ok(Self::Sha1(sha1))
        } else if let Ok(sha256) = bytes.as_slice().try_into() {
            Ok(Self::Sha256(sha256))
        } else {
            Err(InvalidThumbprint)
        }
    }
}

impl fmt::Display for Thumbprint {
    /// Upper-case hexadecimal without separators.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How an identity proves itself and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A token signed with either key.
    Keys {
        /// The first key.
        primary: Secret,
        /// The second key.
        secondary: Secret,
    },
    /// A certificate with either thumbprint. With neither set nothing is accepted.
    Thumbprints {
        /// The first certificate's.
        primary: Option<Thumbprint>,
        /// The second certificate's.
        secondary: Option<Thumbprint>,
    },
    /// A certificate under an enrolled CA whose common name is the identity.
    CertificateAuthority,
    /// Nothing: the identity cannot connect.
    None,
}

/// A counter that rises whenever what was granted under it may no longer hold.
#[derive(Debug, Clone, Default)]
pub struct Epoch(Arc<AtomicU64>);

impl Epoch {
    /// The present value.
    pub fn current(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Ends everything granted so far.
    pub fn raise(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// What admission needs of an identity.
#[derive(Debug, Clone)]
pub struct IdentityRecord {
    /// Who.
    pub identity: Identity,
    /// New at each creation of the same id.
    pub generation: Arc<str>,
    /// Whether it may connect. A module is enabled while its device is.
    pub enabled: bool,
    /// How it proves itself.
    pub credentials: Credentials,
    /// Rises when the identity is disabled, deleted or given other credentials. It belongs to
    /// this creation of the identity: deleted and created again, it has another one.
    pub epoch: Epoch,
}

/// A shared access policy of the hub.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name, `skn` in tokens.
    pub name: String,
    /// The first key.
    pub primary: Secret,
    /// The second key.
    pub secondary: Secret,
    /// What its holders may do.
    pub rights: Rights,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_read_in_every_common_form() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        let same = Thumbprint::Sha256([0xAB; 32]);
        assert_eq!(plain.parse(), Ok(same));
        assert_eq!(colons.parse(), Ok(same));
        assert_eq!("01".repeat(20).parse(), Ok(Thumbprint::Sha1([1; 20])));
        assert_eq!(same.to_string(), "AB".repeat(32));
        for bad in ["", "ab", "zz", &"a".repeat(41), &"ab".repeat(33), &"é".repeat(20)] {
            assert_eq!(bad.parse::<Thumbprint>(), Err(InvalidThumbprint), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let key = Secret::from_base64("c2VjcmV0").expect("base64");
        assert_eq!(format!("{key:?}"), "***");
        assert_eq!(key.to_base64(), "c2VjcmV0");
        assert_eq!(Secret::from_base64(""), Err(InvalidKey));
        assert_eq!(Secret::from_base64("*"), Err(InvalidKey));
    }

    #[test]
    fn a_raised_epoch_is_seen_by_every_clone() {
        let epoch = Epoch::default();
        let seen = epoch.clone();
        let before = seen.current();
        epoch.raise();
        assert_ne!(seen.current(), before);
    }
}
