//! Credentials as clients write them, brought into the one form the registry keeps. Pure.

use thiserror::Error;

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
