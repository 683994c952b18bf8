use std::time::Duration;

use futures_util::FutureExt as _;
use model::{EventHubName, EventHubRights, PolicyName, Secret};
use twins::{EventHubPolicy, NewEventHub};

use super::*;
use crate::https::test_hub::TestHub;

const SEND: EventHubRights = EventHubRights::SEND;
const LISTEN: EventHubRights = EventHubRights::LISTEN;
const MANAGE: EventHubRights = EventHubRights::MANAGE;

fn name(text: &str) -> EventHubName {
    text.parse().expect("a name")
}

fn policy_name(text: &str) -> PolicyName {
    text.parse().expect("a name")
}

async fn create(hub: &TestHub, text: &str) -> Arc<EventHub> {
    let four = 4_u32.try_into().expect("a count");
    hub.hub.event_hubs.create(NewEventHub::new(name(text), four)).await.expect("created")
}

async fn create_policy(hub: &TestHub, event_hub: &str, rights: EventHubRights) -> EventHubPolicy {
    hub.hub.event_hubs.create_policy(&name(event_hub), policy_name("p"), rights).await.expect("created")
}

/// The key of every policy of a test's hub.
fn shared_key() -> String {
    Secret::new(vec![7; 32]).to_base64()
}

/// What is granted: the rights, and the only event hub they are for.
fn granted(hub: &TestHub, policy: &str, key: &str, entity_path: Option<&str>) -> Option<(EventHubRights, Option<String>)> {
    let grant = hub.hub.event_hubs.access(policy, key, entity_path)?;
    Some((grant.rights, grant.hub.map(|name| name.to_string())))
}

#[tokio::test]
async fn a_policy_of_the_hub_itself_gives_what_its_rights_stand_for() {
    let hub = TestHub::open().await;
    let key = shared_key();
    assert_eq!(granted(&hub, "owner", &key, None), Some((MANAGE, None)));
    assert_eq!(granted(&hub, "service", &key, None), Some((LISTEN, None)));
    for policy in ["reader", "writer", "device", "nobody", ""] {
        assert_eq!(granted(&hub, policy, &key, None), None, "{policy}");
    }
    assert_eq!(granted(&hub, "owner", &key, Some("events")), Some((MANAGE, Some("events".to_owned()))));
    let grant = hub.hub.event_hubs.access("service", &key, Some("events")).expect("a grant");
    assert!(grant.allows("events", LISTEN) && !grant.allows("events", SEND) && !grant.allows("other", LISTEN));
    assert_eq!(granted(&hub, "owner", &key, Some("a/b")), None, "what is no name is nobody's");
}

#[tokio::test]
async fn a_key_counts_as_the_text_it_is_shown_as_and_nothing_else_does() {
    let hub = TestHub::open().await;
    let policy = create_policy(&hub, "events", SEND).await;
    let expected = Some((SEND, Some("events".to_owned())));
    for key in [&policy.primary, &policy.secondary] {
        assert_eq!(granted(&hub, "p", &key.to_base64(), None), expected);
    }
    let key = policy.primary.to_base64();
    for wrong in [String::new(), shared_key(), key.trim_end_matches('=').to_owned(), format!("{key} "), key.to_lowercase()] {
        assert_eq!(granted(&hub, "p", &wrong, None), None, "{wrong}");
    }
    assert_eq!(granted(&hub, "P", &key, None), None, "letters of different case differ");
}

#[tokio::test]
async fn among_policies_of_one_name_the_entity_path_decides_or_else_the_key() {
    let hub = TestHub::open().await;
    create(&hub, "a").await;
    let (of_a, of_events) = (create_policy(&hub, "a", SEND).await, create_policy(&hub, "events", LISTEN).await);
    let (a, events) = (of_a.primary.to_base64(), of_events.primary.to_base64());
    assert_eq!(granted(&hub, "p", &a, None), Some((SEND, Some("a".to_owned()))));
    assert_eq!(granted(&hub, "p", &events, None), Some((LISTEN, Some("events".to_owned()))));
    assert_eq!(granted(&hub, "p", &a, Some("a")), Some((SEND, Some("a".to_owned()))));
    assert_eq!(granted(&hub, "p", &a, Some("events")), None);
    assert_eq!(granted(&hub, "p", &a, Some("none")), None);
}

