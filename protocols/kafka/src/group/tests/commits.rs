use super::*;

fn check(bench: &mut Bench, member_id: &str, instance_id: Option<&str>, generation: i32) -> Result<(), GroupError> {
    bench.group.check_commit(bench.now, &Caller { member_id, instance_id, generation })
}

#[test]
fn anybody_commits_in_an_empty_group_who_claims_no_generation() {
    let mut bench = Bench::new();
    assert_eq!(check(&mut bench, "", None, -1), Ok(()));
    assert_eq!(check(&mut bench, "old", None, -1), Ok(()));
    assert_eq!(check(&mut bench, "old", None, 3), Err(GroupError::UnknownMemberId));
    assert_eq!(check(&mut bench, "", None, 0), Err(GroupError::UnknownMemberId));
}

#[test]
fn only_members_of_the_generation_commit_in_any_other() {
    let (mut bench, _) = Bench::stable(&[request("a"), static_request("b", "1")]);
    let cases = [
        (("a-a", None, 1), Ok(())),
        (("b-1", Some("b"), 1), Ok(())),
        (("", None, -1), Err(GroupError::UnknownMemberId)),
        (("a-a", None, -1), Err(GroupError::IllegalGeneration)),
        (("a-a", None, 2), Err(GroupError::IllegalGeneration)),
        (("x", None, 1), Err(GroupError::UnknownMemberId)),
        (("x", Some("b"), 1), Err(GroupError::FencedInstanceId)),
    ];
    for ((member_id, instance_id, generation), expected) in cases {
        assert_eq!(check(&mut bench, member_id, instance_id, generation), expected, "{member_id} {instance_id:?} {generation}");
    }
}

#[test]
fn members_commit_while_a_rebalance_is_prepared_and_not_between_join_and_assignment() {
    let (mut bench, members) = Bench::stable(&[request("a"), request("b")]);
    bench.join(again(&request("a"), &members[0]));
    assert_eq!(check(&mut bench, "b-b", None, 1), Ok(()));
    bench.join(again(&request("b"), &members[1]));
    assert_eq!(check(&mut bench, "b-b", None, 1), Err(GroupError::IllegalGeneration));
    assert_eq!(check(&mut bench, "b-b", None, 2), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let (mut bench, _) = Bench::stable(&[request("a")]);
    for _ in 0..3 {
        bench.advance(Duration::from_secs(9));
        assert_eq!(check(&mut bench, "a-a", None, 1), Ok(()));
    }
}
