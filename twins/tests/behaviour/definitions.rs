use model::api::CaState;
use model::{Policy, Rights, Secret};
use twins::{AddCaError, CaError, CreatePolicyError, NewCa, PolicyChange, StoredSubscription, SubscriptionError};

use crate::{Home, create, identity};

fn ca(thumbprint: &str) -> NewCa {
    NewCa { thumbprint: thumbprint.into(), certificate_pem: "PEM".into(), state: CaState::Unverified, id_scope: vec!["dev-".into()] }
}

#[tokio::test]
async fn certificate_authorities_are_kept_as_given() {
    let home = Home::new();
    let twins = home.open().await;
    twins.add_ca(ca("ab12")).await.expect("enrolled");
    assert_eq!(twins.add_ca(ca("AB12")).await, Err(AddCaError::AlreadyExists("AB12".into())));
    twins.set_ca_state("ab12", CaState::Enabled).await.expect("there");
    let twins = home.reopen(twins).await;
    let stored = twins.cas().await.expect("read");
    assert_eq!((stored.len(), stored[0].state, stored[0].id_scope.as_slice()), (1, CaState::Enabled, ["dev-".to_owned()].as_slice()));
    twins.delete_ca("AB12").await.expect("there");
    assert_eq!(twins.delete_ca("AB12").await, Err(CaError::NotFound("AB12".into())));
    assert_eq!(twins.set_ca_state("AB12", CaState::Enabled).await, Err(CaError::NotFound("AB12".into())));
}

#[tokio::test]
async fn a_policy_is_created_once_and_outlives_a_restart() {
    let home = Home::new();
    let twins = home.open().await;
    let policy = |key: &[u8]| Policy {
        name: "service".into(),
        primary: Secret::new(key.to_vec()),
        secondary: Secret::new(vec![2]),
        rights: Rights::SERVICE_CONNECT,
    };
    twins.create_policy(policy(b"one")).await.expect("created");
    assert_eq!(twins.create_policy(policy(b"two")).await, Err(CreatePolicyError::AlreadyExists("service".into())));
    let twins = home.reopen(twins).await;
    let stored = twins.policies().await.expect("read");
    assert_eq!((stored.len(), stored[0].primary.expose(), stored[0].rights), (1, b"one".as_slice(), Rights::SERVICE_CONNECT));
}

#[tokio::test]
async fn policies_become_what_is_given_and_others_stay() {
    let home = Home::new();
    let twins = home.open().await;
    let policy = |name: &str, primary: &[u8], rights| Policy {
        name: name.into(),
        primary: Secret::new(primary.to_vec()),
        secondary: Secret::new(vec![2]),
        rights,
    };
    let all = [
        policy("a", b"one", Rights::SERVICE_CONNECT),
        policy("b", b"one", Rights::SERVICE_CONNECT),
        policy("c", b"one", Rights::SERVICE_CONNECT),
        policy("other", b"one", Rights::SERVICE_CONNECT),
    ];
    let created = twins.set_policies(all.to_vec()).await.expect("stored");
    assert_eq!(created, [PolicyChange::Created; 4]);
    let wanted = vec![
        policy("a", b"two", Rights::SERVICE_CONNECT),
        policy("b", b"one", Rights::NONE),
        policy("c", b"one", Rights::SERVICE_CONNECT),
        policy("d", b"one", Rights::ALL),
    ];
    let changes = twins.set_policies(wanted.clone()).await.expect("stored");
    let (keys, rights) = (PolicyChange::Replaced { keys: true, rights: false }, PolicyChange::Replaced { keys: false, rights: true });
    assert_eq!(changes, [keys, rights, PolicyChange::Unchanged, PolicyChange::Created]);

    let twins = home.reopen(twins).await;
    let facts = |policies: &[Policy]| -> Vec<_> {
        policies.iter().map(|policy| (policy.name.clone(), policy.primary.expose().to_vec(), policy.rights)).collect()
    };
    let expected = [wanted.as_slice(), &all[3..]].concat();
    assert_eq!(facts(&twins.policies().await.expect("read")), facts(&expected));
    assert_eq!(twins.set_policies(wanted).await, Ok(vec![PolicyChange::Unchanged; 4]));
}

#[tokio::test]
async fn subscriptions_outlive_a_restart_until_cleared() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    let filters = |count: usize| (0..count).map(|n| StoredSubscription { filter: format!("f/{n}/#"), qos: 1 }).collect::<Vec<_>>();
    assert_eq!(twins.store_subscriptions(&identity("d"), filters(51)).await, Err(SubscriptionError::TooMany));
    assert!(twins.store_subscriptions(&identity("e"), filters(1)).await.is_err());
    twins.store_subscriptions(&identity("d"), filters(3)).await.expect("stored");
    twins.store_subscriptions(&identity("d"), filters(2)).await.expect("stored");
    let twins = home.reopen(twins).await;
    assert_eq!(twins.subscriptions(&identity("d")).await, Ok(filters(2)));
    twins.clear_subscriptions(&identity("d")).await.expect("cleared");
    assert_eq!(twins.subscriptions(&identity("d")).await, Ok(vec![]));
}

/// The size of the write-ahead log tells whether anything was written.
#[tokio::test]
async fn the_same_subscriptions_again_write_nothing() {
    let home = Home::new();
    let twins = home.open().await;
    create(&twins, "d").await;
    let filters = vec![StoredSubscription { filter: "a/#".into(), qos: 1 }];
    twins.store_subscriptions(&identity("d"), filters.clone()).await.expect("stored");
    let log = home.database().with_extension("db-wal");
    let before = std::fs::metadata(&log).expect("a log").len();
    twins.store_subscriptions(&identity("d"), filters).await.expect("stored");
    assert_eq!(std::fs::metadata(&log).expect("a log").len(), before);
    twins.store_subscriptions(&identity("d"), vec![]).await.expect("stored");
    assert!(std::fs::metadata(&log).expect("a log").len() > before, "the measure shows a write");
}
