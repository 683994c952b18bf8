//! From a leaf to an enabled CA.
//!
//! The chain is put in order here, cheaply, before a signature is checked: each certificate has
//! at most one issuer in the order, and path building never gets to choose. What the library
//! does not check of an anchor, its state, dates and path length, is checked here as well.

use super::*;
use crate::certificate::{self, Dates, Standing, unix_time};
use model::api::CaState;
use rustls_pki_types::CertificateDer;
use webpki::{EndEntityCert, KeyUsage};

mod order;
mod reject;

use order::Link;
pub use reject::PathReject;

/// Intermediates that the path library follows.
const INTERMEDIATES_MAX: usize = 6;
/// Certificates of one subject in a chain: an old and a new one, side by side.
const SAME_SUBJECT_MAX: usize = 2;

/// A path that holds, and the CA it ends in.
pub(super) struct Anchored<'t> {
    pub(super) ca: &'t TrustedCa,
    /// The epochs of the enrolled CAs on the path, from before their certificates were looked at.
    pub(super) epochs: Vec<(Epoch, u64)>,
    /// The first end of validity on the path.
    pub(super) not_after: Timestamp,
}

/// Finds and verifies the path of a chain.
pub(super) fn verify<'t>(trust: &'t Trust, chain: &PeerChain, now: Timestamp) -> Result<Anchored<'t>, PathReject> {
    let ordered = order::order(trust, chain, now)?;
    let [leaf, intermediates @ ..] = ordered.path.as_slice() else { return Err(PathReject::Malformed) };
    let mut reject = PathReject::Malformed;
    // More than one where CAs share a name or a key: at most eight, by admission.
    for ca in ordered.anchors {
        let epochs = epochs_of(trust, ca, intermediates);
        match verify_to(ca, leaf, intermediates, now) {
            Ok(()) => {
                let dates = ordered.path.iter().map(|link| link.dates.end());
                return Ok(Anchored { ca, epochs, not_after: dates.fold(ca.admitted.not_after, Timestamp::min) });
            }
            Err(other) => reject = other,
        }
    }
    Err(reject)
}

fn epochs_of(trust: &Trust, anchor: &TrustedCa, intermediates: &[Link<'_>]) -> Vec<(Epoch, u64)> {
    let enrolled = intermediates.iter().flat_map(|link| trust.cas_with_key(link.certificate.public_key().raw));
    std::iter::once(anchor).chain(enrolled).map(|ca| (ca.epoch.clone(), ca.epoch.current())).collect()
}

fn verify_to(ca: &TrustedCa, leaf: &Link<'_>, intermediates: &[Link<'_>], now: Timestamp) -> Result<(), PathReject> {
    let count = intermediates.len();
    if let Some(allowed) = ca.admitted.path_len.filter(|allowed| usize::try_from(*allowed).is_ok_and(|allowed| count > allowed)) {
        return Err(PathReject::AnchorPathLength { allowed, count });
    }
    let verified = {
        let intermediates: Vec<_> = intermediates.iter().map(|link| CertificateDer::from(link.der.as_ref())).collect();
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
        let anchor = std::slice::from_ref(&ca.admitted.anchor);
        EndEntityCert::try_from(leaf.der).and_then(|leaf| {
            leaf.verify_for_usage(algorithms, anchor, &intermediates, unix_time(now), KeyUsage::client_auth(), None, None).map(|_| ())
        })
    };
    verified.map_err(|error| PathReject::of(error, leaf, now))?;
    // The library takes basicConstraints for permission enough.
    for issuer in intermediates {
        match certificate::may_sign_certificates(&issuer.certificate) {
            Ok(true) => {}
            Ok(false) => return Err(PathReject::IssuerMayNotSign),
            Err(_) => return Err(PathReject::Malformed),
        }
    }
    Ok(())
}
