//! The hub's own certificate, replaceable while connections come in.

use std::sync::Arc;

use arc_swap::ArcSwap;
use model::Timestamp;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::certificate::{Dates, Standing, unix_time};
use crate::{certificate, tls};

/// The certificate that listeners show. Clones share it: replacing it once replaces it everywhere.
#[derive(Debug, Clone)]
pub struct ServerIdentity(Arc<ArcSwap<Shown>>);

#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

/// From when to when a chain can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When the server's own certificate began to be valid.
    pub not_before: Timestamp,
    /// When the first certificate of the chain ends to be valid.
    pub not_after: Timestamp,
}

/// Why a certificate and key cannot be shown to clients.
#[derive(Debug, Error)]
pub enum ServerIdentityError {
    /// The chain's text holds no certificate, or a broken one.
    #[error("the server certificate is no chain of certificates in PEM")]
    Chain,
    /// The key's text holds no private key, or one of a kind TLS does not know.
    #[error("the server key is no private key in PEM that TLS can use")]
    Key,
    /// The key belongs to another certificate.
    #[error("the server key does not belong to the server certificate")]
    KeyMismatch,
    /// The certificate is for a CA, or not for servers; clients would refuse it.
    #[error("the server certificate may not be used by a TLS server")]
    Purpose,
    /// It names no host; clients would refuse it.
    #[error("the server certificate has no subject alternative name")]
    NoName,
    /// Its validity, or that of a certificate above it, is over.
    #[error("certificate {index} of the server's chain expired at {not_after}")]
    Expired {
        /// Its place, the server's own being 0.
        index: usize,
        /// When it ended.
        not_after: Timestamp,
    },
    /// Its validity, or that of a certificate above it, has not begun.
    #[error("certificate {index} of the server's chain is not valid before {not_before}")]
    NotYetValid {
        /// Its place, the server's own being 0.
        index: usize,
        /// When it begins.
        not_before: Timestamp,
    },
    /// The certificates do not sign one another in the order given.
    #[error("the server's chain does not hold together: each certificate must be signed by the next")]
    Broken(#[source] webpki::Error),
}

impl ServerIdentity {
    /// Reads and validates a chain, the server's own certificate first, and its key, both in PEM.
    ///
    /// # Errors
    /// [`ServerIdentityError`] when clients could not use it at `now`.
    pub fn load(chain_pem: &str, key_pem: &str, now: Timestamp) -> Result<Self, ServerIdentityError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(read(chain_pem, key_pem, now)?))))
    }

    /// Shows another certificate from the next handshake on. On error the old one stays.
    ///
    /// # Errors
    /// As [`ServerIdentity::load`].
    pub fn replace(&self, chain_pem: &str, key_pem: &str, now: Timestamp) -> Result<(), ServerIdentityError> {
        self.0.store(Arc::new(read(chain_pem, key_pem, now)?));
        Ok(())
    }

    /// When the first certificate of the chain now shown ends to be valid.
    pub fn not_after(&self) -> Timestamp {
        self.validity().not_after
    }

    /// From when to when the chain now shown is valid.
    pub fn validity(&self) -> Validity {
        self.0.load().validity
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
}

fn read(chain_pem: &str, key_pem: &str, now: Timestamp) -> Result<Shown, ServerIdentityError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect();
    let chain = chain.map_err(|_| ServerIdentityError::Chain)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| ServerIdentityError::Key)?;
    let validity = check_dates(&chain, now)?;
    check_leaf(&chain)?;
    check_links(&chain, now)?;
    let key = tls::provider().key_provider.load_private_key(key).map_err(|_| ServerIdentityError::Key)?;
    let key = CertifiedKey::new(chain, key);
    key.keys_match().map_err(|_| ServerIdentityError::KeyMismatch)?;
    Ok(Shown { key: Arc::new(key), validity })
}

/// The validity of the chain, once all of it is valid.
fn check_dates(chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Validity, ServerIdentityError> {
    let mut validity: Option<Validity> = None;
    for (index, der) in chain.iter().enumerate() {
        let certificate = certificate::parse(der).map_err(|_| ServerIdentityError::Chain)?;
        let dates = Dates::of(&certificate);
        match dates.at(now) {
            Standing::Valid => {
                let not_before = validity.map_or(dates.start(), |own| own.not_before);
                let not_after = validity.map_or(dates.end(), |above| above.not_after.min(dates.end()));
                validity = Some(Validity { not_before, not_after });
            }
            Standing::Expired => return Err(ServerIdentityError::Expired { index, not_after: dates.end() }),
            Standing::NotYetValid => return Err(ServerIdentityError::NotYetValid { index, not_before: dates.start() }),
        }
    }
    validity.ok_or(ServerIdentityError::Chain)
}

fn check_leaf(chain: &[CertificateDer<'_>]) -> Result<(), ServerIdentityError> {
    let leaf = chain.first().ok_or(ServerIdentityError::Chain)?;
    let leaf = certificate::parse(leaf).map_err(|_| ServerIdentityError::Chain)?;
    let purposes = leaf.extended_key_usage().map_err(|_| ServerIdentityError::Chain)?;
    if leaf.is_ca() || purposes.is_some_and(|purposes| !purposes.value.server_auth) {
        return Err(ServerIdentityError::Purpose);
    }
    let names = leaf.subject_alternative_name().map_err(|_| ServerIdentityError::Chain)?;
    if names.is_none_or(|names| names.value.general_names.is_empty()) {
        return Err(ServerIdentityError::NoName);
    }
    Ok(())
}

/// Verifies the chain against its own last certificate; a chain of one has nothing to verify.
fn check_links(chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), ServerIdentityError> {
    let [leaf, intermediates @ .., last] = chain else { return Ok(()) };
    let anchor = anchor_from_trusted_cert(last).map_err(ServerIdentityError::Broken)?;
    let leaf = EndEntityCert::try_from(leaf).map_err(ServerIdentityError::Broken)?;
    let algorithms = tls::provider().signature_verification_algorithms;
    leaf.verify_for_usage(algorithms.all, &[anchor], intermediates, unix_time(now), KeyUsage::server_auth(), None, None)
        .map(|_| ())
        .map_err(ServerIdentityError::Broken)
}
