//! Enrolled certificate authorities and shared access policies. Both are kept as given: `certs`
//! judges them.

use model::Timestamp;
use model::api::CaState;
use thiserror::Error;

use crate::error::StoreError;

/// An enrolled certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCa {
    /// SHA-256 of the certificate in upper-case hexadecimal; its key.
    pub thumbprint: String,
    /// The certificate, opaque here.
    pub certificate_pem: String,
    /// Whether its certificates are accepted.
    pub state: CaState,
    /// Device id prefixes it may speak for; all when empty.
    pub id_scope: Vec<String>,
    /// When it was enrolled.
    pub enrolled: Timestamp,
}

/// A certificate authority to enrol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCa {
    /// SHA-256 of the certificate in hexadecimal, in any case.
    pub thumbprint: String,
    /// The certificate.
    pub certificate_pem: String,
    /// Whether its certificates are accepted.
    pub state: CaState,
    /// Device id prefixes it may speak for; all when empty.
    pub id_scope: Vec<String>,
}

/// Why a CA was not enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddCaError {
    /// The certificate is enrolled already.
    #[error("the certificate authority {0} is enrolled already")]
    AlreadyExists(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a CA was not changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CaError {
    /// No such CA.
    #[error("no certificate authority {0} is enrolled")]
    NotFound(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a policy was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreatePolicyError {
    /// The name is taken.
    #[error("the policy {0} exists already")]
    AlreadyExists(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
