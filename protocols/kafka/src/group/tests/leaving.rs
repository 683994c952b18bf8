use super::*;

#[test]
fn each_leaver_is_answered_for_itself() {
    let requests = [request("a"), static_request("b", "1"), static_request("c", "1"), request("d")];
    let (mut bench, members) = Bench::stable(&requests);
    let leaver = |member_id, instance_id| Leaver { member_id, instance_id };
    let leavers = [
        leaver("a-a", None),
        leaver("", Some("b")),
        leaver("c-1", Some("c")),
        leaver("a-a", None),
        leaver("", Some("none")),
        leaver("", None),
        leaver("d-d", Some("c")),
    ];
    let unknown = Err(GroupError::UnknownMemberId);
    let left = bench.group.leave(bench.now, &leavers);
    assert_eq!(left, Ok(vec![Ok(()), Ok(()), Ok(()), unknown, unknown, unknown, unknown]));
    assert_eq!(bench.heartbeat(&members[3]), Err(GroupError::RebalanceInProgress));
    let token = bench.join(again(&requests[3], &members[3]));
    let Reply::Join(Ok(joined)) = bench.only(token) else { panic!("joined") };
    assert_eq!((joined.leader.as_str(), joined.members.len()), ("d-d", 1));
}

#[test]
fn the_last_to_leave_empties_the_group_at_once() {
    let (mut bench, _) = Bench::stable(&[request("a")]);
    assert_eq!(bench.group.leave(bench.now, &[Leaver { member_id: "a-a", instance_id: None }]), Ok(vec![Ok(())]));
    assert_eq!(bench.group.state(), GroupState::Empty);
    assert_eq!(bench.group.next_deadline(), None);
}

#[test]
fn who_leaves_while_its_request_waits_has_it_answered() {
    let (mut bench, members) = Bench::stable(&[request("a"), request("b")]);
    let token = bench.join(again(&request("a"), &members[0]));
    assert_eq!(bench.group.leave(bench.now, &[Leaver { member_id: "a-a", instance_id: None }]), Ok(vec![Ok(())]));
    assert_eq!(bench.refused(token), GroupError::UnknownMemberId);
}

#[test]
fn a_newcomer_whose_connection_went_is_not_waited_for() {
    let (mut bench, members) = Bench::stable(&[request("a")]);
    let gone = bench.join(request("b"));
    bench.group.forget(bench.now, gone);
    let token = bench.join(again(&request("a"), &members[0]));
    let Reply::Join(Ok(joined)) = bench.only(token) else { panic!("joined") };
    assert_eq!(joined.members.len(), 1);
}

#[test]
fn a_member_whose_connection_went_has_its_session_to_come_back() {
    let (mut bench, members) = Bench::stable(&[request("a"), request("b")]);
    let gone = bench.join(again(&request("a"), &members[0]));
    bench.group.forget(bench.now, gone);
    bench.join(again(&request("b"), &members[1]));
    bench.advance(Duration::from_secs(9));
    assert!(bench.answers().is_empty());
    bench.join(again(&request("a"), &members[0]));
    assert_eq!(bench.answers().len(), 2);
}

#[test]
fn an_answer_nobody_took_yet_is_forgotten_too() {
    let mut bench = Bench::new();
    let token = bench.join(JoinRequest { session_timeout: Duration::ZERO, ..request("a") });
    bench.group.forget(bench.now, token);
    assert!(bench.answers().is_empty());
}

#[test]
fn only_an_empty_group_is_deleted_and_then_it_is_dead() {
    let (mut bench, members) = Bench::stable(&[request("a")]);
    assert_eq!(bench.group.delete(), Err(GroupError::NonEmptyGroup));
    assert_eq!(bench.group.check_offset_delete(), Err(GroupError::NonEmptyGroup));
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.group.check_offset_delete(), Ok(()));
    assert_eq!(bench.group.delete(), Ok(()));
    assert_eq!(bench.group.state(), GroupState::Dead);
    assert_eq!(bench.group.delete(), Err(GroupError::GroupIdNotFound));
    assert_eq!(bench.group.check_offset_delete(), Err(GroupError::GroupIdNotFound));
    let gone = GroupError::CoordinatorNotAvailable;
    let token = bench.join(request("a"));
    assert_eq!(bench.refused(token), gone);
    let token = bench.sync(&members[0]);
    assert_eq!(bench.refused(token), gone);
    assert_eq!(bench.heartbeat(&members[0]), Err(gone));
    assert_eq!(bench.group.leave(bench.now, &[]), Err(gone));
    assert_eq!(bench.group.check_commit(bench.now, &Caller { member_id: "", instance_id: None, generation: -1 }), Err(gone));
}
