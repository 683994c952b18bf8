//! One certificate's fields, as far as decisions need them.

use model::Timestamp;
use rustls_pki_types::UnixTime;
use std::time::Duration;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::text::Shown;

/// The bytes are not exactly one certificate in DER, or an extension that counts is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads exactly one certificate; bytes after its end are an error.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Malformed> {
    // The parser tolerates lengths in more bytes than needed; DER, and thumbprints, do not.
    if !is_shortest_length(der) {
        return Err(Malformed);
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(Malformed),
    }
}

/// Whether the outermost length is definite, in as few bytes as possible, and covers the rest.
fn is_shortest_length(der: &[u8]) -> bool {
    let (length, header) = match der {
        [_, short, ..] if *short < 0x80 => (usize::from(*short), 2),
        [_, 0x81, length, ..] if *length >= 0x80 => (usize::from(*length), 3),
        [_, 0x82, high, low, ..] if *high > 0 => (usize::from(*high) << 8 | usize::from(*low), 4),
        _ => return false,
    };
    length + header == der.len()
}

/// From when to when a certificate is valid, in seconds since 1970, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dates {
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

/// What a set of dates says about a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Valid,
    NotYetValid,
    Expired,
}

impl Dates {
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self { not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() }
    }

    pub(crate) fn at(self, now: Timestamp) -> Standing {
        let now = now.as_seconds();
        if now > self.not_after {
            Standing::Expired
        } else if now < self.not_before {
            Standing::NotYetValid
        } else {
            Standing::Valid
        }
    }

    pub(crate) fn start(self) -> Timestamp {
        moment(self.not_before)
    }

    pub(crate) fn end(self) -> Timestamp {
        moment(self.not_after)
    }
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_milliseconds(seconds.saturating_mul(1000))
}

/// The moment as webpki takes it; moments before 1970 count as 1970.
pub(crate) fn unix_time(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_seconds()).unwrap_or(0)))
}

/// The key id a certificate gives its own key.
pub(crate) fn subject_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| {
        let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() else { return None };
        Some(id.0)
    })
}

/// The key id a certificate gives its issuer's key.
pub(crate) fn authority_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| {
        let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() else { return None };
        id.key_identifier.as_ref().map(|id| id.0)
    })
}

/// Whether key ids let `issuer` be the issuer. A missing one says nothing.
pub(crate) fn key_ids_agree(authority: Option<&[u8]>, subject: Option<&[u8]>) -> bool {
    match (authority, subject) {
        (Some(authority), Some(subject)) => authority == subject,
        (None, _) | (_, None) => true,
    }
}

/// The values of a name for people, first to last. Their kinds are left out: spelling out the
/// object identifiers of a stranger's making can be made to take long.
pub(crate) fn shown_name(name: &X509Name<'_>) -> Shown {
    let values: Vec<_> = name.iter_attributes().take(8).map(|attribute| attribute.attr_value().data).collect();
    Shown::new(values.join(&b", "[..]))
}

/// Whether keyUsage lets the key sign certificates; without keyUsage it may.
pub(crate) fn may_sign_certificates(certificate: &X509Certificate<'_>) -> Result<bool, Malformed> {
    match certificate.key_usage() {
        Ok(None) => Ok(true),
        Ok(Some(usage)) => Ok(usage.value.key_cert_sign()),
        Err(_) => Err(Malformed),
    }
}

/// Whether extendedKeyUsage lets the key authenticate a TLS client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientPurpose {
    /// There is no extendedKeyUsage.
    Unrestricted,
    /// clientAuth is named.
    Named,
    /// Only anyExtendedKeyUsage is.
    Any,
    /// Others are.
    Excluded,
}

pub(crate) fn client_purpose(certificate: &X509Certificate<'_>) -> Result<ClientPurpose, Malformed> {
    Ok(match certificate.extended_key_usage().map_err(|_| Malformed)? {
        None => ClientPurpose::Unrestricted,
        Some(usage) if usage.value.client_auth => ClientPurpose::Named,
        Some(usage) if usage.value.any => ClientPurpose::Any,
        Some(_) => ClientPurpose::Excluded,
    })
}