#[tokio::test]
async fn a_grant_ends_with_its_policy_and_with_nothing_else() {
    let hub = TestHub::open().await;
    create(&hub, "a").await;
    let (of_a, of_events) = (create_policy(&hub, "a", SEND).await, create_policy(&hub, "events", SEND).await);
    let access = |policy: &EventHubPolicy| hub.hub.event_hubs.access("p", &policy.primary.to_base64(), None).expect("a grant");
    let (by_a, by_events) = (access(&of_a), access(&of_events));
    let by_owner = hub.hub.event_hubs.access("owner", &shared_key(), None).expect("a grant");
    hub.hub.reload_trust().await.expect("trust");
    create(&hub, "b").await;
    assert!(by_a.is_current() && by_events.is_current() && by_owner.is_current());

    let mut idle = Box::pin(by_events.ended());
    assert!(idle.as_mut().now_or_never().is_none());
    hub.hub.event_hubs.delete_policy(&name("events"), &policy_name("p")).await.expect("deleted");
    tokio::time::timeout(Duration::from_secs(10), idle).await.expect("an idle connection is told");
    assert!(!by_events.is_current() && by_a.is_current() && by_owner.is_current());

    hub.hub.event_hubs.delete(&name("a")).await.expect("deleted");
    assert!(!by_a.is_current() && by_owner.is_current());
    assert!(hub.hub.event_hubs.access("p", &of_a.primary.to_base64(), None).is_none());
}

#[tokio::test]
async fn an_event_hub_is_found_by_name_and_topic_id_until_it_is_deleted() {
    let hub = TestHub::open().await;
    let event_hubs = &hub.hub.event_hubs;
    let first = create(&hub, "a").await;
    assert_eq!(event_hubs.get("a"), Some(Arc::clone(&first)));
    assert_eq!(event_hubs.with_topic_id(&first.topic_id), Some(Arc::clone(&first)));
    assert_eq!(event_hubs.get("A"), None);
    event_hubs.delete(&name("a")).await.expect("deleted");
    assert_eq!((event_hubs.get("a"), event_hubs.with_topic_id(&first.topic_id)), (None, None));
    let second = create(&hub, "a").await;
    assert!(second.topic_id != first.topic_id && second.id != first.id);
    let hub = hub.reopened(|_| ()).await;
    assert_eq!(hub.hub.event_hubs.get("a"), Some(second));
}

#[tokio::test]
async fn an_event_hub_the_log_has_no_room_for_is_not_created() {
    let hub = TestHub::open().await;
    let many = |text: &str| NewEventHub::new(name(text), 1024_u32.try_into().expect("a count"));
    let refused = loop {
        // A segment of the test's size holds the positions of some ten thousand partitions.
        let number = hub.hub.event_hubs.list().len();
        assert!(number < 64, "the log takes any number of partitions");
        if let Err(error) = hub.hub.event_hubs.create(many(&format!("hub-{number}"))).await {
            break error;
        }
    };
    assert!(matches!(refused, DefineEventHubError::Log(DefineError::TooManyPartitions { .. })), "{refused:?}");
    let number = hub.hub.event_hubs.list().len();
    let hub = hub.reopened(|_| ()).await;
    assert_eq!(hub.hub.event_hubs.list().len(), number, "it left nothing that would stand in the way of a start");
}

#[tokio::test]
async fn turns_go_round_the_partitions_of_each_event_hub() {
    let hub = TestHub::open().await;
    let (a, b) = (create(&hub, "a").await, create(&hub, "b").await);
    let event_hubs = &hub.hub.event_hubs;
    let turns: Vec<_> = (0..6).map(|_| (event_hubs.next_partition(&a).0, event_hubs.next_partition(&b).0)).collect();
    assert_eq!(turns, [(0, 0), (1, 1), (2, 2), (3, 3), (0, 0), (1, 1)]);
    create(&hub, "c").await;
    assert_eq!(event_hubs.next_partition(&a).0, 2, "a change of others does not begin again");
}

fn wanted(text: &str) -> ConfiguredEventHub {
    let name = name(text);
    ConfiguredEventHub { name, partitions: None, retention_time: None, retention_bytes: None, message_bytes_max: None }
}

#[tokio::test]
async fn a_configured_event_hub_is_created_and_its_settings_are_in_force() {
    let hub = TestHub::open().await;
    let event_hubs = &hub.hub.event_hubs;
    let two = Some(2_u32.try_into().expect("a count"));
    let day = Duration::from_secs(24 * 3600);
    ensure(event_hubs, ConfiguredEventHub { partitions: two, retention_time: Some(day), ..wanted("a") }).await.expect("created");
    let created = event_hubs.get("a").expect("there");
    assert_eq!((created.partitions.get(), created.retention.time, created.retention.bytes), (2, day, None));

    ensure(event_hubs, ConfiguredEventHub { retention_bytes: Some(5 << 20), ..wanted("a") }).await.expect("changed");
    ensure(event_hubs, wanted("a")).await.expect("as it is");
    let changed = event_hubs.get("a").expect("there");
    assert_eq!((changed.retention.time, changed.retention.bytes, changed.id), (day, Some(5 << 20), created.id));

    let eight = ConfiguredEventHub { partitions: Some(8_u32.try_into().expect("a count")), ..wanted("a") };
    let refused = ensure(event_hubs, eight).await.expect_err("other partitions").to_string();
    assert!(refused.contains("has 2 partitions") && refused.contains("cannot have 8"), "{refused}");
    ensure(event_hubs, ConfiguredEventHub { retention_time: Some(day), ..wanted("events") }).await.expect("changed");
    assert_eq!(event_hubs.get("events").expect("there").retention.time, day);
}
