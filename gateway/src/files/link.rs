//! Signed links: queries in the form of the storage service's shared access signatures, that let
//! whoever holds one do one thing to one file for a while. Pure.
//!
//! The clients of the storage service pass on the parameters they know, in any order and encoded
//! anew; so these are parameters of theirs, and what is signed are their values. The signature
//! itself is ours: nobody but the hub makes or reads it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Secret, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use super::name::{BlobName, ContainerName};

/// The storage service's version whose parameters these are.
const VERSION: &str = "2018-03-28";
/// What a link leads to: one blob.
const RESOURCE: &str = "b";
const PROTOCOL: &str = "https";
/// Begins what is signed, so that no other use of the key signs the same.
const PURPOSE: &str = "isthmus file link 1";
/// A link's parameters are together no longer.
const QUERY_BYTES_MAX: usize = 2048;

/// What a link lets its holder do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Write the file, as long as the upload is under way.
    Write {
        /// The upload.
        upload: String,
    },
    /// Read the file.
    Read,
}

/// Why a link does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum InvalidLink {
    /// No link, or not one of ours.
    #[error("the request carries no link of this hub")]
    Missing,
    /// A parameter is there twice, lacks, or says what no link of ours says.
    #[error("the parameters are not those of a link")]
    Form,
    /// Signed for another file, with another key, or changed since.
    #[error("the signature does not fit")]
    Signature,
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
}

/// The parameters that are signed, decoded.
#[derive(Debug, Default)]
struct Parameters {
    version: String,
    resource: String,
    permissions: String,
    protocol: String,
    expiry: String,
    upload: String,
    signature: String,
}

/// Signs links and reads them.
#[derive(Debug)]
pub(crate) struct LinkSigner {
    key: hmac::Key,
}

impl LinkSigner {
    /// One that signs with `key`.
    pub(super) fn new(key: &Secret) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()) }
    }

    /// A query, with its question mark, that permits `permission` on one file until `expiry`.
    pub(crate) fn sign(&self, container: &ContainerName, blob: &BlobName, permission: &Permission, expiry: Timestamp) -> String {
        let (permissions, upload) = match permission {
            Permission::Write { upload } => ("cw", upload.as_str()),
            Permission::Read => ("r", ""),
        };
        let mut parameters = Parameters {
            version: VERSION.to_owned(),
            resource: RESOURCE.to_owned(),
            permissions: permissions.to_owned(),
            protocol: PROTOCOL.to_owned(),
            expiry: Timestamp::from_milliseconds(expiry.as_seconds().saturating_mul(1000)).to_string(),
            upload: upload.to_owned(),
            signature: String::new(),
        };
        parameters.signature = STANDARD.encode(hmac::sign(&self.key, parameters.signed_text(container, blob).as_bytes()));
        parameters.query()
    }

    /// What the link in `query` permits on this file at `now`.
    ///
    /// # Errors
    /// [`InvalidLink`]
    pub(crate) fn verify(
        &self,
        container: &ContainerName,
        blob: &BlobName,
        query: &str,
        now: Timestamp,
    ) -> Result<Permission, InvalidLink> {
        let parameters = Parameters::read(query)?;
        let signature = STANDARD.decode(&parameters.signature).map_err(|_| InvalidLink::Signature)?;
        // Compares in constant time.
        hmac::verify(&self.key, parameters.signed_text(container, blob).as_bytes(), &signature).map_err(|_| InvalidLink::Signature)?;
        let expiry = Timestamp::parse_rfc3339(&parameters.expiry).map_err(|_| InvalidLink::Form)?;
        if expiry <= now {
            return Err(InvalidLink::Expired);
        }
        match (parameters.permissions.as_str(), parameters.upload.as_str()) {
            ("cw", upload) if !upload.is_empty() => Ok(Permission::Write { upload: upload.to_owned() }),
            ("r", "") => Ok(Permission::Read),
            (_, _) => Err(InvalidLink::Form),
        }
    }
}

