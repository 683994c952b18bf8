//! Why no enabled CA stands behind a certificate.

use super::order::Link;
use super::*;
use crate::certificate::{ClientPurpose, client_purpose, shown_name};
use thiserror::Error;

/// Why a chain leads to no enabled CA.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathReject {
    /// No enrolled CA and no certificate sent along has the issuer's name.
    #[error("the issuer {issuer} is not known")]
    UnknownIssuer {
        /// The first issuer that was not found.
        issuer: Shown,
    },
    /// A CA has the issuer's name and another key id.
    #[error("an enrolled CA is called {issuer}, but has another key")]
    IssuerKeyMismatch {
        /// The name.
        issuer: Shown,
    },
    /// The CA is enrolled and possession of its key was not shown.
    #[error("the CA {ca} is not verified")]
    CaUnverified {
        /// Its subject.
        ca: Shown,
    },
    /// A CA on the path is switched off.
    #[error("the CA {ca} is disabled")]
    CaDisabled {
        /// Its subject.
        ca: Shown,
    },
    /// The enrolled CA's own validity is over.
    #[error("the enrolled CA expired at {not_after}")]
    AnchorExpired {
        /// When.
        not_after: Timestamp,
    },
    /// The enrolled CA's own validity has not begun.
    #[error("the enrolled CA is not valid before {not_before}")]
    AnchorNotYetValid {
        /// When it begins.
        not_before: Timestamp,
    },
    /// The enrolled CA allows fewer intermediates than there are.
    #[error("the enrolled CA allows {allowed} intermediates, the chain has {count}")]
    AnchorPathLength {
        /// What its pathLenConstraint says.
        allowed: u32,
        /// How many there are.
        count: usize,
    },
    /// More certificates of one subject than an honest chain has.
    #[error("the chain holds {count} certificates of one subject")]
    SubjectRepeated {
        /// How many.
        count: usize,
    },
    /// A longer path than is followed.
    #[error("the chain has more than {INTERMEDIATES_MAX} intermediates")]
    TooManyIntermediates,
    /// The certificate's validity is over.
    #[error("the certificate expired at {not_after}")]
    LeafExpired {
        /// When.
        not_after: Timestamp,
    },
    /// The certificate's validity has not begun.
    #[error("the certificate is not valid before {not_before}")]
    LeafNotYetValid {
        /// When it begins.
        not_before: Timestamp,
    },
    /// A certificate's validity ends before it begins.
    #[error("a certificate's validity ends before it begins")]
    DatesReversed,
    /// An intermediate's validity is over.
    #[error("an intermediate certificate has expired")]
    IssuerExpired,
    /// An intermediate's validity has not begun.
    #[error("an intermediate certificate is not valid yet")]
    IssuerNotYetValid,
    /// An intermediate is no CA.
    #[error("an intermediate certificate is no CA's")]
    IssuerNotCa,
    /// An intermediate's keyUsage lacks keyCertSign.
    #[error("an intermediate certificate may not sign certificates")]
    IssuerMayNotSign,
    /// An intermediate's extendedKeyUsage lacks clientAuth.
    #[error("an intermediate certificate may not vouch for TLS clients")]
    IssuerPurpose,
    /// The leaf's extendedKeyUsage lacks clientAuth.
    #[error("the certificate may not be used by a TLS client")]
    LeafPurpose,
    /// An extendedKeyUsage without any usage.
    #[error("a certificate's extended key usage is empty")]
    EmptyPurpose,
    /// The leaf is a CA's certificate.
    #[error("the certificate is a CA's, not a device's")]
    LeafIsCa,
    /// An intermediate allows fewer intermediates below it than there are.
    #[error("an intermediate certificate allows fewer intermediates below it")]
    PathLength,
    /// A critical extension that is not known.
    #[error("a certificate has a critical extension that is not known")]
    CriticalExtension,
    /// A name outside what a CA may certify.
    #[error("a name in the certificate is outside the constraints of its CA")]
    NameConstraint,
    /// MD5, SHA-1, weak RSA and curves that are not accepted.
    #[error("a certificate is signed with an algorithm that is not accepted")]
    SignatureAlgorithm,
    /// The algorithm in a certificate is not that of its signature.
    #[error("a certificate names one signature algorithm and is signed with another")]
    AlgorithmMismatch,
    /// A signature does not verify.
    #[error("a certificate's signature does not verify")]
    Signature,
    /// X.509 version 1 or 2.
    #[error("a certificate is not of version 3")]
    Version,
    /// A certificate or an extension that cannot be read.
    #[error("a certificate of the chain cannot be read")]
    Malformed,
}

