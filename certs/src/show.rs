//! Certificates described for people.

use model::Timestamp;
use rustls_pki_types::pem::SectionKind;
use serde::Serialize;
use std::net::IpAddr;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519};
use x509_parser::public_key::PublicKey;

use crate::certificate::Dates;
use crate::{certificate, pem, thumbprint};

/// What a certificate says. Nothing here is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSummary {
    /// The subject, in the order written.
    pub subject: String,
    /// The issuer, in the order written.
    pub issuer: String,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// X.509 version: 1, 2 or 3.
    pub version: u32,
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it ends to be valid.
    pub not_after: Timestamp,
    /// The kind of key, such as `ECDSA P-256` or `RSA 2048`.
    pub key: String,
    /// Whether it says `CA:TRUE`.
    pub ca: bool,
    /// What extendedKeyUsage names.
    pub purposes: Vec<String>,
    /// Subject alternative names.
    pub names: Vec<String>,
    /// SHA-256 of its bytes, what `hubctl device create --thumbprint` takes.
    pub sha256: String,
    /// SHA-1 of its bytes.
    pub sha1: String,
}

/// A text without a readable certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The text is not PEM.
    #[error("the text is not PEM")]
    NotPem,
    /// PEM without a certificate.
    #[error("the text holds no certificate")]
    NoCertificate,
    /// A certificate that is not X.509 in DER.
    #[error("certificate {number} cannot be read")]
    Malformed {
        /// Its place, counted from 1.
        number: usize,
    },
}

/// Describes every certificate in a PEM text, in order.
///
/// # Errors
/// [`Unreadable`] when there is none, or one cannot be read.
pub fn summarize(pem: &str) -> Result<Vec<CertificateSummary>, Unreadable> {
    let sections = pem::sections(pem).map_err(|_| Unreadable::NotPem)?;
    let certificates = sections.into_iter().filter(|(kind, _)| *kind == SectionKind::Certificate);
    let read = |(index, (_, der)): (usize, (SectionKind, Vec<u8>))| {
        let certificate = certificate::parse(&der).map_err(|_| Unreadable::Malformed { number: index + 1 })?;
        Ok(describe(&der, &certificate))
    };
    let summaries: Vec<_> = certificates.enumerate().map(read).collect::<Result<_, _>>()?;
    if summaries.is_empty() { Err(Unreadable::NoCertificate) } else { Ok(summaries) }
}

fn describe(der: &[u8], certificate: &X509Certificate<'_>) -> CertificateSummary {
    let dates = Dates::of(certificate);
    CertificateSummary {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: certificate.raw_serial().iter().map(|byte| format!("{byte:02X}")).collect(),
        version: certificate.version().0.saturating_add(1),
        not_before: dates.start(),
        not_after: dates.end(),
        key: key_kind(certificate),
        ca: certificate.is_ca(),
        purposes: certificate.extended_key_usage().ok().flatten().map(|usage| purposes(usage.value)).unwrap_or_default(),
        names: alternative_names(certificate),
        sha256: thumbprint::sha256(der).to_string(),
        sha1: thumbprint::sha1(der).to_string(),
    }
}

fn key_kind(certificate: &X509Certificate<'_>) -> String {
    let key = certificate.public_key();
    let algorithm = &key.algorithm;
    if let Ok(PublicKey::RSA(rsa)) = key.parsed() {
        return format!("RSA {}", rsa.key_size());
    }
    let curve = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let kind = curve.as_ref().unwrap_or(&algorithm.algorithm);
    let known =
        [(OID_SIG_ED25519, "Ed25519"), (OID_EC_P256, "ECDSA P-256"), (OID_NIST_EC_P384, "ECDSA P-384"), (OID_NIST_EC_P521, "ECDSA P-521")];
    match known.iter().find(|(oid, _)| oid == kind) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("algorithm {}", kind.to_id_string()),
    }
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let named = [
        (usage.any, "any"),
        (usage.client_auth, "clientAuth"),
        (usage.server_auth, "serverAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let named = named.into_iter().filter(|(is_named, _)| *is_named).map(|(_, name)| name.to_owned());
    named.chain(usage.other.iter().map(|oid| oid.to_id_string())).collect()
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    names.iter().flat_map(|names| &names.value.general_names).map(alternative_name).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds of name do not occur in certificates of devices and servers")]
fn alternative_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::URI(uri) => format!("URI:{uri}"),
        GeneralName::IPAddress(bytes) => match ip_address(bytes) {
            Some(address) => format!("IP:{address}"),
            None => "IP:?".to_owned(),
        },
        other => other.to_string(),
    }
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}
