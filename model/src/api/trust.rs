//! Certificate authorities that may sign device certificates. Our own addition.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Whether a CA's certificates are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaState {
    /// Nobody has shown or vouched for possession of its key: not accepted.
    Unverified,
    /// Accepted.
    Enabled,
    /// Switched off by an operator: not accepted.
    Disabled,
}

/// A CA to enrol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaRequest {
    /// One certificate in PEM.
    pub certificate: String,
    /// The operator vouches that the key is in the right hands.
    #[serde(default)]
    pub verified: bool,
    /// Device id prefixes it may speak for; all when empty.
    #[serde(default)]
    pub id_scope: Vec<String>,
}

/// An enrolled CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ca {
    /// SHA-256 of the certificate in hexadecimal; its id in paths.
    pub thumbprint: String,
    /// Its subject, for people.
    pub subject: String,
    /// Whether its certificates are accepted.
    pub state: CaState,
    /// Device id prefixes it may speak for; all when empty.
    pub id_scope: Vec<String>,
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it ends to be valid.
    pub not_after: Timestamp,
    /// The certificate in PEM.
    pub certificate: String,
}
