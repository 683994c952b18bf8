//! Credentials as clients write them, brought into the one form the registry keeps. Pure.

use model::api::{Authentication, AuthenticationType, SymmetricKey, X509Thumbprint};
use model::{Credentials, Secret, Thumbprint};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Why credentials were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidAuthentication {
    /// A key that is not base64.
    #[error("the {0} key is not base64")]
    Key(Slot),
    /// A thumbprint that is not 40 or 64 hexadecimal digits.
    #[error("the {0} thumbprint is not 40 (SHA-1) or 64 (SHA-256) hexadecimal digits")]
    Thumbprint(Slot),
    /// The type `selfSigned` without any thumbprint.
    #[error("authentication by thumbprint needs at least one thumbprint")]
    ThumbprintMissing,
    /// Keys and thumbprints, and no type that says which count.
    #[error("keys and thumbprints are given, but no type that says which of them count")]
    Ambiguous,
}

/// Which of two interchangeable credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The first.
    Primary,
    /// The second.
    Secondary,
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        })
    }
}

/// Brings credentials into the form the registry keeps.
///
/// The type, when absent, follows from what is given, and from `kept` when nothing is. Keys that
/// are missing or empty (Node's SDK sends empty texts) are the `kept` ones of an identity that
/// had keys before, else `new_key`'s. Thumbprints, when both are empty, are the `kept` ones.
/// Credentials of another type than the one that counts are ignored.
///
/// # Errors
/// [`InvalidAuthentication`].
pub fn normalise(
    given: &Authentication,
    kept: Option<&Credentials>,
    new_key: impl FnMut() -> Secret,
) -> Result<Credentials, InvalidAuthentication> {
    let keys = given.symmetric_key.clone().unwrap_or_default();
    let thumbprints = given.x509_thumbprint.clone().unwrap_or_default();
    match kind(given, &keys, &thumbprints, kept)? {
        AuthenticationType::Sas => normalise_keys(&keys, kept, new_key),
        AuthenticationType::SelfSigned => normalise_thumbprints(&thumbprints, kept),
        AuthenticationType::CertificateAuthority => Ok(Credentials::CertificateAuthority),
        AuthenticationType::None => Ok(Credentials::None),
    }
}

fn kind(
    given: &Authentication,
    keys: &SymmetricKey,
    thumbprints: &X509Thumbprint,
    kept: Option<&Credentials>,
) -> Result<AuthenticationType, InvalidAuthentication> {
    if let Some(kind) = given.kind {
        return Ok(kind);
    }
    let has_keys = filled(&keys.primary_key).or(filled(&keys.secondary_key)).is_some();
    let has_thumbprints = filled(&thumbprints.primary_thumbprint).or(filled(&thumbprints.secondary_thumbprint)).is_some();
    match (has_keys, has_thumbprints) {
        (true, true) => Err(InvalidAuthentication::Ambiguous),
        (true, false) => Ok(AuthenticationType::Sas),
        (false, true) => Ok(AuthenticationType::SelfSigned),
        (false, false) => Ok(kept.map_or(AuthenticationType::Sas, kind_of)),
    }
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn normalise_keys(
    keys: &SymmetricKey,
    kept: Option<&Credentials>,
    mut new_key: impl FnMut() -> Secret,
) -> Result<Credentials, InvalidAuthentication> {
    let (kept_primary, kept_secondary) = match kept {
        Some(Credentials::Keys { primary, secondary }) => (Some(primary), Some(secondary)),
        Some(Credentials::Thumbprints { .. } | Credentials::CertificateAuthority | Credentials::None) | None => (None, None),
    };
    let mut choose = |text: &Option<String>, kept: Option<&Secret>, slot| match filled(text) {
        Some(text) => Secret::from_base64(text).map_err(|_| InvalidAuthentication::Key(slot)),
        None => Ok(kept.cloned().unwrap_or_else(&mut new_key)),
    };
    let primary = choose(&keys.primary_key, kept_primary, Slot::Primary)?;
    let secondary = choose(&keys.secondary_key, kept_secondary, Slot::Secondary)?;
    Ok(Credentials::Keys { primary, secondary })
}

fn normalise_thumbprints(thumbprints: &X509Thumbprint, kept: Option<&Credentials>) -> Result<Credentials, InvalidAuthentication> {
    let read = |text: &Option<String>, slot| {
        filled(text).map(str::parse::<Thumbprint>).transpose().map_err(|_| InvalidAuthentication::Thumbprint(slot))
    };
    let primary = read(&thumbprints.primary_thumbprint, Slot::Primary)?;
    let secondary = read(&thumbprints.secondary_thumbprint, Slot::Secondary)?;
    match (primary.or(secondary), kept) {
        (Some(_), _) => Ok(Credentials::Thumbprints { primary, secondary }),
        (None, Some(kept @ Credentials::Thumbprints { .. })) => Ok(kept.clone()),
        (None, _) => Err(InvalidAuthentication::ThumbprintMissing),
    }
}

/// The type of credentials, as the service API names it.
pub fn kind_of(credentials: &Credentials) -> AuthenticationType {
    match credentials {
        Credentials::Keys { .. } => AuthenticationType::Sas,
        Credentials::Thumbprints { .. } => AuthenticationType::SelfSigned,
        Credentials::CertificateAuthority => AuthenticationType::CertificateAuthority,
        Credentials::None => AuthenticationType::None,
    }
}

/// Credentials as the service API shows them, keys included: both kinds are always there, the
/// one that does not count without values.
pub fn shown(credentials: &Credentials) -> Authentication {
    let mut keys = SymmetricKey::default();
    let mut thumbprints = X509Thumbprint::default();
    match credentials {
        Credentials::Keys { primary, secondary } => {
            keys.primary_key = Some(primary.to_base64());
            keys.secondary_key = Some(secondary.to_base64());
        }
        Credentials::Thumbprints { primary, secondary } => {
            thumbprints.primary_thumbprint = primary.map(|thumbprint| thumbprint.to_string());
            thumbprints.secondary_thumbprint = secondary.map(|thumbprint| thumbprint.to_string());
        }
        Credentials::CertificateAuthority | Credentials::None => {}
    }
    Authentication { symmetric_key: Some(keys), x509_thumbprint: Some(thumbprints), kind: Some(kind_of(credentials)) }
}
