//! A certificate in the making.

use std::sync::Arc;
use std::time::Duration;

use model::{Secret, Thumbprint, Timestamp};
use rcgen::{PublicKeyData as _, SigningKey as _};
use rustls_pki_types::CertificateDer;

use super::{Name, der, now};
use crate::{pem, thumbprint};

const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const KEY_USAGE: &str = "2.5.29.15";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const SUBJECT_KEY_ID: &str = "2.5.29.14";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";
const NAME_CONSTRAINTS: &str = "2.5.29.30";
const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";

/// extendedKeyUsage serverAuth.
pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
/// extendedKeyUsage clientAuth.
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
/// anyExtendedKeyUsage.
pub const ANY_PURPOSE: &str = "2.5.29.37.0";

/// A key pair, shared between the certificates made for it.
#[derive(Debug, Clone)]
pub struct Key(Arc<rcgen::KeyPair>);

impl Key {
    /// ECDSA on P-256, what everything is signed with unless said otherwise.
    pub fn p256() -> Self {
        Self::of(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// ECDSA on P-384.
    pub fn p384() -> Self {
        Self::of(&rcgen::PKCS_ECDSA_P384_SHA384)
    }

    /// ECDSA on P-521.
    pub fn p521() -> Self {
        Self::of(&rcgen::PKCS_ECDSA_P521_SHA512)
    }

    /// Ed25519.
    pub fn ed25519() -> Self {
        Self::of(&rcgen::PKCS_ED25519)
    }

    fn of(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        Self(Arc::new(rcgen::KeyPair::generate_for(algorithm).expect("a new key")))
    }

    /// PKCS#8 in PEM.
    pub fn pem(&self) -> String {
        pem::private_key(self.0.serialized_der()).to_string()
    }

    fn algorithm_identifier(&self) -> Vec<u8> {
        let oid = |dotted| der::sequence(&[der::oid(dotted)]);
        match self.0.algorithm() {
            algorithm if *algorithm == rcgen::PKCS_ECDSA_P256_SHA256 => oid("1.2.840.10045.4.3.2"),
            algorithm if *algorithm == rcgen::PKCS_ECDSA_P384_SHA384 => oid("1.2.840.10045.4.3.3"),
            algorithm if *algorithm == rcgen::PKCS_ECDSA_P521_SHA512 => oid("1.2.840.10045.4.3.4"),
            _ => oid("1.3.101.112"),
        }
    }
}

/// A finished certificate and its key.
#[derive(Debug, Clone)]
pub struct Made {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// Its key.
    pub key: Key,
    subject: Vec<u8>,
}

impl Made {
    /// As PEM.
    pub fn pem(&self) -> String {
        pem::certificate(&self.der)
    }

    /// Its SHA-256.
    pub fn sha256(&self) -> Thumbprint {
        thumbprint::sha256(&self.der)
    }

    /// The same key and name with other bytes for a certificate.
    pub fn with_der(&self, der: Vec<u8>) -> Self {
        Self { der: der.into(), ..self.clone() }
    }
}

/// Everything that goes into a certificate; see [`Draft::device`] and [`Draft::authority`] for
/// sane ones to start from.
#[derive(Debug, Clone)]
pub struct Draft {
    key: Key,
    subject: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    serial: u64,
    version: u64,
    with_key_ids: bool,
    inner_algorithm: Option<Vec<u8>>,
    extensions: Vec<(String, Vec<u8>)>,
}

impl Draft {
    /// A client's certificate: CA:FALSE, digitalSignature, clientAuth, valid a year around now.
    pub fn device(common_name: impl AsRef<[u8]>) -> Self {
        Self::named(Name::common(common_name)).authority_of(Some(false), None).key_usage(0x80).purposes(&[CLIENT_AUTH])
    }

    /// A CA's certificate: CA:TRUE, keyCertSign and cRLSign.
    pub fn authority(common_name: &str) -> Self {
        Self::named(Name::common(common_name)).authority_of(Some(true), None).key_usage(0x06)
    }

    fn named(subject: Name) -> Self {
        let half = Duration::from_secs(180 * 24 * 3600);
        let not_before = Timestamp::from_milliseconds(now().as_milliseconds() - 180 * 24 * 3_600_000);
        Self {
            key: Key::p256(),
            subject,
            not_before,
            not_after: now().saturating_add(half),
            serial: 1,
            version: 3,
            with_key_ids: true,
            inner_algorithm: None,
            extensions: Vec::new(),
        }
    }

    /// Another key.
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Another subject.
    pub fn subject(mut self, subject: Name) -> Self {
        self.subject = subject;
        self
    }

    /// Another serial number.
    pub fn serial(mut self, serial: u64) -> Self {
        self.serial = serial;
        self
    }

    /// From `seconds` before or after now on.
    pub fn valid_from(mut self, seconds: i64) -> Self {
        self.not_before = Timestamp::from_milliseconds(now().as_milliseconds() + seconds * 1000);
        self
    }

    /// Until `seconds` before or after now.
    pub fn valid_until(mut self, seconds: i64) -> Self {
        self.not_after = Timestamp::from_milliseconds(now().as_milliseconds() + seconds * 1000);
        self
    }

    /// X.509 version 1: no extension is written.
    pub fn version_1(mut self) -> Self {
        self.version = 1;
        self
    }

    /// Without subject and authority key ids.
    pub fn without_key_ids(mut self) -> Self {
        self.with_key_ids = false;
        self
    }

    /// Names this signature algorithm inside, whatever it is signed with.
    pub fn claim_algorithm(mut self, oid: &str) -> Self {
        self.inner_algorithm = Some(der::sequence(&[der::oid(oid)]));
        self
    }

    /// basicConstraints with CA and pathLenConstraint, or none at all.
    pub fn authority_of(self, ca: Option<bool>, path_len: Option<u64>) -> Self {
        let Some(ca) = ca else { return self.without(BASIC_CONSTRAINTS) };
        let ca = if ca { der::boolean(true) } else { Vec::new() };
        let path_len = path_len.map(der::integer).unwrap_or_default();
        self.with(BASIC_CONSTRAINTS, true, &der::sequence(&[ca, path_len]))
    }

    /// pathLenConstraint of a CA.
    pub fn path_len(self, path_len: u64) -> Self {
        self.authority_of(Some(true), Some(path_len))
    }

    /// keyUsage: 0x80 digitalSignature, 0x04 keyCertSign, 0x02 cRLSign.
    pub fn key_usage(self, usage: u8) -> Self {
        self.with(KEY_USAGE, true, &der::bits(&[usage]))
    }

    /// extendedKeyUsage of these, which may be none.
    pub fn purposes(self, purposes: &[&str]) -> Self {
        let purposes: Vec<_> = purposes.iter().map(|purpose| der::oid(purpose)).collect();
        self.with(EXTENDED_KEY_USAGE, false, &der::sequence(&purposes))
    }

    /// No extendedKeyUsage.
    pub fn without_purposes(self) -> Self {
        self.without(EXTENDED_KEY_USAGE)
    }

    /// nameConstraints permitting one name of a GeneralName's tag: 2 DNS, 4 directory.
    pub fn permit_only(self, tag: u8, name: &[u8]) -> Self {
        let constructed = if tag == 4 { 0xA0 } else { 0x80 };
        let subtree = der::sequence(&[der::element(constructed | tag, name)]);
        self.with(NAME_CONSTRAINTS, true, &der::sequence(&[der::element(0xA0, &subtree)]))
    }

    /// A subject alternative name of the kind DNS.
    pub fn dns_name(self, name: &str) -> Self {
        self.with(SUBJECT_ALTERNATIVE_NAME, false, &der::sequence(&[der::element(0x82, name.as_bytes())]))
    }

    /// An extension nobody knows, of `bytes` bytes.
    pub fn unknown_extension(self, critical: bool, bytes: usize) -> Self {
        self.with("1.3.6.1.4.1.99999.1", critical, &der::octets(&vec![0; bytes]))
    }

    /// An extension, instead of an earlier one of its kind.
    pub fn with(self, oid: &str, critical: bool, content: &[u8]) -> Self {
        let mut draft = self.without(oid);
        draft.extensions.push((oid.to_owned(), extension(oid, critical, content)));
        draft
    }

    fn without(mut self, oid: &str) -> Self {
        self.extensions.retain(|(kind, _)| kind != oid);
        self
    }

    /// Signed with its own key.
    pub fn self_signed(self) -> Made {
        let (issuer, key) = (self.subject.to_der(), self.key.clone());
        self.sign(&issuer, &key)
    }

    /// Signed by `issuer`.
    pub fn signed_by(self, issuer: &Made) -> Made {
        self.sign(&issuer.subject, &issuer.key)
    }

    /// In the name of `issuer`, signed with the key of `forger`.
    pub fn forged(self, issuer: &Made, forger: &Key) -> Made {
        self.sign(&issuer.subject, forger)
    }

    fn sign(self, issuer: &[u8], signer: &Key) -> Made {
        let subject = self.subject.to_der();
        let body = self.body(issuer, &subject, signer);
        let signature = signer.0.sign(&body).expect("a signature");
        let der = der::sequence(&[body, signer.algorithm_identifier(), der::bits(&signature)]);
        Made { der: der.into(), key: self.key, subject }
    }

    fn body(&self, issuer: &[u8], subject: &[u8], signer: &Key) -> Vec<u8> {
        let version = if self.version == 1 { Vec::new() } else { der::element(0xA0, &der::integer(self.version - 1)) };
        let algorithm = self.inner_algorithm.clone().unwrap_or_else(|| signer.algorithm_identifier());
        let validity = der::sequence(&[utc_time(self.not_before), utc_time(self.not_after)]);
        let spki = self.key.0.subject_public_key_info();
        let extensions = if self.version == 1 { Vec::new() } else { self.extensions(signer) };
        der::sequence(&[version, der::integer(self.serial), algorithm, issuer.to_vec(), validity, subject.to_vec(), spki, extensions])
    }

    fn extensions(&self, signer: &Key) -> Vec<u8> {
        let mut extensions: Vec<Vec<u8>> = self.extensions.iter().map(|(_, extension)| extension.clone()).collect();
        if self.with_key_ids {
            extensions.push(extension(SUBJECT_KEY_ID, false, &der::octets(&key_id(&self.key))));
            extensions.push(extension(AUTHORITY_KEY_ID, false, &der::sequence(&[der::element(0x80, &key_id(signer))])));
        }
        der::element(0xA3, &der::sequence(&extensions))
    }
}

fn extension(oid: &str, critical: bool, content: &[u8]) -> Vec<u8> {
    let critical = if critical { der::boolean(true) } else { Vec::new() };
    der::sequence(&[der::oid(oid), critical, der::octets(content)])
}

fn key_id(key: &Key) -> Vec<u8> {
    thumbprint::sha1(&key.0.subject_public_key_info()).as_bytes().to_vec()
}

/// `YYMMDDhhmmssZ`.
fn utc_time(moment: Timestamp) -> Vec<u8> {
    let whole = Timestamp::from_milliseconds(moment.as_seconds() * 1000).to_string();
    let digits: String = whole.chars().filter(char::is_ascii_digit).skip(2).collect();
    der::element(0x17, format!("{digits}Z").as_bytes())
}

/// A secret for tests.
pub fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}
