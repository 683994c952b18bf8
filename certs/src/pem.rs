//! PEM text in and out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{self, PemObject, SectionKind};
use zeroize::Zeroizing;

/// Everything between `BEGIN` and `END` lines, in order. A byte order mark is allowed.
///
/// # Errors
/// Lines that begin a section and do not end it, or are not base64.
pub(crate) fn sections(text: &str) -> Result<Vec<(SectionKind, Vec<u8>)>, pem::Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()).collect()
}

/// A certificate as PEM.
pub(crate) fn certificate(der: &[u8]) -> String {
    let mut text = String::new();
    write(&mut text, "CERTIFICATE", der);
    text
}

/// A PKCS#8 key as PEM, wiped when dropped.
pub(crate) fn private_key(der: &[u8]) -> Zeroizing<String> {
    // Room for everything at once: growing would leave copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(der.len() * 2 + 128));
    write(&mut text, "PRIVATE KEY", der);
    text
}

fn write(text: &mut String, label: &str, der: &[u8]) {
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    // 48 bytes make a line of 64 characters.
    for line in der.chunks(48) {
        let encoded = Zeroizing::new(STANDARD.encode(line));
        text.push_str(&encoded);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
}
