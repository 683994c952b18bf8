//! Tokens of devices and modules at the judge.

use crate::support::{Hub, after, assert_refused, claim, pinned, record};
use certs::judge::{AuthGrant, AuthReject, Evidence, Kind, Scope};
use certs::testkit::{now, secret};
use certs::token::sign;
use model::{Credentials, Epoch, IdentityRecord, Policy, Rights, Timestamp};
use std::time::Duration;

fn hub() -> Hub {
    let mut hub = Hub::new();
    let policy = |name: &str, rights| Policy { name: name.into(), primary: secret("p1"), secondary: secret("p2"), rights };
    hub.trust.policies =
        vec![(policy("device", Rights::DEVICE_CONNECT), Epoch::default()), (policy("service", Rights::SERVICE_CONNECT), Epoch::default())];
    hub
}

fn keyed(identity: &str) -> IdentityRecord {
    record(identity, Credentials::Keys { primary: secret("one"), secondary: secret("two") })
}

fn admit(hub: &Hub, token: &str, record: &IdentityRecord, now: Timestamp) -> Result<AuthGrant, AuthReject> {
    hub.judge().admit(Evidence::Token(token), &claim(&record.identity.to_string()), Some(record), now)
}

fn accept(resource: &str, key: &str, policy: Option<&str>, identity: &str) -> AuthGrant {
    let token = sign(resource, &secret(key), after(3600), policy);
    admit(&hub(), &token, &keyed(identity), now()).unwrap_or_else(|reject| panic!("{token}: {reject}"))
}

fn refuse(resource: &str, key: &str, policy: Option<&str>, identity: &str, reason: &str) {
    let token = sign(resource, &secret(key), after(3600), policy);
    assert_refused(&token, admit(&hub(), &token, &keyed(identity), now()), reason);
}

#[test]
fn either_key_of_the_identity_will_do() {
    for key in ["one", "two"] {
        let grant = accept("localhost/devices/dev-1", key, None, "dev-1");
        assert_eq!((grant.method.scope, grant.method.kind, grant.expires), (Scope::Device, Kind::Sas, Some(after(3600))));
        assert_eq!(grant.auth_method_json(), r#"{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}"#);
    }
    assert_eq!(accept("LOCALHOST:21010/devices/dev-1/modules/m", "one", None, "dev-1/m").method.scope, Scope::Module);
    accept("localhost/devices/dev-1/api-version=2013-08-28", "one", None, "dev-1");
    refuse("localhost/devices/dev-1", "three", None, "dev-1", "token_signature");
    refuse("localhost/devices/dev-1", "", None, "dev-1", "token_signature");
}

#[test]
fn an_empty_key_signs_nothing() {
    let empty = record("dev-1", Credentials::Keys { primary: secret(""), secondary: secret("") });
    let token = sign("localhost/devices/dev-1", &secret(""), after(3600), None);
    assert_refused("empty key", admit(&hub(), &token, &empty, now()), "token_signature");
}

#[test]
fn an_own_token_names_exactly_its_identity() {
    for resource in ["localhost", "localhost/devices", "localhost/devices/dev-10", "localhost/devices/dev-1/messages/events"] {
        refuse(resource, "one", None, "dev-1", "token_other_resource");
    }
    refuse("localhost/devices/DEV-1", "one", None, "dev-1", "token_other_resource");
    refuse("localhost/devices/dev-1", "one", None, "dev-1/m", "token_other_resource");
    refuse("localhost/devices/dev-1/modules/m", "one", None, "dev-1", "token_other_resource");
    refuse("elsewhere/devices/dev-1", "one", None, "dev-1", "token_other_host");
}

#[test]
fn a_policy_serves_what_its_resource_covers() {
    for resource in ["localhost", "localhost/devices", "localhost/devices/dev-1", "Hub.Example:443/devices/dev-1"] {
        for key in ["p1", "p2"] {
            assert_eq!(accept(resource, key, Some("device"), "dev-1").method.scope, Scope::Hub);
        }
    }
    accept("localhost/devices/dev-1", "p1", Some("device"), "dev-1/m");
    refuse("localhost/devices/dev-10", "p1", Some("device"), "dev-1", "token_other_resource");
    refuse("localhost/devices/de", "p1", Some("device"), "dev-1", "token_other_resource");
    refuse("localhost", "p1", Some("service"), "dev-1", "policy_rights");
    refuse("localhost", "p1", Some("nobody"), "dev-1", "token_unknown_policy");
    refuse("localhost", "one", Some("device"), "dev-1", "token_signature");
    refuse("localhost/devices/dev-1", "p1", None, "dev-1", "token_signature");
}

#[test]
fn a_token_ends_at_its_second() {
    let token = sign("localhost/devices/dev-1", &secret("one"), after(10), None);
    let grant = admit(&hub(), &token, &keyed("dev-1"), after(9)).expect("a grant");
    assert!(grant.is_current(after(9)) && !grant.is_current(after(10)));
    assert_refused("expired", admit(&hub(), &token, &keyed("dev-1"), after(10)), "token_expired");
    let mut lenient = hub();
    lenient.trust.settings.clock_skew = Duration::from_secs(5);
    assert!(admit(&lenient, &token, &keyed("dev-1"), after(14)).is_ok());
    assert_refused("expired", admit(&lenient, &token, &keyed("dev-1"), after(15)), "token_expired");
}

#[test]
fn identities_with_certificates_do_not_fall_back_to_tokens() {
    let token = sign("localhost/devices/dev-1", &secret("one"), after(10), None);
    for credentials in [Credentials::CertificateAuthority, pinned(None, None)] {
        assert_refused("wrong proof", admit(&hub(), &token, &record("dev-1", credentials), now()), "wrong_proof");
    }
    assert_refused("none", admit(&hub(), &token, &record("dev-1", Credentials::None), now()), "no_credentials");
}

#[test]
fn a_changed_policy_ends_its_grants() {
    let hub = hub();
    let token = sign("localhost", &secret("p1"), after(3600), Some("device"));
    let grant = admit(&hub, &token, &keyed("dev-1"), now()).expect("a grant");
    hub.trust.policies[0].1.raise();
    assert!(!grant.is_current(now()));
}
