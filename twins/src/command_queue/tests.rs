use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::NEVER;
const COUNT_MAX: u32 = 10;

fn after(seconds: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(seconds))
}

fn entry(sequence: u64, expiry: Timestamp) -> Entry {
    Entry { sequence, expiry, delivery_count: 0, ack: Ack::None, lock: None }
}

fn queue(sequences: impl IntoIterator<Item = u64>) -> CommandQueue {
    CommandQueue::new(sequences.into_iter().map(|sequence| entry(sequence, Timestamp::MAX)).collect())
}

/// Tokens that count from `first`.
fn tokens(first: u128) -> impl FnMut() -> LockToken {
    let mut next = first;
    move || {
        next += 1;
        LockToken(next - 1)
    }
}

fn sequences(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.sequence).collect()
}

#[test]
fn a_queue_takes_as_many_as_it_may_hold() {
    for (waiting, depth, expect) in [(49, 50, Ok(())), (50, 50, Err(QueueFull { depth: 50 })), (51, 50, Err(QueueFull { depth: 50 }))] {
        assert_eq!(check_room(waiting, depth), expect);
    }
}

#[test]
fn the_last_abandonment_dead_letters() {
    for count_max in [1, 2, 10] {
        let mut queue = queue([7]);
        for count in 1..=count_max {
            let token = LockToken(u128::from(count));
            queue.lock(LockHolder::Until(after(60)), 1, NOW, || token);
            let settled = queue.settle(token, Settlement::Abandon, NOW, count_max);
            let expect = if count == count_max {
                let last = Entry { delivery_count: count, ..entry(7, Timestamp::MAX) };
                Settled::DeadLettered { entry: last, reason: DeadLetterReason::DeliveryCountExceeded }
            } else {
                Settled::Requeued(Entry { delivery_count: count, ..entry(7, Timestamp::MAX) })
            };
            assert_eq!(settled, Ok(expect));
        }
        assert_eq!(queue.entries(), []);
    }
}

#[test]
fn what_is_handed_out_keeps_its_place_and_does_not_keep_back_those_behind() {
    let mut queue = queue(1..=3);
    let held = queue.lock(LockHolder::Connection(LockOwner(1)), 1, NOW, tokens(0));
    assert_eq!(sequences(&held), [1]);
    assert_eq!(sequences(&queue.lock(LockHolder::Until(after(60)), 1, NOW, tokens(1))), [2]);
    queue.settle(LockToken(0), Settlement::Abandon, NOW, COUNT_MAX).expect("held");
    assert_eq!(sequences(&queue.lock(LockHolder::Until(after(60)), 9, NOW, tokens(2))), [1, 3]);
    assert_eq!(queue.lock(LockHolder::Until(after(60)), 9, NOW, tokens(4)), []);
}

#[test]
fn a_lock_that_ends_counts_up_to_its_end_and_not_from_it_on() {
    let cases = [
        (LockHolder::Until(after(60)), 59, true),
        (LockHolder::Until(after(60)), 60, false),
        (LockHolder::Connection(LockOwner(1)), 9_999, true),
    ];
    for (holder, seconds, holds) in cases {
        for settlement in [Settlement::Complete, Settlement::Reject, Settlement::Abandon] {
            let mut queue = queue([1]);
            queue.lock(holder, 1, NOW, tokens(0));
            let before = queue.clone();
            let settled = queue.settle(LockToken(0), settlement, after(seconds), COUNT_MAX);
            assert_eq!(settled.is_ok(), holds, "{holder:?} after {seconds} s");
            assert!(holds || queue == before, "what is refused changes nothing");
            assert_eq!(before.clone().lock(holder, 1, after(seconds), tokens(1)).is_empty(), holds);
            assert_eq!(before.entries()[0].delivery_count, 0, "an end is no abandonment");
        }
    }
}

#[test]
fn another_token_settles_nothing() {
    let mut queue = queue([1, 2]);
    queue.lock(LockHolder::Connection(LockOwner(1)), 1, NOW, tokens(0));
    let before = queue.clone();
    assert_eq!(queue.settle(LockToken(1), Settlement::Complete, NOW, COUNT_MAX), Err(LockLost));
    assert_eq!(queue, before);
}

#[test]
fn an_expiry_counts_once_nobody_has_the_entry() {
    let mut queue = CommandQueue::new(vec![entry(1, after(20)), entry(2, after(10)), entry(3, after(30)), entry(4, after(10))]);
    queue.lock(LockHolder::Until(after(25)), 1, NOW, tokens(0));
    queue.lock(LockHolder::Connection(LockOwner(1)), 1, NOW, tokens(1));
    assert_eq!(queue.expire(after(9)), Vec::<u64>::new());
    assert_eq!(queue.expire(after(24)), [4], "1 and 2 are handed out");
    assert_eq!(queue.expire(after(25)), [1], "a lock that has ended keeps nothing back");
    queue.settle(LockToken(1), Settlement::Abandon, after(26), COUNT_MAX).expect("held");
    assert_eq!(queue.expire(after(30)), [2, 3], "in the order of expiry");
}

proptest! {
    /// Nothing is handed out twice at a time, nor out of order, nor lost.
    #[test]
    fn every_entry_is_with_one_reader_or_free(
        steps in prop::collection::vec((0_u8..4, 0_u64..5, 0_u64..100), 0..80),
    ) {
        let mut queue = queue(0..20);
        let (mut now, mut next, mut gone) = (NOW, 0, 0);
        for (kind, small, large) in steps {
            let free: Vec<u64> = queue.entries().iter().filter(|entry| entry.held(now).is_none()).map(|entry| entry.sequence).collect();
            match kind {
                0 => {
                    let holder = if small == 0 { LockHolder::Connection(LockOwner(1)) } else { LockHolder::Until(now.saturating_add(Duration::from_secs(small * 10))) };
                    let limit = (large % 4) as usize;
                    let handed_out = queue.lock(holder, limit, now, tokens(next));
                    next += handed_out.len() as u128;
                    prop_assert_eq!(sequences(&handed_out), free.into_iter().take(limit).collect::<Vec<_>>());
                }
                1 | 2 => {
                    let token = LockToken(u128::from(large) % next.max(1));
                    let settlement = [Settlement::Complete, Settlement::Reject, Settlement::Abandon][(small % 3) as usize];
                    let is_held = queue.entries().iter().any(|entry| entry.held(now).is_some_and(|lock| lock.token == token));
                    let settled = queue.settle(token, settlement, now, 3);
                    prop_assert_eq!(settled.is_ok(), is_held);
                    gone += u64::from(matches!(settled, Ok(Settled::Completed(_) | Settled::DeadLettered { .. })));
                }
                _ => now = now.saturating_add(Duration::from_secs(large)),
            }
            prop_assert_eq!(queue.entries().len() as u64 + gone, 20);
            prop_assert!(queue.entries().is_sorted_by_key(|entry| entry.sequence));
        }
    }
}

#[test]
fn a_lock_token_shows_as_a_guid() {
    let token = LockToken(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    assert_eq!(token.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
}

#[test]
fn a_lock_token_reads_as_it_shows_and_in_no_other_way() {
    let token = LockToken(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    for text in [token.to_string(), token.to_string().to_uppercase()] {
        assert_eq!(text.parse(), Ok(token));
    }
    for text in
        ["", "7", "00112233445566778899aabbccddeeff", "+0112233-4455-6677-8899-aabbccddeeff", "0011223-34455-6677-8899-aabbccddeeff", "é"]
    {
        assert_eq!(text.parse::<LockToken>(), Err(InvalidLockToken(text.to_owned())));
    }
}
