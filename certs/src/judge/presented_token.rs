//! Tokens of devices and modules, and what tokens of both kinds have in common.

use super::verdict::{Verdict, scope_of};
use super::*;
use crate::token::{SharedAccessToken, TokenMalformed};
use model::{Policy, Rights, Secret};
use thiserror::Error;

/// Why a token does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenReject {
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] TokenMalformed),
    /// It is for another hub.
    #[error("the token is for the host {host}")]
    OtherHost {
        /// The host it names.
        host: Shown,
    },
    /// It is for something else than what was asked for.
    #[error("the token is for {path}")]
    OtherResource {
        /// The path it names.
        path: Shown,
    },
    /// It names a policy that does not exist.
    #[error("the token names the policy {policy}, which does not exist")]
    UnknownPolicy {
        /// The name.
        policy: Shown,
    },
    /// It names no policy where only a policy's will do.
    #[error("the token names no policy")]
    NoPolicy,
    /// Neither key signed it.
    #[error("the token is signed with another key")]
    Signature,
    /// It has expired.
    #[error("the token expired at {expires}")]
    Expired {
        /// When.
        expires: Timestamp,
    },
}

impl TokenReject {
    /// A stable name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Malformed(reject) => reject.name(),
            Self::OtherHost { .. } => "token_other_host",
            Self::OtherResource { .. } => "token_other_resource",
            Self::UnknownPolicy { .. } => "token_unknown_policy",
            Self::NoPolicy => "token_no_policy",
            Self::Signature => "token_signature",
            Self::Expired { .. } => "token_expired",
        }
    }
}

pub(super) fn judge(trust: &Trust, text: &str, record: &IdentityRecord, now: Timestamp) -> Result<Verdict, AuthReject> {
    let token = read(trust, text)?;
    match token.policy() {
        Some(name) => judge_policy_token(trust, &token, name, record, now),
        None => judge_own_token(trust, &token, record, now),
    }
}

/// A policy's token, for the whole hub or down to this identity. It needs the right to connect
/// as a device, and serves identities of every kind of credentials.
fn judge_policy_token(
    trust: &Trust,
    token: &SharedAccessToken<'_>,
    name: &str,
    record: &IdentityRecord,
    now: Timestamp,
) -> Result<Verdict, AuthReject> {
    let vouched = signing_policy(trust, token, name)?;
    if !token.covers(&path_of(&record.identity)) {
        return Err(other_resource(token).into());
    }
    let expires = check_expiry(trust, token, now)?;
    if !vouched.policy.rights.contains(Rights::DEVICE_CONNECT) {
        let policy = Shown::new(name);
        return Err(AuthReject::PolicyRights { policy, has: vouched.policy.rights, needs: Rights::DEVICE_CONNECT });
    }
    let method = AuthMethod { scope: Scope::Hub, kind: Kind::Sas };
    Ok(Verdict { method, leaf_sha256: None, expires: Some(expires), vouched: vec![vouched.epoch] })
}

/// A token of the identity's own key names exactly the identity: a module's key does not speak
/// for its device, nor the other way, and the whole hub is for policies.
fn judge_own_token(trust: &Trust, token: &SharedAccessToken<'_>, record: &IdentityRecord, now: Timestamp) -> Result<Verdict, AuthReject> {
    let (primary, secondary) = match &record.credentials {
        Credentials::Keys { primary, secondary } => (primary, secondary),
        Credentials::Thumbprints { .. } | Credentials::CertificateAuthority => {
            return Err(AuthReject::WrongProof { registered: Proof::Certificate, presented: Proof::Token });
        }
        Credentials::None => return Err(AuthReject::NoCredentials),
    };
    if token.segments() != path_of(&record.identity) {
        return Err(other_resource(token).into());
    }
    check_signature(token, [primary, secondary])?;
    let expires = check_expiry(trust, token, now)?;
    let method = AuthMethod { scope: scope_of(&record.identity), kind: Kind::Sas };
    Ok(Verdict { method, leaf_sha256: None, expires: Some(expires), vouched: Vec::new() })
}

/// A policy whose key signed a token, and its epoch from before its keys were looked at.
pub(super) struct SigningPolicy<'a> {
    pub(super) policy: &'a Policy,
    pub(super) epoch: (Epoch, u64),
}

/// Reads a token addressed to this hub.
pub(super) fn read<'a>(trust: &Trust, text: &'a str) -> Result<SharedAccessToken<'a>, TokenReject> {
    let token = SharedAccessToken::parse(text)?;
    if trust.is_host(token.host()) { Ok(token) } else { Err(TokenReject::OtherHost { host: Shown::new(token.host()) }) }
}

pub(super) fn signing_policy<'a>(trust: &'a Trust, token: &SharedAccessToken<'_>, name: &str) -> Result<SigningPolicy<'a>, TokenReject> {
    let (policy, epoch) = trust.policy(name).ok_or_else(|| TokenReject::UnknownPolicy { policy: Shown::new(name) })?;
    let epoch = (epoch.clone(), epoch.current());
    check_signature(token, [&policy.primary, &policy.secondary])?;
    Ok(SigningPolicy { policy, epoch })
}

/// The first moment at which the token no longer holds.
pub(super) fn check_expiry(trust: &Trust, token: &SharedAccessToken<'_>, now: Timestamp) -> Result<Timestamp, TokenReject> {
    let expires = token.expires().saturating_add(trust.snapshot.settings.clock_skew);
    if now < expires { Ok(expires) } else { Err(TokenReject::Expired { expires: token.expires() }) }
}

pub(super) fn other_resource(token: &SharedAccessToken<'_>) -> TokenReject {
    TokenReject::OtherResource { path: Shown::new(token.segments().join("/")) }
}

fn check_signature(token: &SharedAccessToken<'_>, keys: [&Secret; 2]) -> Result<(), TokenReject> {
    if keys.into_iter().any(|key| token.is_signed_with(key)) { Ok(()) } else { Err(TokenReject::Signature) }
}

fn path_of(identity: &Identity) -> Vec<String> {
    let device = ["devices".to_owned(), identity.device.as_str().to_owned()];
    let module = identity.module.iter().flat_map(|module| ["modules".to_owned(), module.as_str().to_owned()]);
    device.into_iter().chain(module).collect()
}
