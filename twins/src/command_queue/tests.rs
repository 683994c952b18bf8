use std::collections::BTreeMap;
use std::time::Duration;

use model::Clock;
use proptest::prelude::*;

use super::*;

/// The queue as its documentation describes it, written the plainest way.
#[derive(Debug, Default)]
struct Reference {
    /// Sequence number to expiry, count and holder.
    waiting: BTreeMap<u64, (Timestamp, u32, Option<Lock>)>,
    dead: Vec<(u64, DeadLetterReason)>,
    completed: Vec<u64>,
}

impl Reference {
    fn expire(&mut self, now: Timestamp) {
        let expired: Vec<u64> =
            self.waiting.iter().filter(|(_, (expiry, _, lock))| lock.is_none() && *expiry <= now).map(|(s, _)| *s).collect();
        for sequence in expired {
            self.waiting.remove(&sequence);
            self.dead.push((sequence, DeadLetterReason::Expired));
        }
    }

    fn settle(&mut self, token: LockToken, settlement: Settlement) -> bool {
        let found = self.waiting.iter_mut().find(|(_, (_, _, lock))| lock.is_some_and(|lock| lock.token == token));
        let Some((&sequence, (_, count, lock))) = found else { return false };
        match settlement {
            Settlement::Complete => self.completed.push(sequence),
            Settlement::Reject => self.dead.push((sequence, DeadLetterReason::Rejected)),
            Settlement::Abandon => {
                *count += 1;
                *lock = None;
                if *count < COMMAND_DELIVERY_COUNT_MAX {
                    return true;
                }
                self.dead.push((sequence, DeadLetterReason::DeliveryCountExceeded));
            }
        }
        self.waiting.remove(&sequence);
        true
    }
}

#[derive(Debug, Clone)]
enum Step {
    Enqueue { life_seconds: u64 },
    Lock { owner: u64, limit: usize },
    Settle { token: u128, settlement: Settlement },
    Release { owner: u64 },
    Advance { seconds: u64 },
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    let settlement =
        prop_oneof![Just(Settlement::Complete), Just(Settlement::Reject), Just(Settlement::Abandon), Just(Settlement::Abandon)];
    prop_oneof![
        6 => (1_u64..100).prop_map(|life_seconds| Step::Enqueue { life_seconds }),
        4 => (0_u64..3, 0_usize..5).prop_map(|(owner, limit)| Step::Lock { owner, limit }),
        6 => (0_u128..60, settlement).prop_map(|(token, settlement)| Step::Settle { token, settlement }),
        2 => (0_u64..3).prop_map(|owner| Step::Release { owner }),
        2 => (0_u64..40).prop_map(|seconds| Step::Advance { seconds }),
        1 => Just(Step::Purge),
    ]
}

/// Runs `steps` on both; the queue's answers carry what becomes of each row.
fn run(steps: Vec<Step>) {
    let clock = Clock::manual(Timestamp::from_milliseconds(0));
    let (mut queue, mut reference) = (CommandQueue::default(), Reference::default());
    let (mut dead, mut completed) = (Vec::new(), Vec::new());
    let (mut sequence, mut token) = (0, 0);
    for step in steps {
        dead.extend(queue.expire(clock.now()).into_iter().map(|sequence| (sequence, DeadLetterReason::Expired)));
        reference.expire(clock.now());
        match step {
            Step::Enqueue { life_seconds } => {
                let expiry = clock.now().saturating_add(Duration::from_secs(life_seconds));
                let has_room = reference.waiting.len() < COMMAND_QUEUE_DEPTH_MAX;
                assert_eq!(queue.enqueue(sequence, expiry).is_ok(), has_room);
                if has_room {
                    reference.waiting.insert(sequence, (expiry, 0, None));
                }
                sequence += 1;
            }
            Step::Lock { owner, limit } => {
                let free: Vec<u64> =
                    reference.waiting.iter().filter(|(_, (_, _, lock))| lock.is_none()).map(|(s, _)| *s).take(limit).collect();
                let handed_out = queue.lock(LockOwner(owner), limit, || {
                    token += 1;
                    LockToken(token)
                });
                assert_eq!(handed_out.iter().map(|(entry, _)| entry.sequence).collect::<Vec<_>>(), free);
                for (entry, token) in handed_out {
                    let lock = Some(Lock { token, owner: LockOwner(owner) });
                    reference.waiting.entry(entry.sequence).and_modify(|row| row.2 = lock);
                }
            }
            Step::Settle { token, settlement } => {
                let settled = queue.settle(LockToken(token), settlement);
                assert_eq!(settled.is_ok(), reference.settle(LockToken(token), settlement));
                match settled {
                    Ok(Settled::Completed { sequence }) => completed.push(sequence),
                    Ok(Settled::DeadLettered { sequence, reason }) => dead.push((sequence, reason)),
                    Ok(Settled::Requeued { .. }) | Err(LockLost) => {}
                }
            }
            Step::Release { owner } => {
                queue.release(LockOwner(owner));
                for (_, _, lock) in reference.waiting.values_mut() {
                    *lock = lock.filter(|lock| lock.owner != LockOwner(owner));
                }
            }
            Step::Advance { seconds } => clock.advance(Duration::from_secs(seconds)),
            Step::Purge => {
                assert_eq!(queue.purge(), reference.waiting.len());
                reference.waiting.clear();
            }
        }
        let entries: Vec<_> = queue.entries().iter().map(|e| (e.sequence, (e.expiry, e.delivery_count, e.lock))).collect();
        assert_eq!(entries, reference.waiting.clone().into_iter().collect::<Vec<_>>(), "same commands in the same order");
    }
    assert_eq!((dead, completed), (reference.dead, reference.completed));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_operations_agrees_with_the_reference(steps in prop::collection::vec(step(), 0..150)) {
        run(steps);
    }
}

#[test]
fn the_fifty_first_command_is_refused() {
    let mut queue = CommandQueue::default();
    for sequence in 0..50 {
        assert_eq!(queue.enqueue(sequence, Timestamp::MAX), Ok(()));
    }
    assert_eq!(queue.enqueue(50, Timestamp::MAX), Err(QueueFull));
    // One that is handed out still takes its place.
    queue.lock(LockOwner(1), 1, || LockToken(1));
    assert_eq!(queue.enqueue(50, Timestamp::MAX), Err(QueueFull));
}

#[test]
fn the_tenth_abandonment_dead_letters() {
    let mut queue = CommandQueue::default();
    queue.enqueue(7, Timestamp::MAX).expect("room");
    for count in 1..=10 {
        queue.lock(LockOwner(1), 1, || LockToken(count));
        let expect = match u32::try_from(count).expect("small") {
            10 => Settled::DeadLettered { sequence: 7, reason: DeadLetterReason::DeliveryCountExceeded },
            delivery_count => Settled::Requeued { sequence: 7, delivery_count },
        };
        assert_eq!(queue.settle(LockToken(count), Settlement::Abandon), Ok(expect));
    }
    assert!(queue.entries().is_empty());
}

#[test]
fn a_lock_token_shows_as_a_guid() {
    let token = LockToken(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    assert_eq!(token.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
}
