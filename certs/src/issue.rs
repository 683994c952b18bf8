//! Certificates of our own making: a development CA and what it signs.
//!
//! Keys are ECDSA P-256, written as PKCS#8 in PEM and wiped from memory when dropped.

use std::net::IpAddr;
use std::time::Duration;

use model::{Identity, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{certificate, pem};

/// How long a certificate is valid before it is issued: clocks of small devices run behind.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);
/// How long server certificates are valid. Some clients refuse more than 825 days.
const SERVER_LIFETIME: Duration = Duration::from_secs(820 * 24 * 3600);

/// A CA: its certificate and key.
pub struct Issuer {
    certificate: CertificateDer<'static>,
    issuer: rcgen::Issuer<'static, WipedKey>,
}

/// A chain, the certificate itself first, and its key, both in PEM.
pub struct CertifiedKeyPem {
    /// The certificate, then those between it and the root, without the root.
    pub chain_pem: String,
    /// The PKCS#8 key.
    pub key_pem: Zeroizing<String>,
}

/// Why nothing was issued.
#[derive(Debug, Error)]
pub enum IssueError {
    /// The text is no certificate in PEM.
    #[error("the issuer's certificate is no certificate in PEM")]
    Certificate,
    /// The text is no PKCS#8 key in PEM.
    #[error("the issuer's key is no PKCS#8 private key in PEM")]
    Key,
    /// The key belongs to another certificate.
    #[error("the issuer's key does not belong to its certificate")]
    KeyMismatch,
    /// Certificates would name another issuer than the CA.
    #[error("the issuer's subject has a form that cannot be written into certificates, such as an attribute twice")]
    Subject,
    /// A host name that cannot stand in a certificate.
    #[error("{name:?} is neither a DNS name nor an IP address")]
    HostName {
        /// The name.
        name: String,
    },
    /// No host name at all.
    #[error("a server certificate needs at least one name")]
    NoHostName,
    /// The encoder or the generator of keys failed.
    #[error("the certificate could not be made")]
    Failed(#[from] rcgen::Error),
}

impl Issuer {
    /// A new CA with a new key, valid from a day before `now` until `lifetime` after it. It may
    /// sign certificates of devices and servers and no further CAs.
    ///
    /// # Errors
    /// [`IssueError::Failed`].
    pub fn create(subject_common_name: &str, now: Timestamp, lifetime: Duration) -> Result<Self, IssueError> {
        let key = WipedKey::generate()?;
        let mut parameters = parameters(subject_common_name, now, lifetime);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&key)?;
        Ok(Self { certificate: certificate.into(), issuer: rcgen::Issuer::new(parameters, key) })
    }

    /// A CA that exists: its certificate and its PKCS#8 key in PEM.
    ///
    /// # Errors
    /// [`IssueError`] when either cannot be read or they do not belong together.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, IssueError> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| IssueError::Certificate)?;
        let key = WipedKey(KeyPair::from_pem(key_pem).map_err(|_| IssueError::Key)?);
        let parsed = certificate::parse(&certificate).map_err(|_| IssueError::Certificate)?;
        if parsed.public_key().subject_public_key.data != rcgen::PublicKeyData::der_bytes(&key) {
            return Err(IssueError::KeyMismatch);
        }
        let issuer = rcgen::Issuer::from_ca_cert_der(&certificate, key)?;
        check_issuer_name(&issuer, parsed.subject().as_raw())?;
        Ok(Self { certificate, issuer })
    }

    /// The CA's certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        pem::certificate(&self.certificate)
    }

    /// The CA's key, PKCS#8 in PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.issuer.key().pem()
    }

    /// A server's certificate for `names`, DNS names and IP addresses, valid for 820 days.
    ///
    /// # Errors
    /// [`IssueError`] when a name is neither, or there is none.
    pub fn issue_server(&self, names: &[&str], now: Timestamp) -> Result<CertifiedKeyPem, IssueError> {
        let first = names.first().ok_or(IssueError::NoHostName)?;
        let mut parameters = parameters(first, now, SERVER_LIFETIME);
        parameters.subject_alt_names = names.iter().map(|name| alternative_name(name)).collect::<Result<_, _>>()?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(parameters)
    }

    /// A device's or module's certificate: its common name is the identity, and it authenticates
    /// clients only.
    ///
    /// # Errors
    /// [`IssueError::Failed`].
    pub fn issue_device(&self, identity: &Identity, now: Timestamp, lifetime: Duration) -> Result<CertifiedKeyPem, IssueError> {
        self.issue(device_parameters(identity, now, lifetime))
    }

    fn issue(&self, mut parameters: CertificateParams) -> Result<CertifiedKeyPem, IssueError> {
        let key = WipedKey::generate()?;
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(CertifiedKeyPem { chain_pem: pem::certificate(certificate.der()), key_pem: key.pem() })
    }
}

/// A device's certificate without a CA, to be registered by its thumbprint.
///
/// # Errors
/// [`IssueError::Failed`].
pub fn self_signed(identity: &Identity, now: Timestamp, lifetime: Duration) -> Result<CertifiedKeyPem, IssueError> {
    let key = WipedKey::generate()?;
    let certificate = device_parameters(identity, now, lifetime).self_signed(&key)?;
    Ok(CertifiedKeyPem { chain_pem: pem::certificate(certificate.der()), key_pem: key.pem() })
}

/// Signs a certificate for nobody to see how the issuer is written in it: names are compared
/// byte by byte, and the encoder keeps one value of each attribute.
fn check_issuer_name(issuer: &rcgen::Issuer<'_, WipedKey>, subject: &[u8]) -> Result<(), IssueError> {
    let trial = CertificateParams::default().signed_by(issuer.key(), issuer)?;
    match certificate::parse(trial.der()) {
        Ok(trial) if trial.issuer().as_raw() == subject => Ok(()),
        Ok(_) | Err(_) => Err(IssueError::Subject),
    }
}

fn device_parameters(identity: &Identity, now: Timestamp, lifetime: Duration) -> CertificateParams {
    let mut parameters = parameters(&identity.to_string(), now, lifetime);
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

fn parameters(common_name: &str, now: Timestamp, lifetime: Duration) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.not_before = calendar(before(now, BACKDATED));
    parameters.not_after = calendar(now.saturating_add(lifetime));
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters
}

fn alternative_name(name: &str) -> Result<SanType, IssueError> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => {
            rustls_pki_types::DnsName::try_from(name).map_err(|_| IssueError::HostName { name: name.to_owned() })?;
            Ok(SanType::DnsName(name.try_into()?))
        }
    }
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_milliseconds(now.as_milliseconds().saturating_sub(by))
}

fn calendar(moment: Timestamp) -> OffsetDateTime {
    // A timestamp lies within years 1 to 9999, which is what the calendar covers.
    OffsetDateTime::from_unix_timestamp(moment.as_seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A key pair whose private half is wiped when dropped.
struct WipedKey(KeyPair);

impl WipedKey {
    fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map(Self)
    }

    fn pem(&self) -> Zeroizing<String> {
        pem::private_key(self.0.serialized_der())
    }
}

impl Drop for WipedKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl rcgen::PublicKeyData for WipedKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        rcgen::PublicKeyData::algorithm(&self.0)
    }
}

impl rcgen::SigningKey for WipedKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}
