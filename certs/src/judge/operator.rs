//! Operators: a policy's token, or a pinned certificate. Never a device's CA.

use super::*;
use crate::thumbprint;
use model::Thumbprint;
use percent_encoding::percent_decode_str;

pub(super) fn admit(trust: &Trust, evidence: Evidence<'_>, resource: &str, now: Timestamp) -> Result<OperatorGrant, AuthReject> {
    match evidence {
        Evidence::Token(text) => admit_token(trust, text, resource, now),
        Evidence::Certificate(chain) => admit_certificate(trust, chain, now),
        Evidence::Nothing => Err(AuthReject::NoEvidence),
    }
}

fn admit_token(trust: &Trust, text: &str, resource: &str, now: Timestamp) -> Result<OperatorGrant, AuthReject> {
    let token = presented_token::read(trust, text)?;
    let name = token.policy().ok_or(TokenReject::NoPolicy)?;
    let vouched = presented_token::signing_policy(trust, &token, name)?;
    if !token.covers(&path_segments(resource)) {
        return Err(presented_token::other_resource(&token).into());
    }
    Ok(OperatorGrant {
        name: vouched.policy.name.clone(),
        rights: vouched.policy.rights,
        expires: Some(presented_token::check_expiry(trust, &token, now)?),
        vouched: Some(vouched.epoch),
    })
}

/// The path below the host, decoded; a text that is not UTF-8 matches no token.
fn path_segments(resource: &str) -> Vec<String> {
    let path = resource.split_once('/').map_or("", |(_, path)| path);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

fn admit_certificate(trust: &Trust, chain: &PeerChain, now: Timestamp) -> Result<OperatorGrant, AuthReject> {
    let presented = Thumbprint::Sha256(chain.sha256());
    let is_pinned = |operator: &&PinnedOperator| match operator.thumbprint {
        Thumbprint::Sha256(_) => thumbprint::matches(chain.leaf(), &operator.thumbprint),
        Thumbprint::Sha1(_) => false,
    };
    let operator = trust.snapshot.operators.iter().find(is_pinned).ok_or(AuthReject::UnknownOperator { presented })?;
    Ok(OperatorGrant {
        name: operator.name.clone(),
        rights: operator.rights,
        expires: verdict::pinned_expiry(&trust.snapshot.settings, chain, now)?,
        vouched: None,
    })
}
