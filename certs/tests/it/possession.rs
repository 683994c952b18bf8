//! Rows T that no handshake of ours can play, for want of a client that signs so badly.

use certs::ChainReject;
use certs::possession::PossessionVerifier;
use certs::testkit::{Draft, Made};
use rustls::internal::msgs::codec::{Codec, Reader};
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

/// Whether the signature in a fixture proves possession, by TLS 1.2's and by 1.3's rules.
fn proves(leaf: &[u8], scheme: SignatureScheme, signature: &[u8]) -> [bool; 2] {
    let length = u16::try_from(signature.len()).expect("a short signature");
    let encoded = [&u16::from(scheme).to_be_bytes(), &length.to_be_bytes(), signature].concat();
    let signed = DigitallySignedStruct::read(&mut Reader::init(&encoded)).expect("a signed struct");
    let leaf = CertificateDer::from(leaf);
    let verifier = PossessionVerifier::new();
    [
        verifier.verify_tls12_signature(b"message", &leaf, &signed).is_ok(),
        verifier.verify_tls13_signature(b"message", &leaf, &signed).is_ok(),
    ]
}

#[test]
fn weak_and_unknown_keys_prove_nothing() {
    let rsa = SignatureScheme::RSA_PSS_SHA256;
    let ecdsa = SignatureScheme::ECDSA_NISTP256_SHA256;
    let good = include_bytes!("../fixtures/rsa-2048-v1.pss-sha256.signature");
    assert_eq!(proves(include_bytes!("../fixtures/rsa-2048-v1.der"), rsa, good), [true, true], "RSA 2048, version 1");
    assert_eq!(proves(include_bytes!("../fixtures/rsa-2048-v1.der"), ecdsa, good), [false, false], "the wrong scheme");
    let weak = include_bytes!("../fixtures/rsa-1024.pss-sha256.signature");
    assert_eq!(proves(include_bytes!("../fixtures/rsa-1024.der"), rsa, weak), [false, false], "row 44");
    let ed448 = include_bytes!("../fixtures/ed448.signature");
    assert_eq!(proves(include_bytes!("../fixtures/ed448.der"), SignatureScheme::ED448, ed448), [false, false], "row 49, Ed448");
    let k1 = include_bytes!("../fixtures/secp256k1.ecdsa-sha256.signature");
    assert_eq!(proves(include_bytes!("../fixtures/secp256k1.der"), ecdsa, k1), [false, false], "row 49, secp256k1");
    let p192 = include_bytes!("../fixtures/prime192v1.ecdsa-sha256.signature");
    assert_eq!(proves(include_bytes!("../fixtures/prime192v1.der"), ecdsa, p192), [false, false], "row 49, P-192");
}

fn verdict(chain: &[Made]) -> Result<(), ChainReject> {
    let chain: Vec<_> = chain.iter().map(|made| made.der.clone()).collect();
    let (leaf, others) = chain.split_first().expect("a leaf");
    match PossessionVerifier::new().verify_client_cert(leaf, others, UnixTime::since_unix_epoch(std::time::Duration::ZERO)) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(CertificateError::Other(other))) => {
            Err(other.0.downcast_ref::<ChainReject>().expect("our reason").clone())
        }
        Err(other) => panic!("another reason: {other}"),
    }
}

#[test]
fn chains_out_of_bounds_are_refused_unread() {
    let one = Draft::device("dev-1").self_signed();
    assert_eq!(verdict(&vec![one.clone(); 8]), Ok(()));
    assert_eq!(verdict(&vec![one.clone(); 9]), Err(ChainReject::TooManyCertificates { count: 9 }), "row 36");
    assert_eq!(verdict(&vec![one; 60]), Err(ChainReject::TooManyCertificates { count: 60 }), "row 40, 60");
    let padded = |bytes| Draft::device("dev-1").unknown_extension(false, bytes).self_signed();
    let chain = vec![padded(6000); 3];
    let bytes = chain.iter().map(|made| made.der.len()).sum();
    assert_eq!(verdict(&chain), Err(ChainReject::ChainTooLong { bytes }), "row 37");
    let leaf = padded(8000);
    let bytes = leaf.der.len();
    assert_eq!(verdict(&[leaf]), Err(ChainReject::LeafTooLong { bytes }), "row 38");
    let broken = Draft::device("dev-1").self_signed().with_der(vec![0x30, 0]);
    assert_eq!(verdict(&[broken]), Err(ChainReject::Malformed { index: 0 }), "rows 53 to 55");
}
