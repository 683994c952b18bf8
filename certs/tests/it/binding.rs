//! Rows B: is that the identity claimed, by the credentials registered?

use crate::support::{Hub, after, assert_refused, claim, peer_chain, pinned, record};
use certs::judge::{ClaimedIdentity, Evidence, Kind, Scope};
use certs::testkit::{Draft, Made, now, secret};
use certs::thumbprint;
use model::{Credentials, IdentityRecord, Thumbprint};

fn keys() -> Credentials {
    Credentials::Keys { primary: secret("one"), secondary: secret("two") }
}

fn check_pinned(row: &str, chain: &[&Made], record: &IdentityRecord, reason: &str) {
    assert_refused(row, Hub::new().verdict_for(chain, record, now()), reason);
}

#[test]
fn a_leaf_serves_its_own_identity_only() {
    let root = Draft::authority("root").self_signed();
    let hub = Hub::trusting(&[&root]);
    let leaf = |name: &str| Draft::device(name).signed_by(&root);
    hub.refuses("row 76", &[&leaf("*")], "dev-1", "other_identity");
    hub.refuses("row 76", &[&leaf("dev-*")], "dev-1", "other_identity");
    hub.accepts("row 76, its own", &[&leaf("dev-*")], "dev-*");
    hub.refuses("row 79", &[&leaf("dev-1")], "dev-1/m", "other_identity");
    hub.refuses("row 80", &[&leaf("dev-1/m")], "dev-1", "other_identity");
    hub.accepts("a module's", &[&leaf("dev-1/m")], "dev-1/m");
    for row in ["row 81", "row 82", "row 83", "row 84"] {
        hub.refuses(row, &[&leaf("dev-1")], "dev-2", "other_identity");
    }
}

#[test]
fn one_kind_of_credentials_and_no_other() {
    let root = Draft::authority("root").self_signed();
    let hub = Hub::trusting(&[&root]);
    let signed = Draft::device("dev-1").signed_by(&root);
    let own = Draft::device("dev-1").self_signed();
    let by_thumbprint = record("dev-1", pinned(Some(own.sha256()), None));
    assert_refused("row 86", hub.verdict_for(&[&signed], &by_thumbprint, now()), "other_thumbprint");
    hub.refuses("row 85", &[&own], "dev-1", "path_unknown_issuer");
    assert_refused("keys", hub.verdict_for(&[&signed], &record("dev-1", keys()), now()), "wrong_proof");
    assert_refused("none", hub.verdict_for(&[&signed], &record("dev-1", Credentials::None), now()), "no_credentials");
}

#[test]
fn a_pinned_certificate_is_pinned_by_its_bytes() {
    let draft = Draft::device("dev-1");
    let (own, reissued) = (draft.clone().self_signed(), draft.serial(2).self_signed());
    let registered = record("dev-1", pinned(Some(own.sha256()), None));
    check_pinned("row 87", &[&reissued], &registered, "other_thumbprint");
    check_pinned("row 88", &[&own], &record("dev-1", pinned(None, None)), "no_thumbprint");
    assert!("".parse::<Thumbprint>().is_err(), "row 88: an empty text is refused at registration");
    let grant = Hub::new().verdict_for(&[&own], &registered, now()).expect("a grant");
    assert_eq!((grant.method.kind, grant.method.scope), (Kind::X509Thumbprint, Scope::Device));
    assert_eq!(Some(Thumbprint::Sha256(grant.leaf_sha256.expect("a hash"))), Some(own.sha256()));
}

#[test]
fn either_thumbprint_in_any_form_will_do() {
    let own = Draft::device("whatever").self_signed();
    let plain = own.sha256().to_string();
    let colons: Vec<String> = plain.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
    let sha1 = thumbprint::sha1(&own.der).to_string();
    for form in [plain.clone(), plain.to_lowercase(), colons.join(":"), sha1] {
        let thumbprint: Thumbprint = form.parse().expect("a thumbprint");
        for credentials in [pinned(Some(thumbprint), None), pinned(None, Some(thumbprint))] {
            let verdict = Hub::new().verdict_for(&[&own], &record("dev-1", credentials), now());
            assert!(verdict.is_ok(), "row 89: {form}: {verdict:?}");
        }
    }
}

#[test]
fn sha1_thumbprints_can_be_switched_off() {
    let own = Draft::device("dev-1").self_signed();
    let mut hub = Hub::new();
    hub.trust.settings.refuse_sha1_thumbprints = true;
    let sha1 = Some(thumbprint::sha1(&own.der));
    let by_sha1 = record("dev-1", pinned(sha1, None));
    assert_refused("SHA-1", hub.verdict_for(&[&own], &by_sha1, now()), "sha1_thumbprint");
    let by_both = record("dev-1", pinned(sha1, Some(own.sha256())));
    assert!(hub.verdict_for(&[&own], &by_both, now()).is_ok());
}

#[test]
fn a_pinned_certificate_keeps_its_dates_unless_switched_off() {
    let own = Draft::device("dev-1").valid_until(10).self_signed();
    let registered = record("dev-1", pinned(Some(own.sha256()), None));
    let mut hub = Hub::new();
    let grant = hub.verdict_for(&[&own], &registered, now()).expect("a grant");
    assert!(grant.is_current(after(10)) && !grant.is_current(after(11)));
    assert_refused("row 90", hub.verdict_for(&[&own], &registered, after(11)), "pinned_expired");
    let early = Draft::device("dev-1").valid_from(10).self_signed();
    check_pinned("row 90, early", &[&early], &record("dev-1", pinned(Some(early.sha256()), None)), "pinned_not_yet_valid");
    hub.trust.settings.enforce_pinned_dates = false;
    let grant = hub.verdict_for(&[&own], &registered, after(11)).expect("row 90, the setting");
    assert_eq!(grant.expires, None);
}

#[test]
fn the_claim_is_checked_before_the_proof() {
    let own = Draft::device("dev-1").self_signed();
    let chain = peer_chain(&[&own]);
    let judge = Hub::new().judge();
    let registered = record("dev-1", pinned(Some(own.sha256()), None));
    let admit = |evidence, claim: &ClaimedIdentity, record| judge.admit(evidence, claim, record, now());
    let certificate = Evidence::Certificate(&chain);
    for host in ["localhost", "LOCALHOST:8883", "hub.example:443"] {
        let claim = ClaimedIdentity { host: host.into(), ..claim("dev-1") };
        assert!(admit(certificate, &claim, Some(&registered)).is_ok(), "{host}");
    }
    for host in ["", "other", "localhost.evil", "localhost:x", "localhost:1:2"] {
        let claim = ClaimedIdentity { host: host.into(), ..claim("dev-1") };
        assert_refused(host, admit(certificate, &claim, Some(&registered)), "wrong_host");
    }
    assert_refused("unknown", admit(certificate, &claim("dev-1"), None), "unknown_identity");
    assert_refused("another's record", admit(certificate, &claim("dev-2"), Some(&registered)), "unknown_identity");
    let disabled = IdentityRecord { enabled: false, ..registered.clone() };
    assert_refused("disabled", admit(certificate, &claim("dev-1"), Some(&disabled)), "identity_disabled");
    assert_refused("nothing", admit(Evidence::Nothing, &claim("dev-1"), Some(&registered)), "no_evidence");
}
