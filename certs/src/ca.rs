//! Which CAs may be enrolled to speak for devices.

use model::{DeviceId, Timestamp};
use rustls_pki_types::pem::SectionKind;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use thiserror::Error;
use webpki::anchor_from_trusted_cert;
use x509_parser::certificate::X509Certificate;

use crate::certificate::{self, ClientPurpose, Dates, Standing};
use crate::common_name::Shown;
use crate::{pem, thumbprint};

mod admission;

/// The longest PEM text read, in bytes.
pub const CA_PEM_BYTES_MAX: usize = 64 * 1024;
/// CAs of one subject that may be enrolled side by side.
pub const CAS_OF_ONE_SUBJECT_MAX: usize = 8;

/// A CA that may be an anchor: what [`admit`] found in order.
#[derive(Debug, Clone)]
pub struct AdmittedCa {
    /// Its certificate.
    pub der: CertificateDer<'static>,
    /// Its subject, for people.
    pub subject: String,
    /// SHA-256 over its certificate: its id.
    pub sha256: [u8; 32],
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it ends to be valid.
    pub not_after: Timestamp,
    /// Literal prefixes of the device ids it may speak for; all when empty.
    pub id_scope: Vec<String>,
    pub(crate) subject_der: Box<[u8]>,
    pub(crate) spki: Box<[u8]>,
    pub(crate) subject_key_id: Option<Box<[u8]>>,
    pub(crate) path_len: Option<u32>,
    pub(crate) dates: Dates,
    pub(crate) anchor: TrustAnchor<'static>,
}

/// Why a CA may not be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CaReject {
    /// More text than any certificate needs.
    #[error("the text has {bytes} bytes, at most {CA_PEM_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The text is not PEM, or a section does not end.
    #[error("the text is not PEM")]
    NotPem,
    /// The text holds a private key. It should not have left its owner.
    #[error("the text holds a private key: send the certificate only, and consider that key known to others")]
    PrivateKey,
    /// The text holds something else than one certificate.
    #[error("the text holds {count} certificates, it must hold one")]
    NotOneCertificate {
        /// How many certificates.
        count: usize,
    },
    /// Not a certificate in DER, or an extension that counts is broken.
    #[error("the certificate cannot be read")]
    Malformed,
    /// X.509 version 1 or 2.
    #[error("the certificate has version {version}, a CA needs version 3")]
    Version {
        /// The version.
        version: u32,
    },
    /// Without basicConstraints.
    #[error("the certificate has no basicConstraints and so is no CA's")]
    NoBasicConstraints,
    /// basicConstraints say `CA:FALSE`.
    #[error("the certificate says CA:FALSE")]
    NotCa,
    /// keyUsage without keyCertSign.
    #[error("the certificate's key usage does not allow signing certificates")]
    MayNotSign,
    /// extendedKeyUsage without clientAuth.
    #[error("the certificate's extended key usage does not allow TLS clients")]
    Purpose,
    /// Its validity is over.
    #[error("the certificate expired at {not_after}")]
    Expired {
        /// When.
        not_after: Timestamp,
    },
    /// Its validity has not begun.
    #[error("the certificate is not valid before {not_before}")]
    NotYetValid {
        /// When it begins.
        not_before: Timestamp,
    },
    /// An RSA key under 2048 bits.
    #[error("the certificate's RSA key has {bits} bits, at least 2048 are required")]
    WeakKey {
        /// Its size.
        bits: usize,
    },
    /// A key that no accepted signature algorithm uses.
    #[error("the certificate's kind of key is not supported: use RSA, ECDSA on P-256, P-384 or P-521, or Ed25519")]
    KeyKind,
    /// A critical extension that would be ignored.
    #[error("the certificate has the critical extension {oid}, which would not be obeyed")]
    CriticalExtension {
        /// Its object identifier.
        oid: String,
    },
    /// A name constraint that would bind nothing, or refuse every device.
    #[error("the certificate constrains names of the kind {kind}, which cannot be obeyed: only DNS names and IP addresses can")]
    NameConstraint {
        /// The kind of name.
        kind: &'static str,
    },
    /// An id prefix that no device id begins with.
    #[error("the id scope {prefix} is no beginning of a device id")]
    IdScope {
        /// The prefix.
        prefix: Shown,
    },
    /// The same certificate is enrolled.
    #[error("the certificate is enrolled already")]
    Enrolled,
    /// [`CAS_OF_ONE_SUBJECT_MAX`] CAs of the same subject are enrolled.
    #[error("{CAS_OF_ONE_SUBJECT_MAX} CAs with the subject {subject} are enrolled already")]
    TooManyOfSubject {
        /// The subject.
        subject: Shown,
    },
}

