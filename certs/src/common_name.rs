//! The name in a certificate's subject that says whose it is.

use model::Identity;
use model::limits::ID_BYTES_MAX;
use thiserror::Error;
use x509_parser::asn1_rs::Tag;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::OID_X509_COMMON_NAME;

use crate::certificate;
use crate::chain::PeerChain;
pub use crate::text::Shown;

/// Why a certificate names no identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommonNameReject {
    /// The subject has no common name.
    #[error("the certificate's subject has no common name")]
    Missing,
    /// The subject has several, equal or not.
    #[error("the certificate's subject has {count} common names")]
    Several {
        /// How many.
        count: usize,
    },
    /// The common name has no characters.
    #[error("the certificate's common name is empty")]
    Empty,
    /// It is longer than ids are.
    #[error("the certificate's common name has {bytes} bytes")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not a UTF8String, PrintableString or IA5String.
    #[error("the certificate's common name is a string of type {tag}, not UTF8String, PrintableString or IA5String")]
    StringType {
        /// The ASN.1 tag number.
        tag: u32,
    },
    /// Bytes that no device or module id has.
    #[error("the certificate's common name {name} is no device or module id")]
    Alphabet {
        /// The name.
        name: Shown,
    },
}

impl CommonNameReject {
    /// A stable name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing => "common_name_missing",
            Self::Several { .. } => "common_name_several",
            Self::Empty => "common_name_empty",
            Self::TooLong { .. } => "common_name_too_long",
            Self::StringType { .. } => "common_name_string_type",
            Self::Alphabet { .. } => "common_name_alphabet",
        }
    }
}

/// The identity that a chain's leaf names.
///
/// # Errors
/// [`CommonNameReject`] when it names none, or not exactly one.
pub fn of(chain: &PeerChain) -> Result<Identity, CommonNameReject> {
    // A chain's certificates were read once before.
    let leaf = certificate::parse(chain.leaf()).map_err(|_| CommonNameReject::Missing)?;
    identity(&leaf)
}

/// The identity that `certificate` names: its only common name, over the whole subject.
///
/// The subject alternative name is not consulted, and `*` is a character like any other.
fn identity(certificate: &X509Certificate<'_>) -> Result<Identity, CommonNameReject> {
    let names = || certificate.subject().iter_attributes().filter(|attribute| *attribute.attr_type() == OID_X509_COMMON_NAME);
    let name = names().next().ok_or(CommonNameReject::Missing)?.attr_value();
    match names().count() {
        1 => read(name.tag(), name.data),
        count => Err(CommonNameReject::Several { count }),
    }
}

fn read(tag: Tag, bytes: &[u8]) -> Result<Identity, CommonNameReject> {
    if ![Tag::Utf8String, Tag::PrintableString, Tag::Ia5String].contains(&tag) {
        return Err(CommonNameReject::StringType { tag: tag.0 });
    }
    if bytes.is_empty() {
        return Err(CommonNameReject::Empty);
    }
    // A module's name is two ids and the slash between them.
    let longest = if bytes.contains(&b'/') { 2 * ID_BYTES_MAX + 1 } else { ID_BYTES_MAX };
    if bytes.len() > longest {
        return Err(CommonNameReject::TooLong { bytes: bytes.len() });
    }
    let identity = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    identity.ok_or_else(|| CommonNameReject::Alphabet { name: Shown::new(bytes) })
}
