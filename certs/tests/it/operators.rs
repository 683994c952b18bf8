//! Operators at the judge: policies and pinned certificates.

use crate::support::{Hub, after, assert_refused, peer_chain};
use certs::judge::{AuthReject, Evidence, OperatorGrant, PinnedOperator};
use certs::testkit::{Draft, now, secret};
use certs::{thumbprint, token};
use model::{Epoch, Policy, Rights};

fn hub() -> Hub {
    let mut hub = Hub::new();
    let policy = Policy { name: "iothubowner".into(), primary: secret("p1"), secondary: secret("p2"), rights: Rights::ALL };
    hub.trust.policies = vec![(policy, Epoch::default())];
    hub
}

fn ask(hub: &Hub, signed_for: &str, key: &str, policy: Option<&str>, resource: &str) -> Result<OperatorGrant, AuthReject> {
    let token = token::sign(signed_for, &secret(key), after(3600), policy);
    hub.judge().admit_operator(Evidence::Token(&token), resource, now())
}

#[test]
fn a_policys_token_opens_what_it_covers() {
    let hub = hub();
    let owner = Some("iothubowner");
    for signed_for in ["localhost", "localhost/devices", "localhost:8443/devices/a%b"] {
        let grant = ask(&hub, signed_for, "p2", owner, "127.0.0.1:8443/devices/a%25b?api-version=1").expect("a grant");
        assert_eq!((grant.name.as_str(), grant.rights), ("iothubowner", Rights::ALL));
        assert!(grant.is_current(now()) && !grant.is_current(after(3600)));
    }
    assert_refused("path", ask(&hub, "localhost/twins", "p1", owner, "localhost/devices/d"), "token_other_resource");
    assert_refused("path", ask(&hub, "localhost/devices/d", "p1", owner, "localhost/devices"), "token_other_resource");
    assert_refused("host", ask(&hub, "other", "p1", owner, "localhost/devices"), "token_other_host");
    assert_refused("key", ask(&hub, "localhost", "one", owner, "localhost/devices"), "token_signature");
    assert_refused("policy", ask(&hub, "localhost", "p1", None, "localhost/devices"), "token_no_policy");
    let grant = ask(&hub, "localhost", "p1", owner, "localhost").expect("a grant");
    hub.trust.policies[0].1.raise();
    assert!(!grant.is_current(now()));
}

#[test]
fn an_operators_certificate_is_pinned_and_under_no_ca() {
    let root = Draft::authority("root").self_signed();
    let (pinned, other) = (Draft::device("op").self_signed(), Draft::device("op").signed_by(&root));
    let mut hub = Hub::trusting(&[&root]);
    let operator = |name: &str, thumbprint| PinnedOperator { name: name.into(), thumbprint, rights: Rights::REGISTRY_READ };
    hub.trust.operators = vec![operator("weak", thumbprint::sha1(&other.der)), operator("alice", pinned.sha256())];
    let ask = |chain, at| hub.judge().admit_operator(Evidence::Certificate(&peer_chain(&[chain])), "localhost/devices", at);
    let grant = ask(&pinned, now()).expect("a grant");
    assert_eq!((grant.name.as_str(), grant.rights), ("alice", Rights::REGISTRY_READ));
    assert_refused("the device CA vouches for no operator", ask(&other, now()), "unknown_operator");
    assert_refused("expired", ask(&pinned, after(400 * 86400)), "pinned_expired");
    assert_refused("nothing", hub.judge().admit_operator(Evidence::Nothing, "localhost", now()), "no_evidence");
}
