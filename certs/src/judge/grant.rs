//! Admissions, and whether they still hold.

use std::sync::Arc;

use super::verdict::Verdict;
use model::{Epoch, Identity, IdentityRecord, Rights, Timestamp};

/// A device or module that was let in. Every operation it starts asks [`AuthGrant::is_current`].
#[derive(Debug, Clone)]
pub struct AuthGrant {
    /// Who.
    pub identity: Identity,
    /// Which creation of the identity.
    pub generation: Arc<str>,
    /// How it proved itself.
    pub method: AuthMethod,
    /// SHA-256 of the certificate, if it showed one.
    pub leaf_sha256: Option<[u8; 32]>,
    /// The first moment at which the proof no longer holds: the token's expiry, or the second
    /// after the first certificate of the path expires.
    pub expires: Option<Timestamp>,
    identity_epoch: (Epoch, u64),
    vouched: Vec<(Epoch, u64)>,
}

/// How an identity proved itself, in the words of `iothub-connection-auth-method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthMethod {
    /// Whose credentials.
    pub scope: Scope,
    /// What kind.
    pub kind: Kind,
}

/// Whose credentials proved the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The device's own.
    Device,
    /// The module's own.
    Module,
    /// A policy's of the hub.
    Hub,
}

/// What kind of credentials proved the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A shared-access token.
    Sas,
    /// A certificate under an enrolled CA.
    X509Ca,
    /// A certificate registered by its thumbprint.
    X509Thumbprint,
}

impl AuthGrant {
    pub(super) fn new(record: &IdentityRecord, identity_epoch: u64, verdict: Verdict) -> Self {
        Self {
            identity: record.identity.clone(),
            generation: record.generation.clone(),
            method: verdict.method,
            leaf_sha256: verdict.leaf_sha256,
            expires: verdict.expires,
            identity_epoch: (record.epoch.clone(), identity_epoch),
            vouched: verdict.vouched,
        }
    }

    /// Whether the admission still holds: nothing it rests on was changed, and it has not
    /// expired. Two atomic loads as a rule: the identity's epoch and that of the CA or policy.
    pub fn is_current(&self, now: Timestamp) -> bool {
        is_unchanged(&self.identity_epoch) && self.vouched.iter().all(is_unchanged) && is_before(now, self.expires)
    }

    /// The value of the system property `iothub-connection-auth-method`.
    pub fn auth_method_json(&self) -> String {
        let scope = match self.method.scope {
            Scope::Device => "device",
            Scope::Module => "module",
            Scope::Hub => "hub",
        };
        let (kind, issuer) = match self.method.kind {
            Kind::Sas => ("sas", "iothub"),
            Kind::X509Ca | Kind::X509Thumbprint => ("x509", "external"),
        };
        format!(r#"{{"scope":"{scope}","type":"{kind}","issuer":"{issuer}","acceptingIpFilterRule":null}}"#)
    }
}

/// An operator who was let in.
#[derive(Debug, Clone)]
pub struct OperatorGrant {
    /// The policy, or the pinned operator.
    pub name: String,
    /// What the operator may do.
    pub rights: Rights,
    /// The first moment at which the proof no longer holds.
    pub expires: Option<Timestamp>,
    pub(super) vouched: Option<(Epoch, u64)>,
}

impl OperatorGrant {
    /// Whether the admission still holds: the policy was not changed and nothing expired.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.vouched.as_ref().is_none_or(is_unchanged) && is_before(now, self.expires)
    }
}

fn is_unchanged((epoch, value): &(Epoch, u64)) -> bool {
    epoch.current() == *value
}

fn is_before(now: Timestamp, expires: Option<Timestamp>) -> bool {
    expires.is_none_or(|expires| now < expires)
}
