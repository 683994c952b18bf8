use super::*;

#[test]
fn a_client_that_can_is_asked_to_join_with_an_id_first() {
    let mut bench = Bench::new();
    let modern = JoinRequest { knows_member_id_required: true, ..request("a") };
    let token = bench.join(modern.clone());
    let Reply::Join(Err(refused)) = bench.only(token) else { panic!("refused") };
    assert_eq!(refused, JoinRefused { member_id: MemberId::new("a-a"), error: GroupError::MemberIdRequired });
    assert_eq!(bench.group.state(), GroupState::Empty);

    let token = bench.join(JoinRequest { member_id: refused.member_id.clone(), ..modern });
    bench.advance(Duration::from_secs(1));
    let Reply::Join(Ok(joined)) = bench.only(token) else { panic!("joined") };
    assert_eq!((joined.member_id, joined.generation), (refused.member_id, 1));
}

#[test]
fn an_id_that_was_given_out_lapses_with_the_session_timeout() {
    let mut bench = Bench::new();
    let modern = JoinRequest { knows_member_id_required: true, ..request("a") };
    let token = bench.join(modern.clone());
    bench.refused(token);
    assert!(bench.group.expects_joins());
    bench.advance(Duration::from_secs(10));
    assert!(!bench.group.expects_joins());
    let token = bench.join(JoinRequest { member_id: MemberId::new("a-a"), ..modern });
    assert_eq!(bench.refused(token), GroupError::UnknownMemberId);
}

#[test]
fn a_join_that_cannot_be_is_refused_with_its_reason_and_changes_nothing() {
    let cases = [
        (JoinRequest { session_timeout: Duration::from_millis(5999), ..request("x") }, GroupError::InvalidSessionTimeout),
        (JoinRequest { session_timeout: Duration::from_millis(300_001), ..request("x") }, GroupError::InvalidSessionTimeout),
        (JoinRequest { protocol_type: "connect".into(), ..request("x") }, GroupError::InconsistentGroupProtocol),
        (JoinRequest { protocol_type: "".into(), ..request("x") }, GroupError::InconsistentGroupProtocol),
        (JoinRequest { protocols: Vec::new(), ..request("x") }, GroupError::InconsistentGroupProtocol),
        (JoinRequest { protocols: protocols(&["other"]), ..request("x") }, GroupError::InconsistentGroupProtocol),
        (JoinRequest { member_id: MemberId::new("never given"), ..request("x") }, GroupError::UnknownMemberId),
        (JoinRequest { member_id: MemberId::new("a-a"), ..static_request("none", "x") }, GroupError::UnknownMemberId),
    ];
    for (request_of_x, error) in cases {
        let (mut bench, members) = Bench::stable(&[request("a")]);
        let before = bench.group.view();
        let token = bench.join(request_of_x.clone());
        assert_eq!(bench.refused(token), error, "{request_of_x:?}");
        assert_eq!(bench.group.view(), before);
        assert_eq!(bench.heartbeat(&members[0]), Ok(()));
    }
}

#[test]
fn the_first_of_an_empty_group_waits_a_little_and_longer_while_others_come() {
    let mut bench = Bench::new();
    let delay = Settings::default().initial_delay;
    bench.join(request("a"));
    bench.advance(delay / 2);
    bench.join(request("b"));
    bench.advance(delay);
    assert!(bench.answers().is_empty(), "the second join extended the wait");
    bench.advance(delay);
    let answers = bench.answers();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| joined(answer).generation == 1));
}

#[test]
fn the_initial_wait_ends_with_the_rebalance_timeout_whoever_comes() {
    let mut bench = Bench::new();
    let delay = Settings::default().initial_delay;
    let short = |client: &str| JoinRequest { rebalance_timeout: Duration::from_secs(1), ..request(client) };
    bench.join(short("0"));
    let begun = bench.now;
    for client in 1..100 {
        bench.advance(delay / 2);
        if !bench.answers().is_empty() {
            break;
        }
        bench.join(short(&client.to_string()));
    }
    assert!(bench.now - begun <= Duration::from_secs(1) + delay, "{:?}", bench.now - begun);
}

