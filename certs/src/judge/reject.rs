//! Refusals: one variant a reason, for logs and metrics. Peers are told less.

use std::fmt;

use model::{DeviceId, Rights, Thumbprint, Timestamp};
use thiserror::Error;

use super::{ChainReject, CommonNameReject, PathReject, Shown, TokenReject};

/// What identities and operators prove themselves with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A certificate.
    Certificate,
    /// A shared-access token.
    Token,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "a certificate",
            Self::Token => "a token",
        })
    }
}

/// Why somebody was not let in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthReject {
    /// The claim is addressed to another hub.
    #[error("{host} is not this hub")]
    WrongHost {
        /// The host claimed.
        host: Shown,
    },
    /// The registry does not know the identity.
    #[error("the identity is not registered")]
    UnknownIdentity,
    /// The identity is disabled.
    #[error("the identity is disabled")]
    IdentityDisabled,
    /// Neither certificate nor token.
    #[error("neither a certificate nor a token was presented")]
    NoEvidence,
    /// The identity is registered without credentials.
    #[error("the identity is registered without any credentials")]
    NoCredentials,
    /// The identity is registered with the other kind of proof.
    #[error("{presented} was presented where {registered} is registered")]
    WrongProof {
        /// What is registered.
        registered: Proof,
        /// What was presented.
        presented: Proof,
    },
    /// The certificates cannot be read or exceed a bound.
    #[error(transparent)]
    Chain(#[from] ChainReject),
    /// No enabled CA stands behind the certificate.
    #[error(transparent)]
    Path(#[from] PathReject),
    /// The certificate names no identity.
    #[error(transparent)]
    CommonName(#[from] CommonNameReject),
    /// The CA may not speak for the device.
    #[error("the CA {ca} may not speak for the device {device}")]
    OutOfScope {
        /// The device that the certificate names.
        device: DeviceId,
        /// The CA's subject.
        ca: Shown,
    },
    /// The certificate names another identity than the one claimed.
    #[error("the certificate is that of {named}")]
    OtherIdentity {
        /// Whose it is.
        named: Shown,
    },
    /// The identity is to be known by a thumbprint and has none.
    #[error("the identity is registered without a thumbprint")]
    NoThumbprint,
    /// The certificate has another thumbprint.
    #[error("the certificate's thumbprint {presented} is not registered")]
    OtherThumbprint {
        /// The certificate's SHA-256.
        presented: Thumbprint,
    },
    /// The certificate matches a SHA-1 thumbprint, and those are switched off.
    #[error("the certificate is registered by SHA-1 only, which is switched off")]
    Sha1Thumbprint,
    /// The registered certificate is no longer valid.
    #[error("the registered certificate expired at {not_after}")]
    PinnedExpired {
        /// When.
        not_after: Timestamp,
    },
    /// The registered certificate is not valid yet.
    #[error("the registered certificate is not valid before {not_before}")]
    PinnedNotYetValid {
        /// When it begins.
        not_before: Timestamp,
    },
    /// The token does not hold.
    #[error(transparent)]
    Token(#[from] TokenReject),
    /// The policy does not allow what its token was presented for.
    #[error("the policy {policy} lacks a right: it has {has:?}, {needs:?} is needed")]
    PolicyRights {
        /// The policy's name.
        policy: Shown,
        /// What it allows.
        has: Rights,
        /// What is needed.
        needs: Rights,
    },
    /// No operator has the certificate.
    #[error("the certificate's thumbprint {presented} is no operator's")]
    UnknownOperator {
        /// The certificate's SHA-256.
        presented: Thumbprint,
    },
}

impl AuthReject {
    /// A stable name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::WrongHost { .. } => "wrong_host",
            Self::UnknownIdentity => "unknown_identity",
            Self::IdentityDisabled => "identity_disabled",
            Self::NoEvidence => "no_evidence",
            Self::NoCredentials => "no_credentials",
            Self::WrongProof { .. } => "wrong_proof",
            Self::Chain(reject) => reject.name(),
            Self::Path(reject) => reject.name(),
            Self::CommonName(reject) => reject.name(),
            Self::OutOfScope { .. } => "out_of_scope",
            Self::OtherIdentity { .. } => "other_identity",
            Self::NoThumbprint => "no_thumbprint",
            Self::OtherThumbprint { .. } => "other_thumbprint",
            Self::Sha1Thumbprint => "sha1_thumbprint",
            Self::PinnedExpired { .. } => "pinned_expired",
            Self::PinnedNotYetValid { .. } => "pinned_not_yet_valid",
            Self::Token(reject) => reject.name(),
            Self::PolicyRights { .. } => "policy_rights",
            Self::UnknownOperator { .. } => "unknown_operator",
        }
    }
}
