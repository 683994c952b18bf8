//! The checks of CA admission, one function each.

use super::*;

use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_NAME_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME, OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Version;

const RSA_BITS_MIN: usize = 2048;

pub(super) fn only_certificate(text: &str) -> Result<CertificateDer<'static>, CaReject> {
    if text.len() > CA_PEM_BYTES_MAX {
        return Err(CaReject::TooLong { bytes: text.len() });
    }
    // Found by its label, so that kinds of key the parser does not know are refused, too.
    if text.contains("PRIVATE KEY-----") {
        return Err(CaReject::PrivateKey);
    }
    let sections = pem::sections(text).map_err(|_| CaReject::NotPem)?;
    let mut certificates = sections.into_iter().filter(|(kind, _)| *kind == SectionKind::Certificate).map(|(_, der)| der);
    match (certificates.next(), certificates.count()) {
        (Some(der), 0) => Ok(CertificateDer::from(der)),
        (Some(_), more) => Err(CaReject::NotOneCertificate { count: more + 1 }),
        (None, _) => Err(CaReject::NotOneCertificate { count: 0 }),
    }
}

pub(super) fn check_scope(id_scope: &[String]) -> Result<(), CaReject> {
    match id_scope.iter().find(|prefix| prefix.parse::<DeviceId>().is_err()) {
        Some(prefix) => Err(CaReject::IdScope { prefix: Shown::new(prefix) }),
        None => Ok(()),
    }
}

pub(super) fn check(certificate: &X509Certificate<'_>) -> Result<(), CaReject> {
    check_version(certificate)?;
    check_authority(certificate)?;
    check_purpose(certificate)?;
    check_key(certificate)?;
    check_critical_extensions(certificate)?;
    check_name_constraints(certificate)
}

fn check_version(certificate: &X509Certificate<'_>) -> Result<(), CaReject> {
    match certificate.version() {
        X509Version::V3 => Ok(()),
        other => Err(CaReject::Version { version: other.0.saturating_add(1) }),
    }
}

fn check_authority(certificate: &X509Certificate<'_>) -> Result<(), CaReject> {
    let constraints = certificate.basic_constraints().map_err(|_| CaReject::Malformed)?;
    if !constraints.ok_or(CaReject::NoBasicConstraints)?.value.ca {
        return Err(CaReject::NotCa);
    }
    match certificate::may_sign_certificates(certificate) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CaReject::MayNotSign),
        Err(_) => Err(CaReject::Malformed),
    }
}

fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), CaReject> {
    match certificate::client_purpose(certificate).map_err(|_| CaReject::Malformed)? {
        ClientPurpose::Unrestricted | ClientPurpose::Named | ClientPurpose::Any => Ok(()),
        ClientPurpose::Excluded => Err(CaReject::Purpose),
    }
}

fn check_key(certificate: &X509Certificate<'_>) -> Result<(), CaReject> {
    let key = certificate.public_key();
    let algorithm = &key.algorithm;
    if algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        return match key.parsed() {
            Ok(PublicKey::RSA(rsa)) if rsa_bits(rsa.modulus) >= RSA_BITS_MIN => Ok(()),
            Ok(PublicKey::RSA(rsa)) => Err(CaReject::WeakKey { bits: rsa_bits(rsa.modulus) }),
            Ok(_) | Err(_) => Err(CaReject::Malformed),
        };
    }
    let curve = || algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let known_curve = || curve().is_some_and(|curve| [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&curve));
    let supported = algorithm.algorithm == OID_SIG_ED25519 || algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && known_curve();
    if supported { Ok(()) } else { Err(CaReject::KeyKind) }
}

fn rsa_bits(modulus: &[u8]) -> usize {
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(leading).map_or(8, |byte| byte.leading_zeros() as usize);
    ((modulus.len() - leading) * 8).saturating_sub(first)
}

fn check_critical_extensions(certificate: &X509Certificate<'_>) -> Result<(), CaReject> {
    let obeyed = [
        OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
        OID_X509_EXT_BASIC_CONSTRAINTS,
        OID_X509_EXT_EXTENDED_KEY_USAGE,
        OID_X509_EXT_KEY_USAGE,
        OID_X509_EXT_NAME_CONSTRAINTS,
        OID_X509_EXT_SUBJECT_ALT_NAME,
        OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
    ];
    match certificate.iter_extensions().find(|extension| extension.critical && !obeyed.contains(&extension.oid)) {
        Some(extension) => Err(CaReject::CriticalExtension { oid: extension.oid.to_id_string() }),
        None => Ok(()),
    }
}

fn check_name_constraints(certificate: &X509Certificate<'_>) -> Result<(), CaReject> {
    let Some(constraints) = certificate.name_constraints().map_err(|_| CaReject::Malformed)? else { return Ok(()) };
    let permitted = constraints.value.permitted_subtrees.iter().flatten();
    let excluded = constraints.value.excluded_subtrees.iter().flatten();
    match permitted.chain(excluded).find_map(|subtree| unsupported_kind(&subtree.base)) {
        Some(kind) => Err(CaReject::NameConstraint { kind }),
        None => Ok(()),
    }
}

fn unsupported_kind(name: &GeneralName<'_>) -> Option<&'static str> {
    match name {
        GeneralName::DNSName(_) | GeneralName::IPAddress(_) => None,
        GeneralName::DirectoryName(_) => Some("directoryName"),
        GeneralName::RFC822Name(_) => Some("rfc822Name"),
        GeneralName::URI(_) => Some("uniformResourceIdentifier"),
        GeneralName::OtherName(..) => Some("otherName"),
        GeneralName::X400Address(_) => Some("x400Address"),
        GeneralName::EDIPartyName(_) => Some("ediPartyName"),
        GeneralName::RegisteredID(_) => Some("registeredID"),
        GeneralName::Invalid(..) => Some("unknown"),
    }
}
