use std::time::Duration;

use model::event_hub::InvalidEventHubSetting;
use model::{EventHubName, EventHubRights, PolicyName, Retention, Timestamp};
use twins::{
    CreateEventHubError, CreateEventHubPolicyError, DeleteEventHubError, DeleteEventHubPolicyError, EventHubChange, NewEventHub,
    UnknownEventHub, UpdateEventHubError,
};

use crate::Home;

/// The schema as the first version made it.
const FIRST_SCHEMA: &str = include_str!("../../src/migrations/0001_initial.sql");

fn name(text: &str) -> EventHubName {
    text.parse().expect("a name")
}

fn policy(text: &str) -> PolicyName {
    text.parse().expect("a name")
}

fn new(text: &str) -> NewEventHub {
    NewEventHub::new(name(text), 4_u32.try_into().expect("a count"))
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

#[tokio::test]
async fn event_hubs_have_ids_of_their_own_and_events_is_built_in() {
    let home = Home::new();
    let twins = home.open().await;
    let created = twins.create_event_hub(new("Audit")).await.expect("created");
    assert_eq!(twins.create_event_hub(new("Audit")).await, Err(CreateEventHubError::AlreadyExists(name("Audit"))));
    twins.create_event_hub(new("audit")).await.expect("letters of different case differ");
    let twins = home.reopen(twins).await;
    let hubs = twins.event_hubs().await.expect("read");
    let names: Vec<_> = hubs.iter().map(|hub| hub.name.as_str()).collect();
    assert_eq!((names, hubs[0].partitions.get()), (vec!["events", "Audit", "audit"], 4));
    assert_eq!(hubs[1], created);
    assert_eq!((created.retention, created.message_bytes_max), (Retention { time: days(7), bytes: None }, 1024 * 1024));
    assert_ne!(hubs[1].topic_id, hubs[2].topic_id);
}

#[tokio::test]
async fn settings_are_kept_as_given_and_changed_one_by_one() {
    let home = Home::new();
    let twins = home.open().await;
    let retention = Retention { time: Duration::from_millis(90_001), bytes: Some(5 << 30) };
    let created = twins.create_event_hub(NewEventHub { retention, message_bytes_max: 2048, ..new("a") }).await.expect("created");
    let twins = home.reopen(twins).await;
    assert_eq!(twins.event_hubs().await.expect("read")[1], created);
    assert_eq!((created.retention, created.message_bytes_max), (retention, 2048));

    let a = name("a");
    let update = |change| twins.update_event_hub(&a, change);
    let change = EventHubChange { partitions: Some(created.partitions), ..EventHubChange::default() };
    assert_eq!(update(change).await, Ok(created.clone()), "nothing changes");
    let longer = update(EventHubChange { retention_time: Some(days(1)), ..EventHubChange::default() }).await.expect("changed");
    assert_eq!((longer.retention.time, longer.retention.bytes), (days(1), Some(5 << 30)));
    let unbounded = update(EventHubChange { retention_bytes: Some(None), ..EventHubChange::default() }).await.expect("changed");
    assert_eq!(unbounded.retention, Retention { time: days(1), bytes: None });
    let larger = update(EventHubChange { message_bytes_max: Some(4096), ..EventHubChange::default() }).await.expect("changed");
    assert_eq!((larger.message_bytes_max, larger.topic_id), (4096, created.topic_id));
    assert_eq!(home.reopen(twins).await.event_hubs().await.expect("read")[1], larger);
}

#[tokio::test]
async fn a_setting_that_cannot_be_is_refused_and_changes_nothing() {
    let home = Home::new();
    let twins = home.open().await;
    let short = Duration::from_secs(59);
    let created = NewEventHub { retention: Retention { time: short, bytes: None }, ..new("a") };
    let refused = Err(CreateEventHubError::Setting(InvalidEventHubSetting::RetentionTime { given: short }));
    assert_eq!(twins.create_event_hub(created).await, refused);
    let created = twins.create_event_hub(new("a")).await.expect("created");
    let a = name("a");
    let update = |change| twins.update_event_hub(&a, change);
    let eight = EventHubChange { partitions: Some(8.try_into().expect("a count")), ..EventHubChange::default() };
    assert_eq!(update(eight).await, Err(UpdateEventHubError::Partitions { name: name("a"), has: 4, wanted: 8 }));
    let small = EventHubChange { retention_time: Some(days(1)), message_bytes_max: Some(1), ..EventHubChange::default() };
    assert_eq!(update(small).await, Err(InvalidEventHubSetting::MessageBytes { given: 1 }.into()));
    let few = EventHubChange { retention_bytes: Some(Some(1)), ..EventHubChange::default() };
    assert_eq!(update(few).await, Err(InvalidEventHubSetting::RetentionBytes { given: 1 }.into()));
    let missing = twins.update_event_hub(&name("b"), EventHubChange::default()).await;
    assert_eq!(missing, Err(UnknownEventHub(name("b")).into()));
    assert_eq!(twins.event_hubs().await.expect("read")[1], created);
}

#[tokio::test]
async fn a_deleted_event_hub_leaves_its_name_and_never_its_id() {
    let home = Home::new();
    let twins = home.open().await;
    let first = twins.create_event_hub(new("a")).await.expect("created");
    twins.create_event_hub_policy(&name("a"), policy("p"), EventHubRights::SEND).await.expect("created");
    assert_eq!(twins.delete_event_hub(&name("a")).await, Ok(first.clone()));
    assert_eq!(twins.delete_event_hub(&name("a")).await, Err(UnknownEventHub(name("a")).into()));
    assert_eq!(twins.event_hub_policies().await, Ok(vec![]), "its policies went with it");
    // The id was the highest there was, and still it is not given again, after a restart neither.
    let twins = home.reopen(twins).await;
    let second = twins.create_event_hub(new("a")).await.expect("created");
    assert!(second.id > first.id && second.topic_id != first.topic_id);
    assert_eq!(twins.delete_event_hub(&name("events")).await, Err(DeleteEventHubError::BuiltIn));
    assert_eq!(twins.event_hubs().await.expect("read").len(), 2);
}

#[tokio::test]
async fn policies_belong_to_one_event_hub_and_have_keys_of_their_own() {
    let home = Home::new();
    let twins = home.open().await;
    twins.create_event_hub(new("a")).await.expect("created");
    let create = |hub: &'static str, rights| {
        let twins = twins.clone();
        async move { twins.create_event_hub_policy(&name(hub), policy("p"), rights).await }
    };
    let of_a = create("a", EventHubRights::MANAGE).await.expect("created");
    let of_events = create("events", EventHubRights::LISTEN).await.expect("the name is free in another event hub");
    assert_eq!(create("a", EventHubRights::SEND).await, Err(CreateEventHubPolicyError::AlreadyExists(name("a"), policy("p"))));
    assert_eq!(create("a", EventHubRights::NONE).await, Err(CreateEventHubPolicyError::NoRights));
    assert_eq!(create("b", EventHubRights::SEND).await, Err(UnknownEventHub(name("b")).into()));
    let keys = [&of_a.primary, &of_a.secondary, &of_events.primary, &of_events.secondary].map(|key| key.expose().to_vec());
    assert!(keys.iter().all(|key| key.len() == 32));
    assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), 4);

    let twins = home.reopen(twins.clone()).await;
    assert_eq!(twins.event_hub_policies().await, Ok(vec![of_events.clone(), of_a]));
    assert_eq!(twins.delete_event_hub_policy(&name("a"), &policy("p")).await, Ok(()));
    let again = twins.delete_event_hub_policy(&name("a"), &policy("p")).await;
    assert_eq!(again, Err(DeleteEventHubPolicyError::NotFound(name("a"), policy("p"))));
    assert_eq!(twins.event_hub_policies().await, Ok(vec![of_events]));
}

