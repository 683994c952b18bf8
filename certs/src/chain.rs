//! The certificates a peer sent, within bounds.

use rustls_pki_types::CertificateDer;
use thiserror::Error;

use crate::certificate;
use crate::thumbprint;

/// Certificates in one chain.
pub const CERTIFICATES_MAX: usize = 8;
/// All certificates of a chain together.
pub const CHAIN_BYTES_MAX: usize = 16 * 1024;
/// The peer's own certificate.
pub const LEAF_BYTES_MAX: usize = 8 * 1024;

/// A chain as received: the peer's own certificate first, the rest in any order.
#[derive(Clone)]
pub struct PeerChain {
    leaf: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
    sha256: [u8; 32],
}

/// Why certificates are not worth judging.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainReject {
    /// No certificate at all.
    #[error("the chain holds no certificate")]
    Empty,
    /// More than [`CERTIFICATES_MAX`].
    #[error("the chain holds {count} certificates, at most {CERTIFICATES_MAX} are read")]
    TooManyCertificates {
        /// How many there are.
        count: usize,
    },
    /// The leaf is longer than [`LEAF_BYTES_MAX`].
    #[error("the certificate has {bytes} bytes, at most {LEAF_BYTES_MAX} are read")]
    LeafTooLong {
        /// Its length.
        bytes: usize,
    },
    /// All together are longer than [`CHAIN_BYTES_MAX`].
    #[error("the chain has {bytes} bytes, at most {CHAIN_BYTES_MAX} are read")]
    ChainTooLong {
        /// Their length.
        bytes: usize,
    },
    /// Not DER, not a certificate, or bytes after its end.
    #[error("certificate {index} of the chain is not one X.509 certificate in DER")]
    Malformed {
        /// Its place, the leaf being 0.
        index: usize,
    },
}

impl ChainReject {
    /// A stable name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Empty => "chain_empty",
            Self::TooManyCertificates { .. } => "chain_too_many_certificates",
            Self::LeafTooLong { .. } => "chain_leaf_too_long",
            Self::ChainTooLong { .. } => "chain_too_long",
            Self::Malformed { .. } => "chain_malformed",
        }
    }
}

impl PeerChain {
    /// Takes over what a TLS peer sent.
    ///
    /// # Errors
    /// [`ChainReject`] when it exceeds a bound or one of them cannot be read. Bounds are checked
    /// before anything is parsed or copied.
    pub fn new(certificates: &[CertificateDer<'_>]) -> Result<Self, ChainReject> {
        let (leaf, others) = certificates.split_first().ok_or(ChainReject::Empty)?;
        check(leaf, others)?;
        Ok(Self {
            sha256: thumbprint::sha256_bytes(leaf),
            leaf: leaf.clone().into_owned(),
            others: others.iter().map(|other| other.clone().into_owned()).collect(),
        })
    }

    /// The peer's own certificate.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.leaf
    }

    /// What it sent along.
    pub fn others(&self) -> &[CertificateDer<'static>] {
        &self.others
    }

    /// SHA-256 over the leaf's bytes.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}

/// Checks the bounds, then that each certificate can be read.
pub(crate) fn check(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), ChainReject> {
    let count = others.len() + 1;
    if count > CERTIFICATES_MAX {
        return Err(ChainReject::TooManyCertificates { count });
    }
    if leaf.len() > LEAF_BYTES_MAX {
        return Err(ChainReject::LeafTooLong { bytes: leaf.len() });
    }
    let bytes = leaf.len() + others.iter().map(|other| other.len()).sum::<usize>();
    if bytes > CHAIN_BYTES_MAX {
        return Err(ChainReject::ChainTooLong { bytes });
    }
    for (index, der) in std::iter::once(leaf).chain(others).enumerate() {
        certificate::parse(der).map_err(|_| ChainReject::Malformed { index })?;
    }
    Ok(())
}
