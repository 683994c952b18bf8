use super::*;

#[test]
fn who_does_not_join_again_in_time_is_removed() {
    let slow = JoinRequest { session_timeout: Duration::from_secs(300), ..request("b") };
    let (mut bench, members) = Bench::stable(&[request("a"), slow]);
    let token = bench.join(again(&request("a"), &members[0]));
    bench.advance(Duration::from_secs(59));
    assert!(bench.answers().is_empty());
    bench.advance(Duration::from_secs(1));
    let Reply::Join(Ok(joined)) = bench.only(token) else { panic!("joined") };
    assert_eq!((joined.generation, joined.members.len()), (2, 1));
    assert_eq!(bench.heartbeat(&members[1]), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_member_that_has_hung_keeps_others_waiting_for_an_hour_at_most() {
    let patient = |name| {
        let (session_timeout, rebalance_timeout) = (Duration::from_secs(300), Duration::from_secs(30 * 24 * 60 * 60));
        JoinRequest { session_timeout, rebalance_timeout, ..request(name) }
    };
    let (mut bench, members) = Bench::stable(&[patient("a"), patient("b")]);
    let token = bench.join(again(&patient("a"), &members[0]));
    for _ in 0..59 {
        bench.advance(Duration::from_secs(60));
        assert_eq!(bench.heartbeat(&members[1]), Err(GroupError::RebalanceInProgress), "it lives");
        assert!(bench.answers().is_empty());
    }
    bench.advance(Duration::from_secs(60));
    assert!(matches!(bench.only(token), Reply::Join(Ok(joined)) if joined.members.len() == 1));
}

#[test]
fn another_leads_where_the_leader_did_not_join_again() {
    let (mut bench, members) = Bench::stable(&[request("a"), request("b"), request("c")]);
    let tokens = [bench.join(request("d")), bench.join(again(&request("c"), &members[2]))];
    bench.advance(Duration::from_secs(60));
    let answers: Vec<_> = bench.answers().iter().map(|answer| (answer.token, joined(answer))).collect();
    assert_eq!(answers.len(), 2);
    for (token, joined) in answers {
        assert!(tokens.contains(&token));
        assert_eq!(joined.leader, members[2].member_id);
        assert_eq!(joined.members.len(), if joined.leader == joined.member_id { 2 } else { 0 });
    }
}

#[test]
fn a_silent_member_is_removed_after_its_session_timeout() {
    let (mut bench, members) = Bench::stable(&[request("a"), request("b")]);
    bench.advance(Duration::from_secs(9));
    assert_eq!(bench.heartbeat(&members[0]), Ok(()));
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
    assert_eq!(bench.heartbeat(&members[0]), Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.heartbeat(&members[1]), Err(GroupError::UnknownMemberId));
    let token = bench.join(again(&request("a"), &members[0]));
    assert!(matches!(bench.only(token), Reply::Join(Ok(joined)) if joined.generation == 2));
}

#[test]
fn who_waits_for_an_answer_does_not_expire_until_it_comes() {
    let (mut bench, members) = Bench::stable(&[request("a"), request("b")]);
    bench.join(again(&request("a"), &members[0]));
    for _ in 0..7 {
        bench.advance(Duration::from_secs(8));
        assert_eq!(bench.heartbeat(&members[1]), Err(GroupError::RebalanceInProgress));
        assert!(bench.answers().is_empty());
    }
    bench.join(again(&request("b"), &members[1]));
    assert_eq!(bench.answers().len(), 2, "after 56 seconds, sessions of 10");
    bench.advance(Duration::from_secs(9));
    assert_eq!(bench.group.view().members.len(), 2, "the session began with the answer");
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.group.state(), GroupState::Empty);
}

#[test]
fn a_new_member_nobody_answers_goes_after_five_minutes() {
    let patient = JoinRequest { session_timeout: Duration::from_secs(300), rebalance_timeout: Duration::from_secs(900), ..request("a") };
    let (mut bench, members) = Bench::stable(&[patient]);
    let token = bench.join(request("new"));
    bench.advance(Duration::from_secs(200));
    assert_eq!(bench.heartbeat(&members[0]), Err(GroupError::RebalanceInProgress));
    assert!(bench.answers().is_empty());
    bench.advance(Duration::from_secs(100));
    assert_eq!(bench.refused(token), GroupError::UnknownMemberId);
}

#[test]
fn a_member_that_never_asks_for_its_assignment_is_removed() {
    let loud = |client| JoinRequest { session_timeout: Duration::from_secs(120), ..request(client) };
    let mut bench = Bench::new();
    bench.join(loud("a"));
    bench.join(loud("b"));
    bench.advance(Duration::from_secs(1));
    let members = bench.joined();
    bench.sync(&members[0]);
    assert_eq!(bench.answers().len(), 1);
    assert_eq!(bench.group.state(), GroupState::Stable);
    bench.advance(Duration::from_secs(60));
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
    let left: Vec<_> = bench.group.view().members.into_iter().map(|member| member.member_id).collect();
    assert_eq!(left, [members[0].member_id.clone()]);
}

#[test]
fn a_leader_that_never_assigns_is_removed_and_the_rest_join_again() {
    let loud = |client| JoinRequest { session_timeout: Duration::from_secs(120), ..request(client) };
    let mut bench = Bench::new();
    bench.join(loud("a"));
    bench.join(loud("b"));
    bench.advance(Duration::from_secs(1));
    let members = bench.joined();
    let token = bench.sync(&members[1]);
    bench.advance(Duration::from_secs(60));
    assert_eq!(bench.refused(token), GroupError::RebalanceInProgress);
    let token = bench.join(again(&loud("b"), &members[1]));
    let Reply::Join(Ok(joined)) = bench.only(token) else { panic!("joined") };
    assert_eq!((joined.generation, &joined.leader), (2, &members[1].member_id));
}

#[test]
fn members_with_no_patience_are_given_a_second() {
    let hasty = |client| JoinRequest { rebalance_timeout: Duration::ZERO, ..request(client) };
    let (mut bench, members) = Bench::stable(&[hasty("a"), hasty("b")]);
    bench.join(again(&hasty("a"), &members[0]));
    bench.advance(Duration::from_millis(900));
    bench.join(again(&hasty("b"), &members[1]));
    assert_eq!(bench.answers().len(), 2);
}

#[test]
fn a_pending_id_holds_the_rebalance_until_it_joins_lapses_or_leaves() {
    for how in ["joins", "lapses", "leaves"] {
        let (mut bench, members) = Bench::stable(&[request("a")]);
        let modern = JoinRequest { knows_member_id_required: true, ..request("b") };
        let token = bench.join(modern.clone());
        assert_eq!(bench.refused(token), GroupError::MemberIdRequired);
        bench.join(again(&request("a"), &members[0]));
        assert!(bench.answers().is_empty(), "b was invited");
        match how {
            "joins" => assert!(bench.join(JoinRequest { member_id: MemberId::new("b-b"), ..modern }) > token),
            "lapses" => bench.advance(Duration::from_secs(10)),
            _ => assert_eq!(bench.group.leave(bench.now, &[Leaver { member_id: "b-b", instance_id: None }]), Ok(vec![Ok(())])),
        }
        assert_eq!(bench.answers().len(), if how == "joins" { 2 } else { 1 }, "{how}");
    }
}

#[test]
fn a_heartbeat_says_where_the_member_stands() {
    let (mut bench, members) = Bench::stable(&[request("a"), request("b")]);
    let mut beat = |member_id, instance_id, generation| bench.group.heartbeat(bench.now, &Caller { member_id, instance_id, generation });
    assert_eq!(beat("a-a", None, 1), Ok(()));
    assert_eq!(beat("a-a", None, 0), Err(GroupError::IllegalGeneration));
    assert_eq!(beat("a-a", None, 2), Err(GroupError::IllegalGeneration));
    assert_eq!(beat("x", None, 1), Err(GroupError::UnknownMemberId));
    assert_eq!(beat("", None, -1), Err(GroupError::UnknownMemberId));
    assert_eq!(beat("a-a", Some("none"), 1), Err(GroupError::UnknownMemberId));
    bench.join(again(&request("a"), &members[0]));
    assert_eq!(bench.heartbeat(&members[1]), Err(GroupError::RebalanceInProgress));
    bench.join(again(&request("b"), &members[1]));
    let next = bench.joined();
    assert_eq!(bench.heartbeat(&next[0]), Ok(()), "before the assignment too");
    assert_eq!(Bench::new().heartbeat(&next[0]), Err(GroupError::UnknownMemberId));
}
