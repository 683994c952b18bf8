use super::*;

#[test]
fn a_full_group_takes_no_further_member_but_keeps_its_own() {
    let mut bench = Bench::with(Settings { members_max: 2, ..Settings::default() });
    bench.join(static_request("a", "1"));
    bench.join(request("b"));
    let token = bench.join(request("c"));
    assert_eq!(bench.refused(token), GroupError::GroupMaxSizeReached);
    bench.advance(Duration::from_secs(1));
    let members = bench.joined();
    let token = bench.join(request("d"));
    assert_eq!(bench.refused(token), GroupError::GroupMaxSizeReached);
    let token = bench.join(again(&request("b"), &members[1]));
    assert!(matches!(bench.only(token), Reply::Join(Ok(_))));
    bench.join(static_request("a", "2"));
    assert!(bench.answers().is_empty(), "it takes its own place");
    assert_eq!(bench.group.view().members.len(), 2);
}

#[test]
fn ids_given_out_are_bounded() {
    let mut bench = Bench::with(Settings { members_max: 2, ..Settings::default() });
    let mut ask = |client| {
        let token = bench.join(JoinRequest { knows_member_id_required: true, ..request(client) });
        bench.refused(token)
    };
    let told = ["a", "b", "c"].map(&mut ask);
    assert_eq!(told, [GroupError::MemberIdRequired, GroupError::MemberIdRequired, GroupError::GroupMaxSizeReached]);
}

#[test]
fn metadata_and_assignments_are_bounded_together() {
    let large = |client: &str, bytes| JoinRequest {
        protocols: vec![Protocol { name: "range".into(), metadata: Bytes::from(vec![0; bytes]) }],
        ..request(client)
    };
    let mut bench = Bench::with(Settings { bytes_max: 10_000, ..Settings::default() });
    let token = bench.join(large("a", 10_000));
    assert_eq!(bench.refused(token), GroupError::GroupMaxSizeReached);
    bench.join(large("a", 5000));
    let token = bench.join(large("b", 5000));
    assert_eq!(bench.refused(token), GroupError::GroupMaxSizeReached);
    bench.advance(Duration::from_secs(1));
    let members = bench.joined();
    let token = bench.sync_with(&members[0], vec![(members[0].member_id.clone(), Bytes::from(vec![0; 5000]))]);
    assert_eq!(bench.refused(token), GroupError::GroupMaxSizeReached);
    let token = bench.sync_with(&members[0], vec![(members[0].member_id.clone(), Bytes::from(vec![0; 4000]))]);
    assert!(matches!(bench.only(token), Reply::Sync(Ok(_))));
    let token = bench.join(again(&large("a", 9000), &members[0]));
    assert_eq!(bench.refused(token), GroupError::GroupMaxSizeReached);
    assert_eq!(bench.heartbeat(&members[0]), Ok(()), "it is the member it was");
}

#[test]
fn group_ids_have_1_to_256_bytes() {
    for (length, is_valid) in [(0, false), (1, true), (256, true), (257, false)] {
        assert_eq!(GroupId::new(&"g".repeat(length)).is_ok(), is_valid, "{length}");
    }
    assert_eq!(GroupId::new(&"ä".repeat(129)), Err(GroupError::InvalidGroupId), "bytes count, not characters");
}