#[tokio::test]
async fn the_thirteenth_policy_is_refused() {
    let home = Home::new();
    let twins = home.open().await;
    for number in 0..12 {
        let created = twins.create_event_hub_policy(&name("events"), policy(&format!("p{number}")), EventHubRights::SEND).await;
        assert!(created.is_ok(), "{number}: {created:?}");
    }
    let refused = twins.create_event_hub_policy(&name("events"), policy("p12"), EventHubRights::SEND).await;
    assert_eq!(refused, Err(CreateEventHubPolicyError::TooMany(name("events"))));
}

/// A database that the first version made, with the bookkeeping of its one migration.
async fn first_version(home: &Home) {
    use sqlx::ConnectOptions as _;
    use sqlx::SqlSafeStr as _;
    use sqlx::migrate::{Migration, MigrationType, Migrator};

    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(home.database()).create_if_missing(true);
    let mut connection = options.connect().await.expect("a database");
    let initial = Migration::new(1, "initial".into(), MigrationType::Simple, FIRST_SCHEMA.into_sql_str(), false);
    Migrator::with_migrations(vec![initial]).run(&mut connection).await.expect("the first schema");
    let rows = "INSERT INTO event_hubs (name, partitions, created) VALUES ('events', 8, 1000), ('audit', 2, 2000), ('gone', 1, 3000); \
                DELETE FROM event_hubs WHERE name = 'gone'";
    sqlx::raw_sql(rows).execute(&mut connection).await.expect("rows");
    sqlx::Connection::close(connection).await.expect("closed");
}

#[tokio::test]
async fn event_hubs_of_the_first_version_get_the_defaults_and_lasting_topic_ids() {
    let home = Home::new();
    first_version(&home).await;
    let twins = home.open().await;
    let hubs = twins.event_hubs().await.expect("read");
    let facts: Vec<_> = hubs.iter().map(|hub| (hub.name.as_str(), hub.partitions.get(), hub.created.as_milliseconds())).collect();
    assert_eq!(facts, [("events", 8, 1000), ("audit", 2, 2000)]);
    for hub in &hubs {
        assert_eq!((hub.retention, hub.message_bytes_max), (Retention::default(), 1024 * 1024));
    }
    assert_ne!(hubs[0].topic_id, hubs[1].topic_id);
    let created = twins.create_event_hub(new("new")).await.expect("created");
    assert_eq!(created.id.0, 4, "the id of the one that was deleted is not given again");
    assert!(created.created > Timestamp::from_milliseconds(3000));
    let twins = home.reopen(twins).await;
    assert_eq!(twins.event_hubs().await.expect("read")[..2], hubs[..], "a second start migrates nothing");
}
