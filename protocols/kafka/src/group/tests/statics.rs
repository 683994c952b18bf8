use super::*;

fn pair() -> (Bench, Vec<Joined>) {
    Bench::stable(&[static_request("leader", "1"), static_request("follower", "1")])
}

#[test]
fn a_static_member_that_restarts_keeps_its_part_and_nobody_else_notices() {
    let (mut bench, members) = pair();
    let token = bench.join(static_request("follower", "2"));
    let Reply::Join(Ok(joined)) = bench.only(token) else { panic!("joined") };
    assert_eq!((joined.member_id.as_str(), joined.generation, joined.skip_assignment), ("follower-2", 1, false));
    assert_eq!(bench.heartbeat(&members[0]), Ok(()));
    let token = bench.sync(&joined);
    let Reply::Sync(Ok(synced)) = bench.only(token) else { panic!("synced") };
    assert_eq!(synced.assignment, part(&members[1].member_id));
}

#[test]
fn a_leader_that_restarts_is_told_not_to_assign() {
    for can_skip in [false, true] {
        let (mut bench, members) = pair();
        let token = bench.join(JoinRequest { can_skip_assignment: can_skip, ..static_request("leader", "2") });
        let Reply::Join(Ok(joined)) = bench.only(token) else { panic!("joined") };
        assert_eq!(joined.skip_assignment, can_skip);
        assert_eq!(joined.leader.as_str(), if can_skip { "leader-2" } else { members[0].member_id.as_str() });
        assert_eq!(joined.members.len(), if can_skip { 2 } else { 0 });
        assert_eq!(bench.group.state(), GroupState::Stable);
    }
}

#[test]
fn a_restart_that_changes_the_choice_of_protocol_rebalances() {
    let flexible = |instance, unique: &str| JoinRequest { protocols: protocols(&["a", "b"]), ..static_request(instance, unique) };
    let (mut bench, _) = Bench::stable(&[flexible("leader", "1"), flexible("follower", "1")]);
    bench.join(JoinRequest { protocols: protocols(&["b"]), ..static_request("follower", "2") });
    assert!(bench.answers().is_empty());
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
}

#[test]
fn the_old_id_is_fenced_everywhere() {
    let (mut bench, _) = pair();
    let token = bench.join(static_request("follower", "2"));
    bench.only(token);
    let caller = Caller { member_id: "follower-1", instance_id: Some("follower"), generation: 1 };
    assert_eq!(bench.group.heartbeat(bench.now, &caller), Err(GroupError::FencedInstanceId));
    assert_eq!(bench.group.check_commit(bench.now, &caller), Err(GroupError::FencedInstanceId));
    let leaver = Leaver { member_id: "follower-1", instance_id: Some("follower") };
    assert_eq!(bench.group.leave(bench.now, &[leaver]), Ok(vec![Err(GroupError::FencedInstanceId)]));
    let token = bench.token();
    bench.group.sync(bench.now, token, SyncRequest { caller, protocol_type: None, protocol: None, assignments: Vec::new() });
    assert_eq!(bench.refused(token), GroupError::FencedInstanceId);
    let token = bench.join(JoinRequest { member_id: MemberId::new("follower-1"), ..static_request("follower", "3") });
    assert_eq!(bench.refused(token), GroupError::FencedInstanceId);
    assert_eq!(bench.group.state(), GroupState::Stable);
}

#[test]
fn a_request_that_waits_is_fenced_when_another_client_takes_its_place() {
    let (mut bench, members) = pair();
    let waiting = bench.join(JoinRequest { member_id: members[0].member_id.clone(), ..static_request("leader", "1") });
    bench.join(static_request("leader", "2"));
    assert_eq!(bench.refused(waiting), GroupError::FencedInstanceId);
}

#[test]
fn a_restart_while_the_leader_assigns_begins_anew() {
    let mut bench = Bench::new();
    bench.join(static_request("leader", "1"));
    bench.join(static_request("follower", "1"));
    bench.advance(Duration::from_secs(1));
    let members = bench.joined();
    bench.join(static_request("follower", "2"));
    assert_eq!(bench.heartbeat(&members[0]), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_static_member_that_does_not_join_again_stays_until_its_session_ends() {
    let long = |instance| JoinRequest { session_timeout: Duration::from_secs(90), ..static_request(instance, "1") };
    let (mut bench, members) = Bench::stable(&[long("leader"), long("follower")]);
    bench.join(JoinRequest { member_id: members[0].member_id.clone(), ..long("leader") });
    bench.advance(Duration::from_secs(60));
    let joined = bench.joined();
    assert_eq!(joined[0].members.len(), 2, "the follower is still assigned its part");
    bench.sync(&joined[0]);
    assert_eq!(bench.answers().len(), 1);
    bench.advance(Duration::from_secs(60));
    assert_eq!(bench.group.view().members.len(), 1, "it did not ask for it in time");
}

#[test]
fn a_group_of_absent_static_members_waits_for_their_sessions() {
    let long = |instance| JoinRequest { session_timeout: Duration::from_secs(300), ..static_request(instance, "1") };
    let (mut bench, members) = Bench::stable(&[long("leader"), long("follower")]);
    let waiting = bench.join(JoinRequest { member_id: members[0].member_id.clone(), ..long("leader") });
    bench.group.forget(bench.now, waiting);
    bench.advance(Duration::from_secs(200));
    assert_eq!((bench.group.state(), bench.group.view().members.len()), (GroupState::PreparingRebalance, 2));
    bench.advance(Duration::from_secs(100));
    assert_eq!(bench.group.state(), GroupState::Empty);
}