impl Parameters {
    /// Their names, and those optional in a link.
    fn field(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "sv" => &mut self.version,
            "sr" => &mut self.resource,
            "sp" => &mut self.permissions,
            "spr" => &mut self.protocol,
            "se" => &mut self.expiry,
            "si" => &mut self.upload,
            "sig" => &mut self.signature,
            _ => return None,
        })
    }

    /// Other parameters say what to do and are not looked at. A `+` is one: no client writes a
    /// space here.
    fn read(query: &str) -> Result<Self, InvalidLink> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(InvalidLink::Form);
        }
        let mut parameters = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let Some(field) = parameters.field(name) else { continue };
            let value = percent_decode_str(value).decode_utf8().map_err(|_| InvalidLink::Form)?;
            if !field.is_empty() || value.is_empty() || value.bytes().any(|byte| byte.is_ascii_control()) {
                return Err(InvalidLink::Form);
            }
            *field = value.into_owned();
        }
        if parameters.signature.is_empty() {
            return Err(InvalidLink::Missing);
        }
        Ok(parameters)
    }

    /// No value holds a line's end, so every text has one reading.
    fn signed_text(&self, container: &ContainerName, blob: &BlobName) -> String {
        let Self { version, resource, permissions, protocol, expiry, upload, signature: _ } = self;
        [PURPOSE, container.as_str(), blob.as_str(), version, resource, permissions, protocol, expiry, upload].join("\n")
    }

    fn query(&self) -> String {
        let Self { version, resource, permissions, protocol, expiry, upload, signature } = self;
        let pairs =
            [("sv", version), ("sr", resource), ("si", upload), ("sp", permissions), ("spr", protocol), ("se", expiry), ("sig", signature)];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))).collect();
        format!("?{}", pairs.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(key: u8) -> LinkSigner {
        LinkSigner::new(&Secret::new(vec![key; 32]))
    }

    fn container(name: &str) -> ContainerName {
        name.parse().expect("a container")
    }

    fn blob(name: &str) -> BlobName {
        name.parse().expect("a name")
    }

    fn time(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a date")
    }

    fn write() -> Permission {
        Permission::Write { upload: "00ff".into() }
    }

    fn link(permission: &Permission) -> String {
        let link = signer(1).sign(&container("uploads"), &blob("d/a b"), permission, time("2026-01-01T01:00:00.9Z"));
        link.strip_prefix('?').expect("a query").to_owned()
    }

    fn verify(query: &str) -> Result<Permission, InvalidLink> {
        signer(1).verify(&container("uploads"), &blob("d/a b"), query, time("2026-01-01T00:59:59Z"))
    }

    #[test]
    fn a_link_permits_what_it_was_signed_for_however_it_is_written() {
        for permission in [write(), Permission::Read] {
            let link = link(&permission);
            assert_eq!(verify(&link), Ok(permission.clone()));
            let turned: Vec<&str> = link.split('&').rev().collect();
            assert_eq!(verify(&format!("comp=block&{}&timeout=30", turned.join("&"))), Ok(permission.clone()));
            let lower = link.replace("%2D", "-").replace("%3A", "%3a");
            assert_eq!(verify(&lower), Ok(permission));
        }
    }

    #[test]
    fn a_link_is_for_one_file_one_key_and_its_time() {
        let link = link(&write());
        let now = time("2026-01-01T00:00:00Z");
        let (uploads, name) = (container("uploads"), blob("d/a b"));
        assert_eq!(signer(2).verify(&uploads, &name, &link, now), Err(InvalidLink::Signature));
        assert_eq!(signer(1).verify(&container("others"), &name, &link, now), Err(InvalidLink::Signature));
        assert_eq!(signer(1).verify(&uploads, &blob("d/a c"), &link, now), Err(InvalidLink::Signature));
        assert_eq!(signer(1).verify(&uploads, &name, &link, time("2026-01-01T01:00:00Z")), Err(InvalidLink::Expired));
    }

    #[test]
    fn a_changed_link_does_not_hold() {
        let link = link(&write());
        for (from, to) in [
            ("sp=cw", "sp=r"),
            ("sp=cw", "sp=rcw"),
            ("si=00ff", "si=00fe"),
            ("si=00ff&", ""),
            ("sr=b", "sr=c"),
            ("01%3A00", "02%3A00"),
            ("sv=2018", "sv=2019"),
            ("spr=https&", ""),
            ("sig=", "sig=A"),
        ] {
            let changed = link.replacen(from, to, 1);
            assert_ne!(changed, link, "{from}");
            assert_eq!(verify(&changed), Err(InvalidLink::Signature), "{from} to {to}");
        }
        assert_eq!(verify(""), Err(InvalidLink::Missing));
        assert_eq!(verify("comp=block"), Err(InvalidLink::Missing));
        assert_eq!(verify(&format!("{link}&sp=r")), Err(InvalidLink::Form), "twice");
        assert_eq!(verify(&link.replace("sp=cw", "sp=cw%0A")), Err(InvalidLink::Form));
        assert_eq!(verify(&format!("{link}&x={}", "y".repeat(3000))), Err(InvalidLink::Form));
    }
}
