//! What a proof established, before it becomes a grant.

use super::*;
use crate::certificate::{self, Dates, Standing};
use crate::thumbprint;
use model::Thumbprint;
use std::time::Duration;

/// A proof that holds.
pub(super) struct Verdict {
    pub(super) method: AuthMethod,
    pub(super) leaf_sha256: Option<[u8; 32]>,
    pub(super) expires: Option<Timestamp>,
    /// The epochs of the CAs or the policy that vouched, and their values when they were asked.
    pub(super) vouched: Vec<(Epoch, u64)>,
}

/// The first moment at which something valid up to and including `not_after` no longer is.
pub(super) fn after(not_after: Timestamp) -> Timestamp {
    not_after.saturating_add(Duration::from_secs(1))
}

pub(super) fn scope_of(identity: &Identity) -> Scope {
    if identity.module.is_some() { Scope::Module } else { Scope::Device }
}

pub(super) fn ca_signed(chain: &PeerChain, anchored: path::Anchored<'_>, identity: &Identity) -> Verdict {
    Verdict {
        method: AuthMethod { scope: scope_of(identity), kind: Kind::X509Ca },
        leaf_sha256: Some(chain.sha256()),
        expires: Some(after(anchored.not_after)),
        vouched: anchored.epochs,
    }
}

/// A certificate known by its hash: no path, no name; its dates count unless switched off.
pub(super) fn judge_pinned(
    settings: &Settings,
    chain: &PeerChain,
    pinned: [Option<&Thumbprint>; 2],
    identity: &Identity,
    now: Timestamp,
) -> Result<Verdict, AuthReject> {
    if pinned.iter().all(Option::is_none) {
        return Err(AuthReject::NoThumbprint);
    }
    match_thumbprint(settings, chain, pinned)?;
    Ok(Verdict {
        method: AuthMethod { scope: scope_of(identity), kind: Kind::X509Thumbprint },
        leaf_sha256: Some(chain.sha256()),
        expires: pinned_expiry(settings, chain, now)?,
        vouched: Vec::new(),
    })
}

fn match_thumbprint(settings: &Settings, chain: &PeerChain, pinned: [Option<&Thumbprint>; 2]) -> Result<(), AuthReject> {
    let mut sha1_only = false;
    for thumbprint in pinned.into_iter().flatten() {
        if thumbprint::matches(chain.leaf(), thumbprint) {
            match thumbprint {
                Thumbprint::Sha1(_) if settings.refuse_sha1_thumbprints => sha1_only = true,
                Thumbprint::Sha1(_) | Thumbprint::Sha256(_) => return Ok(()),
            }
        }
    }
    let presented = Thumbprint::Sha256(chain.sha256());
    Err(if sha1_only { AuthReject::Sha1Thumbprint } else { AuthReject::OtherThumbprint { presented } })
}

/// When a pinned certificate ends, `None` where its dates do not count.
pub(super) fn pinned_expiry(settings: &Settings, chain: &PeerChain, now: Timestamp) -> Result<Option<Timestamp>, AuthReject> {
    if !settings.enforce_pinned_dates {
        return Ok(None);
    }
    let leaf = certificate::parse(chain.leaf()).map_err(|_| ChainReject::Malformed { index: 0 })?;
    let dates = Dates::of(&leaf);
    match dates.at(now) {
        Standing::Valid => Ok(Some(after(dates.end()))),
        Standing::Expired => Err(AuthReject::PinnedExpired { not_after: dates.end() }),
        Standing::NotYetValid => Err(AuthReject::PinnedNotYetValid { not_before: dates.start() }),
    }
}
