//! The hash of a certificate's bytes, exactly as they were received.

use aws_lc_rs::{constant_time, digest};
use model::Thumbprint;

/// SHA-256 over a certificate's DER bytes.
pub fn sha256(der: &[u8]) -> Thumbprint {
    Thumbprint::Sha256(sha256_bytes(der))
}

/// SHA-1 over a certificate's DER bytes, for compatibility.
pub fn sha1(der: &[u8]) -> Thumbprint {
    let mut hash = [0; 20];
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der);
    digest.as_ref().iter().zip(&mut hash).for_each(|(from, to)| *to = *from);
    Thumbprint::Sha1(hash)
}

pub(crate) fn sha256_bytes(der: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = digest::digest(&digest::SHA256, der);
    digest.as_ref().iter().zip(&mut hash).for_each(|(from, to)| *to = *from);
    hash
}

/// Whether `der` has the thumbprint `expected`, compared in constant time.
pub fn matches(der: &[u8], expected: &Thumbprint) -> bool {
    let actual = match expected {
        Thumbprint::Sha1(_) => sha1(der),
        Thumbprint::Sha256(_) => sha256(der),
    };
    constant_time::verify_slices_are_equal(actual.as_bytes(), expected.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_the_published_hashes() {
        assert_eq!(sha1(b"abc").to_string(), "A9993E364706816ABA3E25717850C26C9CD0D89D");
        assert_eq!(sha256(b"abc").to_string(), "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
        assert!(matches(b"abc", &sha1(b"abc")) && matches(b"abc", &sha256(b"abc")));
        assert!(!matches(b"abd", &sha1(b"abc")) && !matches(b"abd", &sha256(b"abc")));
    }
}
