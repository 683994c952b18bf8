//! What a judge goes by.

use std::collections::HashMap;
use std::time::Duration;

use model::api::CaState;
use model::{Epoch, Policy, Rights, Thumbprint};

use crate::ca::AdmittedCa;

/// The trust of a hub at one moment.
#[derive(Debug, Clone, Default)]
pub struct TrustSnapshot {
    /// The hub's host names, without ports; compared ignoring case.
    pub host_names: Vec<String>,
    /// Every enrolled CA of this hub, whatever its state.
    pub cas: Vec<TrustedCa>,
    /// Every shared access policy. Its epoch rises when its keys or rights change.
    pub policies: Vec<(Policy, Epoch)>,
    /// Operators known by their certificate.
    pub operators: Vec<PinnedOperator>,
    /// What the operator has switched.
    pub settings: Settings,
}

/// A CA that is enrolled.
#[derive(Debug, Clone)]
pub struct TrustedCa {
    /// The CA.
    pub admitted: AdmittedCa,
    /// Whether its certificates are accepted.
    pub state: CaState,
    /// Rises when what was granted by its certificates may no longer hold.
    pub epoch: Epoch,
}

/// An operator who shows a certificate: known by its hash alone, under no CA.
#[derive(Debug, Clone)]
pub struct PinnedOperator {
    /// What logs call the operator.
    pub name: String,
    /// SHA-256 of the certificate; a SHA-1 one never matches.
    pub thumbprint: Thumbprint,
    /// What the operator may do.
    pub rights: Rights,
}

/// Switches of admission.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Refuse certificates that match a SHA-1 thumbprint only. Default: accept.
    pub refuse_sha1_thumbprints: bool,
    /// Refuse pinned certificates outside their dates. Default: refuse.
    pub enforce_pinned_dates: bool,
    /// How long after its expiry a token is still accepted. Default: zero.
    pub clock_skew: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { refuse_sha1_thumbprints: false, enforce_pinned_dates: true, clock_skew: Duration::ZERO }
    }
}

/// A snapshot with its CAs found by subject.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) snapshot: TrustSnapshot,
    by_subject: HashMap<Box<[u8]>, Vec<usize>>,
}

impl Trust {
    pub(super) fn new(snapshot: TrustSnapshot) -> Self {
        let mut by_subject: HashMap<Box<[u8]>, Vec<usize>> = HashMap::new();
        for (index, ca) in snapshot.cas.iter().enumerate() {
            by_subject.entry(ca.admitted.subject_der.clone()).or_default().push(index);
        }
        Self { snapshot, by_subject }
    }

    /// The CAs whose subject is `name`, DER bytes compared.
    pub(super) fn cas_named(&self, name: &[u8]) -> impl Iterator<Item = &TrustedCa> {
        let indexes = self.by_subject.get(name).into_iter().flatten();
        indexes.filter_map(|index| self.snapshot.cas.get(*index))
    }

    /// The CAs whose key is `spki`.
    pub(super) fn cas_with_key(&self, spki: &[u8]) -> impl Iterator<Item = &TrustedCa> {
        self.snapshot.cas.iter().filter(move |ca| *ca.admitted.spki == *spki)
    }

    /// Whether a key is switched off: a disabled CA's, and no enabled certificate has it as well.
    pub(super) fn is_disabled_key(&self, spki: &[u8]) -> bool {
        let has = |state| self.cas_with_key(spki).any(|ca| ca.state == state);
        has(CaState::Disabled) && !has(CaState::Enabled)
    }

    /// Whether `host`, with or without a port, is this hub.
    pub(super) fn is_host(&self, host: &str) -> bool {
        let host = without_port(host);
        self.snapshot.host_names.iter().any(|own| own.eq_ignore_ascii_case(host))
    }

    pub(super) fn policy(&self, name: &str) -> Option<&(Policy, Epoch)> {
        self.snapshot.policies.iter().find(|(policy, _)| policy.name == name)
    }
}

/// `host:port` without its port; an IPv6 address keeps its colons.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) => name,
        Some(_) | None => host,
    }
}
