//! Rows R: what ends a grant that was given.

use std::sync::Arc;

use crate::support::{Hub, claim, enrolled, peer_chain, pinned, record};
use certs::judge::{Evidence, TrustedCa};
use certs::testkit::{Draft, now};
use model::api::CaState;
use model::{Credentials, Epoch, IdentityRecord};

#[test]
fn a_disabled_ca_ends_its_grants_and_gives_no_more() {
    let root = Draft::authority("root").self_signed();
    let leaf = peer_chain(&[&Draft::device("dev-1").signed_by(&root)]);
    let hub = Hub::trusting(&[&root]);
    let judge = hub.judge();
    let record = record("dev-1", Credentials::CertificateAuthority);
    let admit = || judge.admit(Evidence::Certificate(&leaf), &claim("dev-1"), Some(&record), now());
    let grant = admit().expect("a grant");
    assert!(grant.is_current(now()));

    let mut trust = judge.snapshot();
    trust.cas = vec![TrustedCa { state: CaState::Disabled, ..trust.cas[0].clone() }];
    let epoch = trust.cas[0].epoch.clone();
    judge.replace(trust);
    epoch.raise();
    assert!(!grant.is_current(now()), "row 96, CA disabled");
    // What a resumed session shows is the certificate of the first handshake: the same chain.
    assert_eq!(admit().map(|_| ()).map_err(|reject| reject.name()), Err("path_ca_disabled"), "rows 97, 98");
}

#[test]
fn a_disabled_enrolled_intermediate_ends_grants_through_it() {
    let root = Draft::authority("root").self_signed();
    let issuing = Draft::authority("issuing").signed_by(&root);
    let leaf = Draft::device("dev-1").signed_by(&issuing);
    let hub = Hub::trusting(&[&root]).and(enrolled(&issuing, &[]), CaState::Unverified);
    let grant = hub.verdict(&[&leaf, &issuing], "dev-1").expect("a grant");
    hub.trust.cas[1].epoch.raise();
    assert!(!grant.is_current(now()));
}

#[test]
fn a_changed_identity_ends_its_grants() {
    let (own, other) = (Draft::device("dev-1").self_signed(), Draft::device("dev-1").self_signed());
    let registered = record("dev-1", pinned(Some(own.sha256()), None));
    let hub = Hub::new();
    let verdict = |record: &IdentityRecord| hub.verdict_for(&[&own], record, now()).map_err(|reject| reject.name());
    let change = |row: &str, changed: IdentityRecord, reason| {
        let grant = verdict(&registered).expect("a grant");
        assert!(grant.is_current(now()), "{row}");
        registered.epoch.raise();
        assert!(!grant.is_current(now()), "{row}");
        assert_eq!(verdict(&changed).map(|_| ()), Err(reason), "{row}");
    };
    change("row 96, disabled", IdentityRecord { enabled: false, ..registered.clone() }, "identity_disabled");
    let replaced = pinned(Some(other.sha256()), None);
    change("row 96, thumbprint replaced", IdentityRecord { credentials: replaced, ..registered.clone() }, "other_thumbprint");
}

#[test]
fn a_recreated_identity_does_not_inherit_grants() {
    let own = Draft::device("dev-1").self_signed();
    let first = record("dev-1", pinned(Some(own.sha256()), None));
    let hub = Hub::new();
    let old = hub.verdict_for(&[&own], &first, now()).expect("a grant");
    first.epoch.raise();
    let second = IdentityRecord { generation: Arc::from("2"), epoch: Epoch::default(), ..first };
    let new = hub.verdict_for(&[&own], &second, now()).expect("a grant");
    assert!(!old.is_current(now()) && new.is_current(now()), "row 99");
    assert_eq!((&*old.generation, &*new.generation), ("1", "2"));
}

#[test]
fn other_changes_leave_a_grant_alone() {
    let (root, other) = (Draft::authority("root").self_signed(), Draft::authority("other").self_signed());
    let leaf = Draft::device("dev-1").signed_by(&root);
    let hub = Hub::trusting(&[&root, &other]);
    let grant = hub.verdict(&[&leaf], "dev-1").expect("a grant");
    hub.trust.cas[1].epoch.raise();
    hub.judge().replace(Hub::new().trust);
    assert!(grant.is_current(now()));
}
