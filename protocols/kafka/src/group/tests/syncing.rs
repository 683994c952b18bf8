use super::*;

#[test]
fn followers_wait_for_the_leader_and_each_gets_its_part() {
    let mut bench = Bench::new();
    for client in ["a", "b", "c"] {
        bench.join(request(client));
    }
    bench.advance(Duration::from_secs(1));
    let members = bench.joined();
    let followers = [bench.sync(&members[1]), bench.sync(&members[2])];
    assert!(bench.answers().is_empty());
    bench.advance(Duration::from_secs(8));
    let leader = bench.sync(&members[0]);
    let answers = bench.answers();
    let told: Vec<_> = answers.iter().map(|answer| (answer.token, synced(answer).assignment)).collect();
    let expected = [(leader, 0), (followers[0], 1), (followers[1], 2)].map(|(token, at)| (token, part(&members[at].member_id)));
    assert_eq!(told, expected);
    assert_eq!(bench.group.state(), GroupState::Stable);
}

#[test]
fn a_late_sync_gets_the_stored_part_and_a_second_one_too() {
    let (mut bench, members) = Bench::stable(&[request("a"), request("b")]);
    for _ in 0..2 {
        let token = bench.sync(&members[1]);
        let Reply::Sync(Ok(synced)) = bench.only(token) else { panic!("synced") };
        assert_eq!(synced.assignment, part(&members[1].member_id));
    }
}

#[test]
fn whom_the_leader_gave_nothing_has_an_empty_part_and_strangers_none() {
    let mut bench = Bench::new();
    bench.join(request("a"));
    bench.join(request("b"));
    bench.advance(Duration::from_secs(1));
    let members = bench.joined();
    bench.sync_with(
        &members[0],
        vec![(MemberId::new("a-a"), Bytes::from_static(b"all")), (MemberId::new("x"), Bytes::from_static(b"none"))],
    );
    bench.sync(&members[1]);
    let parts: Vec<_> = bench.answers().iter().map(|answer| synced(answer).assignment).collect();
    assert_eq!(parts, ["all", ""]);
}

#[test]
fn a_sync_that_does_not_fit_is_refused() {
    let (mut bench, _) = Bench::stable(&[request("a")]);
    let good = ("a-a", None, 1, Some("consumer"), Some("range"));
    let cases = [
        (("a-a", None, 0, None, None), GroupError::IllegalGeneration),
        (("x", None, 1, None, None), GroupError::UnknownMemberId),
        (("a-a", Some("i"), 1, None, None), GroupError::UnknownMemberId),
        (("a-a", None, 1, Some("connect"), None), GroupError::InconsistentGroupProtocol),
        (("a-a", None, 1, None, Some("sticky")), GroupError::InconsistentGroupProtocol),
    ];
    let send = |bench: &mut Bench, (member_id, instance_id, generation, protocol_type, protocol)| {
        let token = bench.token();
        let caller = Caller { member_id, instance_id, generation };
        bench.group.sync(bench.now, token, SyncRequest { caller, protocol_type, protocol, assignments: Vec::new() });
        token
    };
    for (request, error) in cases {
        let token = send(&mut bench, request);
        assert_eq!(bench.refused(token), error, "{request:?}");
    }
    let token = send(&mut bench, good);
    assert!(matches!(bench.only(token), Reply::Sync(Ok(_))));
}

#[test]
fn a_rebalance_ends_the_wait_of_syncs() {
    let mut bench = Bench::new();
    bench.join(request("a"));
    bench.join(request("b"));
    bench.advance(Duration::from_secs(1));
    let members = bench.joined();
    let token = bench.sync(&members[1]);
    bench.join(request("c"));
    assert_eq!(bench.refused(token), GroupError::RebalanceInProgress);
    let token = bench.sync(&members[0]);
    assert_eq!(bench.refused(token), GroupError::RebalanceInProgress);
}

#[test]
fn what_consumers_tell_each_other_reads_as_topics_and_partitions() {
    let assignment = b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x03\0\x02bc\0\0\0\0\xff\xff\xff\xff";
    let read = assigned_partitions(assignment).expect("an assignment");
    let expected = [("a", vec![0, 3]), ("bc", vec![])].map(|(topic, partitions)| AssignedPartitions { topic: topic.into(), partitions });
    assert_eq!(read, expected);
    let broken: [&[u8]; 5] = [b"", b"\0\0", b"\0\0\x7f\xff\xff\xff", b"\xff\xff\0\0\0\0", b"\0\0\0\0\0\x01\0\x09a\0\0\0\0"];
    for bytes in broken {
        assert_eq!(assigned_partitions(bytes), None, "{bytes:?}");
    }
}