/// Checks that the one certificate in `pem` may be an anchor for devices whose ids begin with
/// one of `id_scope`, all devices when that is empty.
///
/// # Errors
/// [`CaReject`] naming the first fault.
pub fn admit(pem: &str, id_scope: Vec<String>, now: Timestamp) -> Result<AdmittedCa, CaReject> {
    let admitted = restore(pem, id_scope)?;
    match admitted.dates.at(now) {
        Standing::Valid => Ok(admitted),
        Standing::Expired => Err(CaReject::Expired { not_after: admitted.not_after }),
        Standing::NotYetValid => Err(CaReject::NotYetValid { not_before: admitted.not_before }),
    }
}

/// As [`admit`] for a CA that was enrolled earlier and may have expired since: every check but
/// that of its dates, which each judgement makes.
///
/// # Errors
/// [`CaReject`] naming the first fault.
pub fn restore(pem: &str, id_scope: Vec<String>) -> Result<AdmittedCa, CaReject> {
    let der = admission::only_certificate(pem)?;
    admission::check_scope(&id_scope)?;
    let certificate = certificate::parse(&der).map_err(|_| CaReject::Malformed)?;
    admission::check(&certificate)?;
    describe(&der, &certificate, id_scope)
}

/// As [`admit`], beside CAs that are enrolled: the same certificate is refused, and so is one
/// CA more than [`CAS_OF_ONE_SUBJECT_MAX`] of the same subject, which would make a stranger's
/// chain cost as many signature checks.
///
/// # Errors
/// [`CaReject`] naming the first fault.
pub fn admit_into(enrolled: &[AdmittedCa], pem: &str, id_scope: Vec<String>, now: Timestamp) -> Result<AdmittedCa, CaReject> {
    let admitted = admit(pem, id_scope, now)?;
    if enrolled.iter().any(|other| other.sha256 == admitted.sha256) {
        return Err(CaReject::Enrolled);
    }
    if enrolled.iter().filter(|other| other.subject_der == admitted.subject_der).count() >= CAS_OF_ONE_SUBJECT_MAX {
        return Err(CaReject::TooManyOfSubject { subject: Shown::new(&admitted.subject) });
    }
    Ok(admitted)
}

impl AdmittedCa {
    /// Whether it may speak for `device`.
    pub fn covers(&self, device: &DeviceId) -> bool {
        self.id_scope.is_empty() || self.id_scope.iter().any(|prefix| device.as_str().starts_with(prefix))
    }

    /// Its certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        pem::certificate(&self.der)
    }
}

fn describe(der: &CertificateDer<'static>, certificate: &X509Certificate<'_>, id_scope: Vec<String>) -> Result<AdmittedCa, CaReject> {
    let anchor = anchor_from_trusted_cert(der).map_err(|_| CaReject::Malformed)?;
    let dates = Dates::of(certificate);
    let basic_constraints = certificate.basic_constraints().map_err(|_| CaReject::Malformed)?;
    Ok(AdmittedCa {
        subject: certificate.subject().to_string(),
        sha256: thumbprint::sha256_bytes(der),
        not_before: dates.start(),
        not_after: dates.end(),
        id_scope,
        subject_der: certificate.subject().as_raw().into(),
        spki: certificate.public_key().raw.into(),
        subject_key_id: certificate::subject_key_id(certificate).map(Into::into),
        path_len: basic_constraints.and_then(|constraints| constraints.value.path_len_constraint),
        dates,
        anchor: anchor.to_owned(),
        der: der.clone(),
    })
}
