//! A hub with some CAs, and what it says to a chain.

use certs::PeerChain;
use certs::ca::{self, AdmittedCa};
use certs::judge::{AuthGrant, AuthReject, ClaimedIdentity, Evidence, Judge, TrustSnapshot, TrustedCa};
use certs::testkit::{Made, now};
use model::api::CaState;
use model::{Credentials, Epoch, Identity, IdentityRecord, Thumbprint, Timestamp};

/// Hosts, CAs, policies and settings; judged anew by each call.
#[derive(Default)]
pub(crate) struct Hub {
    pub(crate) trust: TrustSnapshot,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { trust: TrustSnapshot { host_names: vec!["localhost".into(), "Hub.Example".into()], ..TrustSnapshot::default() } }
    }

    /// With these CAs enabled.
    pub(crate) fn trusting(cas: &[&Made]) -> Self {
        cas.iter().fold(Self::new(), |hub, ca| hub.and(enrolled(ca, &[]), CaState::Enabled))
    }

    pub(crate) fn and(mut self, admitted: AdmittedCa, state: CaState) -> Self {
        self.trust.cas.push(TrustedCa { admitted, state, epoch: Epoch::default() });
        self
    }

    pub(crate) fn judge(&self) -> Judge {
        Judge::new(self.trust.clone())
    }

    /// What a CA-type identity called `claimed` hears when it shows `chain`.
    pub(crate) fn verdict(&self, chain: &[&Made], claimed: &str) -> Result<AuthGrant, AuthReject> {
        self.verdict_for(chain, &record(claimed, Credentials::CertificateAuthority), now())
    }

    pub(crate) fn verdict_for(&self, chain: &[&Made], record: &IdentityRecord, now: Timestamp) -> Result<AuthGrant, AuthReject> {
        let chain = peer_chain(chain);
        self.judge().admit(Evidence::Certificate(&chain), &claim(&record.identity.to_string()), Some(record), now)
    }

    pub(crate) fn accepts(&self, row: &str, chain: &[&Made], claimed: &str) {
        let verdict = self.verdict(chain, claimed);
        assert!(verdict.is_ok(), "{row}: {verdict:?}");
    }

    pub(crate) fn refuses(&self, row: &str, chain: &[&Made], claimed: &str, reason: &str) {
        assert_refused(row, self.verdict(chain, claimed), reason);
    }
}

pub(crate) fn assert_refused<T: std::fmt::Debug>(row: &str, verdict: Result<T, AuthReject>, reason: &str) {
    match verdict {
        Ok(grant) => panic!("{row}: let in: {grant:?}"),
        Err(reject) => assert_eq!(reject.name(), reason, "{row}: {reject}"),
    }
}

pub(crate) fn enrolled(ca: &Made, id_scope: &[&str]) -> AdmittedCa {
    ca::restore(&ca.pem(), id_scope.iter().map(|prefix| (*prefix).to_owned()).collect()).expect("a CA that may be enrolled")
}

pub(crate) fn peer_chain(chain: &[&Made]) -> PeerChain {
    let chain: Vec<_> = chain.iter().map(|made| made.der.clone()).collect();
    PeerChain::new(&chain).expect("a chain within bounds")
}

pub(crate) fn claim(identity: &str) -> ClaimedIdentity {
    ClaimedIdentity { identity: identity.parse().expect("an identity"), host: "localhost".into() }
}

pub(crate) fn record(identity: &str, credentials: Credentials) -> IdentityRecord {
    let identity: Identity = identity.parse().expect("an identity");
    IdentityRecord { identity, generation: "1".into(), enabled: true, credentials, epoch: Epoch::default() }
}

pub(crate) fn pinned(primary: Option<Thumbprint>, secondary: Option<Thumbprint>) -> Credentials {
    Credentials::Thumbprints { primary, secondary }
}

pub(crate) fn after(seconds: i64) -> Timestamp {
    Timestamp::from_milliseconds(now().as_milliseconds() + seconds * 1000)
}
