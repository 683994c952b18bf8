//! What a fuzzer calls with bytes of its own making. Nothing is asserted but the absence of
//! panics, and that no made-up input is ever let in.

use model::{Credentials, Epoch, Identity, IdentityRecord, Secret};
use rustls_pki_types::CertificateDer;

use super::now;
use crate::judge::{ClaimedIdentity, Evidence, Judge, PeerChain, TrustSnapshot, TrustedCa};
use crate::token::SharedAccessToken;
use crate::{ca, common_name, show};

/// A chain of one or two certificates: the input, split at its middle where `data` is odd.
pub fn judge(data: &[u8]) {
    let (leaf, other) = data.split_at(data.len() - data.len() % 2 * (data.len() / 2));
    let chain = [CertificateDer::from(leaf), CertificateDer::from(other)];
    let count = if other.is_empty() { 1 } else { 2 };
    let Ok(chain) = PeerChain::new(&chain[..count]) else { return };
    let identity: Identity = common_name::of(&chain).ok().unwrap_or_else(|| "dev-1".parse().expect("an id"));
    for credentials in [Credentials::CertificateAuthority, Credentials::Thumbprints { primary: None, secondary: None }] {
        let record = record(identity.clone(), credentials);
        let claim = ClaimedIdentity { identity: identity.clone(), host: "localhost".into() };
        let verdict = hub().admit(Evidence::Certificate(&chain), &claim, Some(&record), now());
        assert!(verdict.is_err(), "a made-up chain was let in: {verdict:?}");
    }
}

/// A CA to enrol, as text; also what people are shown of it.
pub fn admit_ca(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = show::summarize(&text);
    if let Ok(admitted) = ca::admit(&text, Vec::new(), now()) {
        let _ = hub_of(admitted);
    }
}

/// A token, for a device's own key and for an operator.
pub fn token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = SharedAccessToken::parse(&text);
    let identity: Identity = "dev-1".parse().expect("an id");
    let key = Secret::new(vec![7; 32]);
    let record = record(identity.clone(), Credentials::Keys { primary: key.clone(), secondary: key });
    let claim = ClaimedIdentity { identity, host: "localhost".into() };
    assert!(hub().admit(Evidence::Token(&text), &claim, Some(&record), now()).is_err(), "a made-up token was let in");
    assert!(hub().admit_operator(Evidence::Token(&text), "localhost/devices", now()).is_err(), "a made-up token was let in");
}

fn record(identity: Identity, credentials: Credentials) -> IdentityRecord {
    IdentityRecord { identity, generation: "1".into(), enabled: true, credentials, epoch: Epoch::default() }
}

fn hub() -> Judge {
    Judge::new(TrustSnapshot { host_names: vec!["localhost".into()], ..TrustSnapshot::default() })
}

fn hub_of(admitted: ca::AdmittedCa) -> Judge {
    let ca = TrustedCa { admitted, state: model::api::CaState::Enabled, epoch: Epoch::default() };
    Judge::new(TrustSnapshot { cas: vec![ca], ..TrustSnapshot::default() })
}