impl PathReject {
    /// A stable name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownIssuer { .. } => "path_unknown_issuer",
            Self::IssuerKeyMismatch { .. } => "path_issuer_key_mismatch",
            Self::CaUnverified { .. } => "path_ca_unverified",
            Self::CaDisabled { .. } => "path_ca_disabled",
            Self::AnchorExpired { .. } => "path_anchor_expired",
            Self::AnchorNotYetValid { .. } => "path_anchor_not_yet_valid",
            Self::AnchorPathLength { .. } => "path_anchor_path_length",
            Self::SubjectRepeated { .. } => "path_subject_repeated",
            Self::TooManyIntermediates => "path_too_many_intermediates",
            Self::LeafExpired { .. } => "path_leaf_expired",
            Self::LeafNotYetValid { .. } => "path_leaf_not_yet_valid",
            Self::DatesReversed => "path_dates_reversed",
            Self::IssuerExpired => "path_issuer_expired",
            Self::IssuerNotYetValid => "path_issuer_not_yet_valid",
            Self::IssuerNotCa => "path_issuer_not_ca",
            Self::IssuerMayNotSign => "path_issuer_may_not_sign",
            Self::IssuerPurpose => "path_issuer_purpose",
            Self::LeafPurpose => "path_leaf_purpose",
            Self::EmptyPurpose => "path_empty_purpose",
            Self::LeafIsCa => "path_leaf_is_ca",
            Self::PathLength => "path_length",
            Self::CriticalExtension => "path_critical_extension",
            Self::NameConstraint => "path_name_constraint",
            Self::SignatureAlgorithm => "path_signature_algorithm",
            Self::AlgorithmMismatch => "path_algorithm_mismatch",
            Self::Signature => "path_signature",
            Self::Version => "path_version",
            Self::Malformed => "path_malformed",
        }
    }

    /// The library's objection in our words; it does not say which certificate it means, the
    /// leaf's own fields do.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum grows; what is left concerns encodings")]
    pub(super) fn of(error: webpki::Error, leaf: &Link<'_>, now: Timestamp) -> Self {
        use webpki::Error;
        match error {
            Error::CertExpired { .. } if leaf.dates.at(now) == Standing::Expired => Self::LeafExpired { not_after: leaf.dates.end() },
            Error::CertExpired { .. } => Self::IssuerExpired,
            Error::CertNotValidYet { .. } if leaf.dates.at(now) == Standing::NotYetValid => {
                Self::LeafNotYetValid { not_before: leaf.dates.start() }
            }
            Error::CertNotValidYet { .. } => Self::IssuerNotYetValid,
            Error::InvalidCertValidity => Self::DatesReversed,
            Error::CaUsedAsEndEntity => Self::LeafIsCa,
            Error::EndEntityUsedAsCa => Self::IssuerNotCa,
            Error::EmptyEkuExtension => Self::EmptyPurpose,
            Error::RequiredEkuNotFoundContext(_) => match client_purpose(&leaf.certificate) {
                Ok(ClientPurpose::Any | ClientPurpose::Excluded) => Self::LeafPurpose,
                Ok(ClientPurpose::Unrestricted | ClientPurpose::Named) | Err(_) => Self::IssuerPurpose,
            },
            Error::PathLenConstraintViolated => Self::PathLength,
            Error::MaximumPathDepthExceeded => Self::TooManyIntermediates,
            Error::UnsupportedCriticalExtension => Self::CriticalExtension,
            Error::NameConstraintViolation | Error::MalformedNameConstraint | Error::InvalidNetworkMaskConstraint => Self::NameConstraint,
            Error::UnsupportedSignatureAlgorithmContext(_) | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                Self::SignatureAlgorithm
            }
            Error::SignatureAlgorithmMismatch => Self::AlgorithmMismatch,
            Error::InvalidSignatureForPublicKey => Self::Signature,
            Error::UnsupportedCertVersion => Self::Version,
            Error::UnknownIssuer => Self::UnknownIssuer { issuer: shown_name(leaf.certificate.issuer()) },
            _ => Self::Malformed,
        }
    }
}
