//! Rows P: does an enabled CA stand behind the leaf?

use crate::support::{Hub, after, assert_refused, enrolled, record};
use certs::judge::{AuthReject, PathReject};
use certs::testkit::{ANY_PURPOSE, Draft, Key, Made, SERVER_AUTH, now};
use model::Credentials;
use model::api::CaState;

fn root() -> Made {
    Draft::authority("root").self_signed()
}

fn leaf() -> Draft {
    Draft::device("dev-1")
}

fn fixture(der: &[u8]) -> Made {
    root().with_der(der.to_vec())
}

#[test]
fn the_issuer_must_be_an_enrolled_ca() {
    let (ours, other) = (root(), Draft::authority("other").self_signed());
    let intermediate = Draft::authority("issuing").signed_by(&ours);
    let hub = Hub::trusting(&[&ours]);
    hub.accepts("right", &[&leaf().signed_by(&ours)], "dev-1");
    hub.refuses("row 1", &[&leaf().signed_by(&other)], "dev-1", "path_unknown_issuer");
    hub.refuses("row 2", &[&leaf().forged(&ours, &Key::p256())], "dev-1", "path_issuer_key_mismatch");
    hub.refuses("row 2, no key ids", &[&leaf().without_key_ids().forged(&ours, &Key::p256())], "dev-1", "path_signature");
    hub.refuses("row 3", &[&leaf().signed_by(&intermediate)], "dev-1", "path_unknown_issuer");
    hub.refuses("row 85", &[&leaf().self_signed()], "dev-1", "path_unknown_issuer");
    hub.refuses("row 94", &[&leaf().signed_by(&other), &other], "dev-1", "path_unknown_issuer");
    Hub::trusting(&[&other]).refuses("row 95", &[&leaf().signed_by(&ours), &ours], "dev-1", "path_unknown_issuer");
}

#[test]
fn order_duplicates_and_roots_sent_along_do_not_matter() {
    let root = root();
    let upper = Draft::authority("upper").signed_by(&root);
    let lower = Draft::authority("lower").signed_by(&upper);
    let leaf = leaf().signed_by(&lower);
    Hub::trusting(&[&upper]).accepts("row 4", &[&leaf, &lower], "dev-1");
    let hub = Hub::trusting(&[&root]);
    hub.accepts("row 5, in order", &[&leaf, &lower, &upper], "dev-1");
    hub.accepts("row 5, shuffled", &[&leaf, &upper, &lower], "dev-1");
    hub.accepts("row 5, root and duplicates", &[&leaf, &root, &upper, &leaf, &upper, &lower, &root], "dev-1");
}

#[test]
fn dates_count_to_the_second() {
    let root = root();
    let hub = Hub::trusting(&[&root]);
    let refuse = |row, draft: Draft, reason| hub.refuses(row, &[&draft.signed_by(&root)], "dev-1", reason);
    refuse("row 6", leaf().valid_until(-1), "path_leaf_expired");
    refuse("row 7", leaf().valid_from(1), "path_leaf_not_yet_valid");
    refuse("row 8", leaf().valid_from(10).valid_until(-10), "path_dates_reversed");
    hub.accepts("row 6, its last second", &[&leaf().valid_until(0).signed_by(&root)], "dev-1");
    hub.accepts("row 7, its first second", &[&leaf().valid_from(0).signed_by(&root)], "dev-1");
    let expired = Draft::authority("issuing").valid_until(-1).signed_by(&root);
    hub.refuses("row 9", &[&leaf().signed_by(&expired), &expired], "dev-1", "path_issuer_expired");
    let early = Draft::authority("issuing").valid_from(1).signed_by(&root);
    hub.refuses("row 9, early", &[&leaf().signed_by(&early), &early], "dev-1", "path_issuer_not_yet_valid");
}

#[test]
fn a_ca_that_expired_after_it_was_enrolled_is_no_anchor() {
    let old = Draft::authority("root").valid_until(-1);
    let renewed = old.clone().valid_until(1000).self_signed();
    let old = old.self_signed();
    let leaf = leaf().signed_by(&old);
    Hub::trusting(&[&old]).refuses("row 10", &[&leaf], "dev-1", "path_anchor_expired");
    Hub::trusting(&[&old, &renewed]).accepts("row 10, renewed with its key", &[&leaf], "dev-1");
    let early = Draft::authority("root").valid_from(1).self_signed();
    Hub::trusting(&[&early]).refuses("row 10, early", &[&Draft::device("dev-1").signed_by(&early)], "dev-1", "path_anchor_not_yet_valid");
}

#[test]
fn path_lengths_are_kept() {
    let root = Draft::authority("root").path_len(0).self_signed();
    let issuing = Draft::authority("issuing").signed_by(&root);
    let hub = Hub::trusting(&[&root]);
    hub.accepts("path length 0 and no intermediate", &[&leaf().signed_by(&root)], "dev-1");
    hub.refuses("row 17", &[&leaf().signed_by(&issuing), &issuing], "dev-1", "path_anchor_path_length");

    let root = self::root();
    let upper = Draft::authority("upper").path_len(0).signed_by(&root);
    let lower = Draft::authority("lower").signed_by(&upper);
    let hub = Hub::trusting(&[&root]);
    hub.refuses("row 18", &[&leaf().signed_by(&lower), &lower, &upper], "dev-1", "path_length");
}

