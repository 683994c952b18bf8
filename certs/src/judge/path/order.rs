//! Puts a chain in order, from the leaf up to the first certificate that an enrolled CA issued.

use super::*;
use crate::certificate::{self, key_ids_agree, shown_name};
use x509_parser::certificate::X509Certificate;

/// One certificate of a chain.
pub(super) struct Link<'c> {
    pub(super) der: &'c CertificateDer<'static>,
    pub(super) certificate: X509Certificate<'c>,
    pub(super) dates: Dates,
}

/// A chain in order and the CAs that may have issued its last certificate.
pub(super) struct Ordered<'t, 'c> {
    /// The leaf, then each one's issuer.
    pub(super) path: Vec<Link<'c>>,
    /// Enabled, valid now, of the right name and not of another key id. At least one.
    pub(super) anchors: Vec<&'t TrustedCa>,
}

impl<'c> Link<'c> {
    fn read(der: &'c CertificateDer<'static>) -> Result<Self, PathReject> {
        let certificate = certificate::parse(der).map_err(|_| PathReject::Malformed)?;
        Ok(Self { der, dates: Dates::of(&certificate), certificate })
    }

    fn subject(&self) -> &'c [u8] {
        self.certificate.tbs_certificate.subject.as_raw()
    }

    fn issuer(&self) -> &'c [u8] {
        self.certificate.tbs_certificate.issuer.as_raw()
    }

    fn may_be_issuer_of(&self, other: &Link<'_>) -> bool {
        let (authority, subject) = (certificate::authority_key_id(&other.certificate), certificate::subject_key_id(&self.certificate));
        self.subject() == other.issuer() && key_ids_agree(authority, subject)
    }
}

/// Orders without checking a signature. What is not needed is left out: duplicates, roots sent
/// along, certificates of other paths.
pub(super) fn order<'t, 'c>(trust: &'t Trust, chain: &'c PeerChain, now: Timestamp) -> Result<Ordered<'t, 'c>, PathReject> {
    let mut head = Link::read(chain.leaf())?;
    let mut unused = distinct_others(chain)?;
    refuse_repeated_subjects(&head, &unused)?;
    let mut path = Vec::new();
    let mut obstacle = None;
    loop {
        match anchors_of(trust, &head, now) {
            Ok(anchors) => {
                path.push(head);
                return Ok(Ordered { path, anchors });
            }
            Err(disabled @ PathReject::CaDisabled { .. }) => return Err(disabled),
            Err(other) => obstacle = obstacle.or(Some(other).filter(|other| !matches!(other, PathReject::UnknownIssuer { .. }))),
        }
        let unknown = || PathReject::UnknownIssuer { issuer: shown_name(head.certificate.issuer()) };
        let next = take_issuer(&mut unused, &head, now).ok_or_else(|| obstacle.clone().unwrap_or_else(unknown))?;
        if trust.is_disabled_key(next.certificate.public_key().raw) {
            return Err(PathReject::CaDisabled { ca: shown_name(next.certificate.subject()) });
        }
        path.push(head);
        if path.len() > INTERMEDIATES_MAX {
            return Err(PathReject::TooManyIntermediates);
        }
        head = next;
    }
}

fn distinct_others(chain: &PeerChain) -> Result<Vec<Link<'_>>, PathReject> {
    let mut distinct: Vec<Link<'_>> = Vec::new();
    for der in chain.others() {
        if der != chain.leaf() && distinct.iter().all(|link| link.der != der) {
            distinct.push(Link::read(der)?);
        }
    }
    Ok(distinct)
}

/// Many certificates of one subject and different keys make path building expensive, and no
/// honest chain has them.
fn refuse_repeated_subjects(leaf: &Link<'_>, others: &[Link<'_>]) -> Result<(), PathReject> {
    let all = || std::iter::once(leaf).chain(others);
    let repeated = |link: &Link<'_>| all().filter(|other| other.subject() == link.subject()).count();
    match all().map(repeated).find(|count| *count > SAME_SUBJECT_MAX) {
        Some(count) => Err(PathReject::SubjectRepeated { count }),
        None => Ok(()),
    }
}

/// The CAs that may have issued `head`, or why those of its issuer's name may not.
fn anchors_of<'t>(trust: &'t Trust, head: &Link<'_>, now: Timestamp) -> Result<Vec<&'t TrustedCa>, PathReject> {
    let shown = || shown_name(head.certificate.issuer());
    let named = || trust.cas_named(head.issuer());
    let authority = certificate::authority_key_id(&head.certificate);
    let alike = || named().filter(|ca| key_ids_agree(authority, ca.admitted.subject_key_id.as_deref()));
    let enabled = || alike().filter(|ca| ca.state == CaState::Enabled);
    let valid: Vec<_> = enabled().filter(|ca| ca.admitted.dates.at(now) == Standing::Valid).collect();
    if !valid.is_empty() {
        return Ok(valid);
    }
    Err(if let Some(ca) = enabled().next() {
        match ca.admitted.dates.at(now) {
            Standing::NotYetValid => PathReject::AnchorNotYetValid { not_before: ca.admitted.not_before },
            Standing::Expired | Standing::Valid => PathReject::AnchorExpired { not_after: ca.admitted.not_after },
        }
    } else if alike().any(|ca| ca.state == CaState::Disabled) {
        PathReject::CaDisabled { ca: shown() }
    } else if alike().next().is_some() {
        PathReject::CaUnverified { ca: shown() }
    } else if named().next().is_some() {
        PathReject::IssuerKeyMismatch { issuer: shown() }
    } else {
        PathReject::UnknownIssuer { issuer: shown() }
    })
}

/// Takes the issuer of `head` out of `unused`, a valid one before others. Each is taken once, so
/// certificates that issued one another end the search.
fn take_issuer<'c>(unused: &mut Vec<Link<'c>>, head: &Link<'_>, now: Timestamp) -> Option<Link<'c>> {
    let is_issuer = |link: &Link<'_>| link.may_be_issuer_of(head);
    let is_valid = |link: &Link<'_>| link.dates.at(now) == Standing::Valid;
    let best = unused.iter().position(|link| is_issuer(link) && is_valid(link)).or_else(|| unused.iter().position(is_issuer));
    best.map(|index| unused.swap_remove(index))
}
