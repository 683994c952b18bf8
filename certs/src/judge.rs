//! Whose key it is and what that lets its holder do: the one function every connection of every
//! protocol goes through, after the TLS handshake.
//!
//! Pure: evidence, a claim, a registry record and a time in; a grant or a refusal out. A
//! certificate or token never chooses the identity, it must match the one that was claimed.

use std::sync::Arc;

use arc_swap::ArcSwap;
use model::{Credentials, Epoch, Identity, IdentityRecord, Timestamp};

use crate::common_name;

mod grant;
mod operator;
mod path;
mod presented_token;
mod reject;
mod snapshot;
mod verdict;

pub use crate::chain::{ChainReject, PeerChain};
pub use crate::common_name::{CommonNameReject, Shown};
pub use crate::token::TokenMalformed;
pub use grant::{AuthGrant, AuthMethod, Kind, OperatorGrant, Scope};
pub use path::PathReject;
pub use presented_token::TokenReject;
pub use reject::{AuthReject, Proof};
pub use snapshot::{PinnedOperator, Settings, TrustSnapshot, TrustedCa};

use snapshot::Trust;
use verdict::Verdict;

/// Who a peer says it is, and at which hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedIdentity {
    /// The device or module.
    pub identity: Identity,
    /// The hub's host name as the peer wrote it; it may carry a port.
    pub host: String,
}

/// What a peer shows for its claim.
#[derive(Clone, Copy)]
pub enum Evidence<'a> {
    /// The certificates whose key the TLS handshake proved.
    Certificate(&'a PeerChain),
    /// A shared-access token.
    Token(&'a str),
    /// Nothing.
    Nothing,
}

/// Decides over admission by the trust it was last given. Clones decide alike.
#[derive(Debug, Clone)]
pub struct Judge {
    trust: Arc<ArcSwap<Trust>>,
}

impl Judge {
    /// A judge that goes by `snapshot`.
    pub fn new(snapshot: TrustSnapshot) -> Self {
        Self { trust: Arc::new(ArcSwap::from_pointee(Trust::new(snapshot))) }
    }

    /// Goes by `snapshot` from now on. To end what was granted by a CA or policy that is gone or
    /// changed, raise its epoch *after* this call: a judgement under way when it is made is made
    /// again, so none can slip through between the two.
    pub fn replace(&self, snapshot: TrustSnapshot) {
        self.trust.store(Arc::new(Trust::new(snapshot)));
    }

    /// What it goes by now.
    pub fn snapshot(&self) -> TrustSnapshot {
        self.trust.load().snapshot.clone()
    }

    /// Decides whether a peer is the device or module it claims to be.
    ///
    /// `record` is what the registry holds of the claimed identity. Should it change while this
    /// runs, the grant may not show it: a caller that keeps the grant reads the record once more
    /// after the grant is where a change would find it, and judges again if it is another.
    ///
    /// # Errors
    /// [`AuthReject`] naming the one reason. Peers are told less.
    pub fn admit(
        &self,
        evidence: Evidence<'_>,
        claim: &ClaimedIdentity,
        record: Option<&IdentityRecord>,
        now: Timestamp,
    ) -> Result<AuthGrant, AuthReject> {
        self.settled(|trust| admit(trust, evidence, claim, record, now))
    }

    /// Decides who an operator is: the holder of a policy's key, or of a pinned certificate.
    ///
    /// `resource` is what is asked for, host and path as in the request, still percent-encoded:
    /// `localhost/devices/dev1`. Whether the grant's rights suffice is the caller's question.
    ///
    /// # Errors
    /// [`AuthReject`] naming the one reason.
    pub fn admit_operator(&self, evidence: Evidence<'_>, resource: &str, now: Timestamp) -> Result<OperatorGrant, AuthReject> {
        self.settled(|trust| operator::admit(trust, evidence, resource, now))
    }

    /// Judges until the trust did not change meanwhile: a grant must not carry the epoch of a
    /// change that its judgement did not see.
    fn settled<T>(&self, judge: impl Fn(&Trust) -> T) -> T {
        loop {
            let trust = self.trust.load_full();
            let verdict = judge(&trust);
            if Arc::ptr_eq(&trust, &self.trust.load()) {
                return verdict;
            }
        }
    }
}

fn admit(
    trust: &Trust,
    evidence: Evidence<'_>,
    claim: &ClaimedIdentity,
    record: Option<&IdentityRecord>,
    now: Timestamp,
) -> Result<AuthGrant, AuthReject> {
    if !trust.is_host(&claim.host) {
        return Err(AuthReject::WrongHost { host: Shown::new(&claim.host) });
    }
    let record = record.filter(|record| record.identity == claim.identity).ok_or(AuthReject::UnknownIdentity)?;
    // Read before anything is decided, so that a change during the decision ends the grant.
    let identity_epoch = Epoch::current(&record.epoch);
    if !record.enabled {
        return Err(AuthReject::IdentityDisabled);
    }
    let verdict = match evidence {
        Evidence::Certificate(chain) => judge_certificate(trust, chain, record, now)?,
        Evidence::Token(text) => presented_token::judge(trust, text, record, now)?,
        Evidence::Nothing => return Err(AuthReject::NoEvidence),
    };
    Ok(AuthGrant::new(record, identity_epoch, verdict))
}

/// An identity has one kind of credentials and no fallback to another.
fn judge_certificate(trust: &Trust, chain: &PeerChain, record: &IdentityRecord, now: Timestamp) -> Result<Verdict, AuthReject> {
    match &record.credentials {
        Credentials::CertificateAuthority => judge_ca_signed(trust, chain, &record.identity, now),
        Credentials::Thumbprints { primary, secondary } => {
            verdict::judge_pinned(&trust.snapshot.settings, chain, [primary.as_ref(), secondary.as_ref()], &record.identity, now)
        }
        Credentials::Keys { .. } => Err(AuthReject::WrongProof { registered: Proof::Token, presented: Proof::Certificate }),
        Credentials::None => Err(AuthReject::NoCredentials),
    }
}

fn judge_ca_signed(trust: &Trust, chain: &PeerChain, claimed: &Identity, now: Timestamp) -> Result<Verdict, AuthReject> {
    let anchored = path::verify(trust, chain, now)?;
    let named = common_name::of(chain)?;
    if !anchored.ca.admitted.covers(&named.device) {
        return Err(AuthReject::OutOfScope { device: named.device, ca: Shown::new(&anchored.ca.admitted.subject) });
    }
    if named != *claimed {
        return Err(AuthReject::OtherIdentity { named: Shown::new(named.to_string()) });
    }
    Ok(verdict::ca_signed(chain, anchored, claimed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_judgement_is_made_again_when_trust_changes_under_it() {
        let judge = Judge::new(TrustSnapshot::default());
        let calls = Cell::new(0);
        let hosts_seen = judge.settled(|trust| {
            if calls.replace(calls.get() + 1) == 0 {
                judge.replace(TrustSnapshot { host_names: vec!["new".into()], ..TrustSnapshot::default() });
            }
            trust.snapshot.host_names.len()
        });
        assert_eq!((calls.get(), hosts_seen), (2, 1));
    }
}
