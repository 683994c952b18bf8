//! Rows A: what may be enrolled as a CA.

use crate::support::{after, enrolled};
use certs::ca::{self, AdmittedCa, CaReject};
use certs::testkit::{ANY_PURPOSE, CLIENT_AUTH, Draft, Key, Made, Name, SERVER_AUTH, now};

fn check(row: &str, pem: &str, expect: Result<(), CaReject>) {
    assert_eq!(ca::admit(pem, Vec::new(), now()).map(|_| ()), expect, "{row}");
}

fn authority() -> Draft {
    Draft::authority("CA")
}

fn der_as_pem(der: &[u8]) -> String {
    Draft::authority("").self_signed().with_der(der.to_vec()).pem()
}

#[test]
fn sane_cas_are_enrolled() {
    let accept = |row, draft: Draft| check(row, &draft.self_signed().pem(), Ok(()));
    accept("P-256", authority());
    accept("P-384", authority().key(Key::p384()));
    accept("P-521", authority().key(Key::p521()));
    accept("Ed25519", authority().key(Key::ed25519()));
    accept("EKU clientAuth", authority().purposes(&[CLIENT_AUTH]));
    accept("EKU any", authority().purposes(&[ANY_PURPOSE]));
    accept("path length", authority().path_len(0));
    accept("constrained DNS names", authority().permit_only(2, b"plant1.example"));
    accept("unknown extension", authority().unknown_extension(false, 10));
    check("RSA 2048", &der_as_pem(include_bytes!("../fixtures/rsa-ca.der")), Ok(()));
    let root = authority().self_signed();
    check("an intermediate", &Draft::authority("issuing").signed_by(&root).pem(), Ok(()));
}

#[test]
fn certificates_that_are_no_cas_are_refused() {
    let refuse = |row, draft: Draft, reject| check(row, &draft.self_signed().pem(), Err(reject));
    refuse("row 12", authority().authority_of(Some(false), None), CaReject::NotCa);
    refuse("row 13", authority().authority_of(None, None), CaReject::NoBasicConstraints);
    refuse("row 14", authority().version_1(), CaReject::Version { version: 1 });
    refuse("row 15", authority().key_usage(0x80), CaReject::MayNotSign);
    refuse("row 16", authority().purposes(&[SERVER_AUTH]), CaReject::Purpose);
    let oid = "1.3.6.1.4.1.99999.1".to_owned();
    refuse("row 31", authority().unknown_extension(true, 1), CaReject::CriticalExtension { oid });
    let directory = Name::common("dev-1").to_der();
    refuse("row 34", authority().permit_only(4, &directory), CaReject::NameConstraint { kind: "directoryName" });
    let weak = der_as_pem(include_bytes!("../fixtures/rsa-1024-ca.der"));
    check("row 45", &weak, Err(CaReject::WeakKey { bits: 1024 }));
    check("row 14, OpenSSL", &der_as_pem(include_bytes!("../fixtures/rsa-2048-v1.der")), Err(CaReject::Version { version: 1 }));
}

#[test]
fn a_ca_outside_its_dates_is_refused() {
    let expired = authority().valid_until(-1).self_signed();
    check("row 11", &expired.pem(), Err(CaReject::Expired { not_after: after(-1) }));
    let early = authority().valid_from(1).self_signed();
    check("row 11, early", &early.pem(), Err(CaReject::NotYetValid { not_before: after(1) }));
    assert!(ca::restore(&expired.pem(), Vec::new()).is_ok(), "what was enrolled can be loaded after it expired");
}

#[test]
fn equal_subjects_are_capped() {
    let many: Vec<Made> = (0..200).map(|_| authority().self_signed()).collect();
    let mut admitted: Vec<AdmittedCa> = Vec::new();
    for ca in &many {
        match ca::admit_into(&admitted, &ca.pem(), Vec::new(), now()) {
            Ok(ca) => admitted.push(ca),
            Err(reject) => assert!(matches!(reject, CaReject::TooManyOfSubject { .. }), "row 39: {reject}"),
        }
    }
    assert_eq!(admitted.len(), ca::CAS_OF_ONE_SUBJECT_MAX, "row 39");
    let again = ca::admit_into(&admitted[..1], &many[0].pem(), Vec::new(), now());
    assert_eq!(again.map(|_| ()), Err(CaReject::Enrolled));
}

#[test]
fn one_certificate_and_nothing_else_is_read() {
    let ca = authority().self_signed();
    let pem = ca.pem();
    check("row 111, key inside", &format!("{}{pem}", ca.key.pem()), Err(CaReject::PrivateKey));
    check("row 111, two certificates", &format!("{pem}{pem}"), Err(CaReject::NotOneCertificate { count: 2 }));
    check("row 111, CRLF", &pem.replace('\n', "\r\n"), Ok(()));
    check("row 111, BOM", &format!("\u{feff}{pem}"), Ok(()));
    let comments = "# comment\n".repeat(105_000);
    check("row 111, 1 MiB", &format!("{comments}{pem}"), Err(CaReject::TooLong { bytes: comments.len() + pem.len() }));
    check("empty", "", Err(CaReject::NotOneCertificate { count: 0 }));
    check("not ended", pem.split_once("-----END").expect("an end").0, Err(CaReject::NotPem));
    let mut trailing = ca.der.to_vec();
    trailing.push(0);
    check("trailing byte", &der_as_pem(&trailing), Err(CaReject::Malformed));
}

#[test]
fn an_id_scope_is_a_list_of_beginnings_of_ids() {
    let ca = authority().self_signed();
    let scoped = enrolled(&ca, &["plant1-", "dev*"]);
    let covers = |id: &str| scoped.covers(&id.parse().expect("an id"));
    assert!(covers("plant1-7") && covers("dev*") && !covers("dev-1") && !covers("Plant1-7") && !covers("plant1"));
    for bad in ["", "plant 1", "a/b"] {
        let refused = ca::admit(&ca.pem(), vec![bad.to_owned()], now());
        assert!(matches!(refused, Err(CaReject::IdScope { .. })), "{bad:?}");
    }
}
