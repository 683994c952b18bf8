use kafka_proto::group::{MemberId, Protocol};
use model::{PartitionId, SequenceNumber};
use twins::NewEventHub;

use super::*;
use crate::https::test_hub::TestHub;

const NOBODY: Caller<'_> = Caller { member_id: "", instance_id: None, generation: -1 };

fn group(name: &str) -> GroupId {
    GroupId::new(name).expect("a group id")
}

fn events(hub: &TestHub) -> model::EventHubId {
    hub.hub.event_hubs.get("events").expect("the built-in event hub").id
}

fn at(hub: model::EventHubId, partition: u32, offset: i64) -> NewOffset {
    let (partition, offset) = (PartitionId(partition), SequenceNumber(offset));
    NewOffset { hub, partition, offset, leader_epoch: 3, metadata: "note".into() }
}

fn committed(hub: &TestHub, name: &str) -> Vec<(u32, i64)> {
    hub.hub.groups.offsets(&group(name)).into_iter().map(|(key, committed)| (key.partition.0, committed.offset.0)).collect()
}

fn join_request(client: &str, member_id: MemberId) -> JoinRequest {
    JoinRequest {
        member_id,
        instance_id: None,
        client_id: client.into(),
        client_host: "127.0.0.1".into(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: bytes::Bytes::new() }],
        knows_member_id_required: false,
        can_skip_assignment: false,
        unique: client.to_owned(),
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart_and_the_last_counts() {
    let hub = TestHub::open().await;
    let (events, groups) = (events(&hub), hub.hub.groups.clone());
    groups.commit(&group("g"), &NOBODY, vec![at(events, 0, 5), at(events, 1, 7)]).await.expect("committed");
    groups.commit(&group("g"), &NOBODY, vec![at(events, 0, 4)]).await.expect("committed");
    groups.commit(&group("gone"), &NOBODY, vec![at(events, 0, 1)]).await.expect("committed");
    groups.delete(&group("gone")).await.expect("deleted");
    groups.delete_offsets(&group("g"), vec![(events, PartitionId(1))]).await.expect("deleted");
    assert_eq!(committed(&hub, "g"), [(0, 4)]);
    drop(groups);
    let hub = hub.reopened(|_| ()).await;
    assert_eq!((committed(&hub, "g"), committed(&hub, "gone")), (vec![(0, 4)], vec![]));
    let stored = hub.hub.groups.offset(&group("g"), events, PartitionId(0)).expect("an offset");
    assert_eq!((stored.leader_epoch, &*stored.metadata, stored.time), (3, "note", hub.clock.now()));
    let deleted = hub.hub.groups.delete(&group("gone")).await;
    assert!(matches!(deleted, Err(CommitError::Group(GroupError::GroupIdNotFound))), "{deleted:?}");
}

#[tokio::test]
async fn producer_ids_are_never_given_twice() {
    let mut hub = TestHub::open().await;
    let mut last = -1;
    for _ in 0..3 {
        for _ in 0..1001 {
            let id = hub.hub.groups.next_producer_id().await.expect("an id");
            assert!(id > last, "{id} after {last}");
            last = id;
        }
        hub = hub.reopened(|_| ()).await;
    }
}

#[tokio::test]
async fn a_copy_of_the_state_stands_for_all_that_lies_before_it() {
    let hub = TestHub::open().await;
    let (events, groups) = (events(&hub), hub.hub.groups.clone());
    for number in 0..300_i64 {
        let name = group(&format!("group {}", number % 100));
        groups.commit(&name, &NOBODY, vec![at(events, (number % 3) as u32, number)]).await.expect("committed");
    }
    let id = groups.next_producer_id().await.expect("an id");
    let all = |hub: &TestHub| -> Vec<_> { (0..100).map(|number| committed(hub, &format!("group {number}"))).collect() };
    let before = all(&hub);
    let beside = async {
        for number in 300..400 {
            groups.commit(&group("beside"), &NOBODY, vec![at(events, 0, number)]).await.expect("committed");
        }
    };
    let (compacted, ()) = tokio::join!(groups.inner.store.compact(), beside);
    compacted.expect("compacted");
    drop(groups);
    let hub = hub.reopened(|_| ()).await;
    assert_eq!(all(&hub), before);
    assert_eq!(committed(&hub, "beside"), [(0, 399)]);
    assert!(hub.hub.groups.next_producer_id().await.expect("an id") > id);
}

#[tokio::test]
async fn the_internal_event_hub_is_shortened_by_itself() {
    let hub = TestHub::open().await;
    let (events, groups) = (events(&hub), hub.hub.groups.clone());
    let note = "n".repeat(OFFSET_METADATA_BYTES_MAX);
    let internal = || groups.inner.log.partition(INTERNAL, store::PARTITION).expect("defined");
    let mut number = 0;
    while internal().first == SequenceNumber::FIRST {
        number += 1;
        assert!(number < 200, "40 MiB were written, and nothing was released");
        let commit = |name: u32| {
            let offsets = (0..4).map(|partition| NewOffset { metadata: note.as_str().into(), ..at(events, partition, number) });
            let (groups, name, offsets) = (&groups, group(&format!("group {name}")), offsets.collect());
            async move { groups.commit(&name, &NOBODY, offsets).await }
        };
        for committed in futures_util::future::join_all((0..50).map(commit)).await {
            committed.expect("committed");
        }
    }
    drop(groups);
    let hub = hub.reopened(|_| ()).await;
    for name in 0..50 {
        assert_eq!(committed(&hub, &format!("group {name}")), [0, 1, 2, 3].map(|partition| (partition, number)));
    }
}

#[tokio::test]
async fn members_join_sync_and_commit_and_only_they_do() {
    let hub = TestHub::open().await;
    let (events, groups, g) = (events(&hub), hub.hub.groups.clone(), group("g"));
    let (a, b) =
        tokio::join!(groups.join(&g, join_request("a", MemberId::unknown())), groups.join(&g, join_request("b", MemberId::unknown())));
    let (a, b) = (a.expect("joined"), b.expect("joined"));
    assert_eq!((a.generation, b.generation, a.members.len() + b.members.len()), (1, 1, 2));
    let of = |joined: &Joined| joined.member_id.clone();
    let (leader, follower) = if a.members.is_empty() { (of(&b), of(&a)) } else { (of(&a), of(&b)) };
    let sync = |id: &MemberId, assignments| {
        let (groups, id, g) = (groups.clone(), id.clone(), g.clone());
        async move {
            let caller = Caller { member_id: id.as_str(), instance_id: None, generation: 1 };
            groups.sync(&g, SyncRequest { caller, protocol_type: None, protocol: None, assignments }).await
        }
    };
    let part = |id: &MemberId| (id.clone(), bytes::Bytes::copy_from_slice(id.as_str().as_bytes()));
    let (one, other) = tokio::join!(sync(&follower, Vec::new()), sync(&leader, vec![part(&leader), part(&follower)]));
    assert_eq!(one.expect("synced").assignment, follower.as_str());
    assert_eq!(other.expect("synced").assignment, leader.as_str());
    let member = Caller { member_id: follower.as_str(), instance_id: None, generation: 1 };
    groups.commit(&g, &member, vec![at(events, 0, 9)]).await.expect("committed");
    let refused = groups.commit(&g, &NOBODY, vec![at(events, 0, 1)]).await;
    assert!(matches!(refused, Err(CommitError::Group(GroupError::UnknownMemberId))), "{refused:?}");
    assert_eq!(committed(&hub, "g"), [(0, 9)]);
    let listed = groups.list(None);
    assert_eq!((listed.len(), &*listed[0].state, listed[0].members.len(), listed[0].offsets[0].lag), (1, "Stable", 2, 0));
}

#[tokio::test]
async fn a_join_given_up_leaves_no_member_behind() {
    let hub = TestHub::open().await;
    let (groups, g) = (&hub.hub.groups, group("g"));
    let mut joining = Box::pin(groups.join(&g, join_request("a", MemberId::unknown())));
    assert!(futures_util::FutureExt::now_or_never(&mut joining).is_none());
    assert_eq!(groups.describe(&g).expect("a group").members.len(), 1);
    drop(joining);
    assert_eq!(groups.describe(&g).expect("a group").members.len(), 0);
}

#[tokio::test]
async fn old_offsets_and_those_in_deleted_event_hubs_are_dropped_and_no_others() {
    let hub = TestHub::open().await;
    let new = NewEventHub::new("other".parse().expect("a name"), PartitionCount::ONE);
    let other = hub.hub.event_hubs.create(new).await.expect("created");
    let (events, groups) = (events(&hub), hub.hub.groups.clone());
    groups.commit(&group("old"), &NOBODY, vec![at(events, 0, 1)]).await.expect("committed");
    hub.clock.advance(Duration::from_secs(6 * 24 * 60 * 60));
    groups.commit(&group("new"), &NOBODY, vec![at(events, 0, 1), at(other.id, 0, 2)]).await.expect("committed");
    hub.clock.advance(Duration::from_secs(24 * 60 * 60));
    hub.hub.event_hubs.delete(&other.name).await.expect("deleted");
    groups.sweep().await.expect("swept");
    assert_eq!((committed(&hub, "old").len(), committed(&hub, "new").len()), (1, 1), "for an hour after the start nothing expires");
    tokio::time::pause();
    tokio::time::advance(upkeep::RETURN_TIME).await;
    groups.sweep().await.expect("swept");
    assert_eq!(groups.inner.store.groups(), [group("new")]);
}