#[test]
fn only_cas_issue() {
    let root = root();
    let hub = Hub::trusting(&[&root]);
    let refuse = |row, draft: Draft, reason| {
        let issuing = draft.signed_by(&root);
        hub.refuses(row, &[&leaf().signed_by(&issuing), &issuing], "dev-1", reason);
    };
    refuse("row 19", Draft::authority("issuing").authority_of(Some(false), None), "path_issuer_not_ca");
    refuse("row 20", Draft::device("dev-2"), "path_issuer_not_ca");
    refuse("row 21", Draft::authority("issuing").key_usage(0x80), "path_issuer_may_not_sign");
    refuse("row 22", Draft::authority("issuing").purposes(&[SERVER_AUTH]), "path_issuer_purpose");
}

#[test]
fn the_leaf_must_be_a_clients() {
    let root = root();
    let hub = Hub::trusting(&[&root]);
    let refuse = |row, draft: Draft, reason| hub.refuses(row, &[&draft.signed_by(&root)], "dev-1", reason);
    refuse("row 23", leaf().purposes(&[SERVER_AUTH]), "path_leaf_purpose");
    refuse("row 24", leaf().purposes(&[ANY_PURPOSE]), "path_leaf_purpose");
    refuse("row 25", leaf().purposes(&[]), "path_empty_purpose");
    hub.accepts("row 26", &[&leaf().without_purposes().signed_by(&root)], "dev-1");
    refuse("row 27", leaf().authority_of(Some(true), None), "path_leaf_is_ca");
    refuse("row 30", leaf().unknown_extension(true, 1), "path_critical_extension");
    refuse("v1", leaf().version_1(), "path_version");
}

#[test]
fn name_constraints_bind_alternative_names() {
    let root = Draft::authority("root").permit_only(2, b"plant1.example").self_signed();
    let hub = Hub::trusting(&[&root]);
    hub.refuses("row 32", &[&leaf().dns_name("evil.other").signed_by(&root)], "dev-1", "path_name_constraint");
    hub.accepts("row 32, inside", &[&leaf().dns_name("a.plant1.example").signed_by(&root)], "dev-1");
}

#[test]
fn long_paths_are_not_followed() {
    let root = root();
    let mut chain: Vec<Made> = Vec::new();
    for depth in 0..7 {
        let issuer = chain.last().unwrap_or(&root);
        chain.push(Draft::authority(&format!("issuing {depth}")).signed_by(issuer));
    }
    let check = |count: usize| {
        let leaf = leaf().signed_by(&chain[count - 1]);
        let sent: Vec<&Made> = std::iter::once(&leaf).chain(&chain[..count]).collect();
        Hub::trusting(&[&root]).verdict(&sent, "dev-1").map(|_| ())
    };
    assert_eq!(check(6), Ok(()));
    assert_eq!(check(7), Err(AuthReject::Path(PathReject::TooManyIntermediates)), "row 35");
}

/// The refusal names the count of subjects, which is known before any signature is checked;
/// chains of 60 do not get past the handshake (`possession`).
#[test]
fn many_keys_of_one_subject_are_refused_before_a_path_is_built() {
    let root = root();
    let same: Vec<Made> = (0..7).map(|_| Draft::authority("issuing").without_key_ids().signed_by(&root)).collect();
    let leaf = leaf().without_key_ids().signed_by(&same[6]);
    let check = |count: usize| {
        let sent: Vec<&Made> = std::iter::once(&leaf).chain(same.iter().rev().take(count)).collect();
        Hub::trusting(&[&root]).verdict(&sent, "dev-1").map(|_| ())
    };
    assert_eq!(check(2), Ok(()), "an old and a new intermediate side by side");
    assert_eq!(check(7), Err(AuthReject::Path(PathReject::SubjectRepeated { count: 7 })), "row 40");
    // Even where nothing would verify at all.
    let forged: Vec<Made> = (0..7).map(|_| Draft::authority("issuing").forged(&root, &Key::p256())).collect();
    let sent: Vec<&Made> = std::iter::once(&leaf).chain(&forged).collect();
    Hub::new().refuses("row 40, forged", &sent, "dev-1", "path_subject_repeated");
}

/// Eight CAs of one subject without key ids is the most that admission lets in; the right one
/// being the last still is found well within the library's budget of 100 signature checks.
#[test]
fn cas_of_one_subject_do_not_exhaust_the_budget() {
    let cas: Vec<Made> = (0..8).map(|_| Draft::authority("root").without_key_ids().self_signed()).collect();
    let hub = Hub::trusting(&cas.iter().collect::<Vec<_>>());
    hub.accepts("row 39", &[&leaf().signed_by(&cas[7])], "dev-1");
    hub.refuses("row 39, none", &[&leaf().forged(&cas[0], &Key::p256())], "dev-1", "path_signature");
}