#[test]
fn the_leader_alone_learns_who_the_members_are() {
    let mut bench = Bench::new();
    let tokens = [bench.join(request("a")), bench.join(static_request("b", "b")), bench.join(request("c"))];
    bench.advance(Duration::from_secs(1));
    let mut answers = bench.answers();
    answers.sort_by_key(|answer| answer.token);
    assert_eq!(answers.iter().map(|answer| answer.token).collect::<Vec<_>>(), tokens);
    let joined: Vec<_> = answers.iter().map(joined).collect();
    assert!(joined.iter().all(|member| member.leader == joined[0].member_id && &*member.protocol == "range"));
    let listed: Vec<_> = joined[0].members.iter().map(|member| (member.member_id.as_str(), member.instance_id.as_deref())).collect();
    assert_eq!(listed, [("a-a", None), ("b-b", Some("b")), ("c-c", None)]);
    assert!(joined[0].members.iter().all(|member| member.metadata == "range"));
    assert!(joined[1].members.is_empty() && joined[2].members.is_empty());
}

#[test]
fn members_vote_for_the_protocol_among_those_that_all_support() {
    let cases: [(&[&[&str]], &str); 4] = [
        (&[&["range", "roundrobin"], &["roundrobin", "range"], &["roundrobin", "range"]], "roundrobin"),
        (&[&["sticky", "range"], &["range"], &["sticky", "range"]], "range"),
        (&[&["b", "a"], &["a", "b"]], "a"),
        (&[&["a", "a", "b"], &["b", "c"]], "b"),
    ];
    for (supported, chosen) in cases {
        let with = |(at, names): (usize, &&[&str])| JoinRequest { protocols: protocols(names), ..request(&at.to_string()) };
        let requests: Vec<_> = supported.iter().enumerate().map(with).collect();
        let (_, joined) = Bench::stable(&requests);
        assert_eq!(&*joined[0].protocol, chosen, "{supported:?}");
    }
}

#[test]
fn a_follower_that_says_nothing_new_gets_the_present_generation() {
    let requests = [request("a"), request("b")];
    let (mut bench, members) = Bench::stable(&requests);
    let token = bench.join(again(&requests[1], &members[1]));
    let Reply::Join(Ok(joined)) = bench.only(token) else { panic!("joined") };
    assert_eq!((joined.generation, joined.members.len()), (1, 0));
    assert_eq!(bench.group.state(), GroupState::Stable);
}

#[test]
fn a_leader_or_new_metadata_begins_a_rebalance() {
    let requests = [request("a"), request("b")];
    let changed = JoinRequest { protocols: protocols(&["range", "sticky"]), ..request("b") };
    for (who, rejoin) in [(0, requests[0].clone()), (1, changed)] {
        let (mut bench, members) = Bench::stable(&requests);
        bench.join(again(&rejoin, &members[who]));
        assert!(bench.answers().is_empty());
        assert_eq!(bench.heartbeat(&members[1 - who]), Err(GroupError::RebalanceInProgress));
        bench.join(again(&requests[1 - who], &members[1 - who]));
        let answers = bench.answers();
        assert_eq!(answers.iter().map(|answer| joined(answer).generation).collect::<Vec<_>>(), [2, 2], "nobody is waited for");
    }
}

#[test]
fn a_member_that_missed_the_answer_gets_it_again() {
    let mut bench = Bench::new();
    bench.join(request("a"));
    bench.join(request("b"));
    bench.advance(Duration::from_secs(1));
    let answers = bench.joined();
    for first in answers {
        let token = bench.join(again(&request(first.member_id.as_str().split('-').next().expect("a client")), &first));
        let Reply::Join(Ok(second)) = bench.only(token) else { panic!("joined") };
        assert_eq!(second, first);
    }
    assert_eq!(bench.group.state(), GroupState::CompletingRebalance);
}

#[test]
fn a_join_sent_twice_answers_the_one_left_behind() {
    let (mut bench, members) = Bench::stable(&[request("a"), request("b")]);
    let first = bench.join(again(&request("a"), &members[0]));
    let second = bench.join(again(&request("a"), &members[0]));
    assert_eq!(bench.refused(first), GroupError::RebalanceInProgress);
    bench.advance(Duration::from_secs(60));
    assert!(matches!(bench.only(second), Reply::Join(Ok(_))));
}