#[test]
fn cas_that_signed_each_other_end_the_search() {
    let a = Draft::authority("A").self_signed();
    let b = Draft::authority("B").self_signed();
    let a_by_b = Draft::authority("A").key(a.key.clone()).signed_by(&b);
    let b_by_a = Draft::authority("B").key(b.key.clone()).signed_by(&a);
    let leaf = leaf().signed_by(&a);
    Hub::new().refuses("row 41", &[&leaf, &a_by_b, &b_by_a], "dev-1", "path_unknown_issuer");
    Hub::trusting(&[&b]).accepts("row 41, one of them enrolled", &[&leaf, &a_by_b, &b_by_a], "dev-1");
}

#[test]
fn weak_signatures_do_not_count() {
    let hub = Hub::trusting(&[&fixture(include_bytes!("../fixtures/rsa-ca.der"))]);
    let leaf = |der: &[u8]| fixture(der);
    hub.refuses("row 42", &[&leaf(include_bytes!("../fixtures/rsa-ca-leaf-md5.der"))], "dev-1", "path_signature_algorithm");
    hub.refuses("row 43", &[&leaf(include_bytes!("../fixtures/rsa-ca-leaf-sha1.der"))], "dev-1", "path_signature_algorithm");
    hub.accepts("SHA-256", &[&leaf(include_bytes!("../fixtures/rsa-ca-leaf-sha256.der"))], "dev-1");
}

#[test]
fn every_common_kind_of_key_is_accepted() {
    let root = root();
    let hub = Hub::trusting(&[&root]);
    hub.accepts("row 46", &[&leaf().key(Key::p384()).signed_by(&root)], "dev-1");
    hub.accepts("row 47", &[&leaf().key(Key::ed25519()).signed_by(&root)], "dev-1");
    hub.accepts("row 48", &[&leaf().key(Key::p521()).signed_by(&root)], "dev-1");
    for key in [Key::p384(), Key::p521(), Key::ed25519()] {
        let root = Draft::authority("root").key(key).self_signed();
        Hub::trusting(&[&root]).accepts("rows 46 to 48, the CA's", &[&leaf().signed_by(&root)], "dev-1");
    }
}

#[test]
fn a_changed_certificate_does_not_verify() {
    let root = root();
    let hub = Hub::trusting(&[&root]);
    let good = leaf().signed_by(&root);
    let other_algorithm = leaf().claim_algorithm("1.2.840.10045.4.3.3").signed_by(&root);
    hub.refuses("row 50", &[&other_algorithm], "dev-1", "path_algorithm_mismatch");
    let mut signature = good.der.to_vec();
    *signature.last_mut().expect("bytes") ^= 1;
    hub.refuses("row 51", &[&good.with_der(signature)], "dev-1", "path_signature");
    let mut body = good.der.to_vec();
    let name = body.windows(5).position(|bytes| bytes == b"dev-1").expect("the name");
    body[name + 4] = b'2';
    hub.refuses("row 52", &[&good.with_der(body)], "dev-2", "path_signature");
}

#[test]
fn only_an_enabled_ca_is_an_anchor() {
    let root = root();
    let issuing = Draft::authority("issuing").signed_by(&root);
    let direct = leaf().signed_by(&root);
    let through = leaf().signed_by(&issuing);
    let with = |ca: &Made, state| Hub::new().and(enrolled(ca, &[]), state);
    with(&root, CaState::Unverified).refuses("row 92", &[&direct], "dev-1", "path_ca_unverified");
    with(&root, CaState::Disabled).refuses("row 93", &[&direct], "dev-1", "path_ca_disabled");
    let root_enabled = |state| with(&root, CaState::Enabled).and(enrolled(&issuing, &[]), state);
    root_enabled(CaState::Disabled).refuses("row 93, an intermediate", &[&through, &issuing], "dev-1", "path_ca_disabled");
    root_enabled(CaState::Unverified).accepts("an unverified CA adds and takes nothing", &[&through, &issuing], "dev-1");
    // The same key under another name is still the disabled CA.
    let renamed = Draft::authority("renamed").key(issuing.key.clone()).signed_by(&root);
    let leaf = leaf().signed_by(&renamed);
    root_enabled(CaState::Disabled).refuses("row 93, renamed", &[&leaf, &renamed], "dev-1", "path_ca_disabled");
}

#[test]
fn a_grant_ends_with_the_first_certificate_of_its_path() {
    let root = root();
    let issuing = Draft::authority("issuing").valid_until(50).signed_by(&root);
    let leaf = leaf().valid_until(100).signed_by(&issuing);
    let hub = Hub::trusting(&[&root]);
    let record = record("dev-1", Credentials::CertificateAuthority);
    let grant = hub.verdict_for(&[&leaf, &issuing], &record, now()).expect("a grant");
    assert!(grant.is_current(after(50)));
    assert!(!grant.is_current(after(51)));
    assert_refused("then", hub.verdict_for(&[&leaf, &issuing], &record, after(51)), "path_issuer_expired");
}
