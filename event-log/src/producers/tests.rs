//! Decisions in tables, and at random against a model that keeps everything.

use model::PartitionId;
use proptest::prelude::*;

use super::*;
use crate::error::LogFailed;

const KEY: PartitionKey = (EventHubId(1), PartitionId(2));
const NOW: Timestamp = Timestamp::MAX;

fn stamp(id: i64, epoch: i16, first_sequence: i32) -> ProducerStamp {
    ProducerStamp { id, epoch, first_sequence }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Appended,
    Repeats(i64),
    Refused(SequenceError),
}

/// A table with the position that the next batch gets.
struct Table {
    producers: Producers,
    next: i64,
    group: Arc<GroupState>,
}

impl Table {
    fn new(bounds: Bounds) -> Self {
        Self { producers: Producers::with_bounds(bounds), next: 0, group: GroupState::durable() }
    }

    fn send(&mut self, stamp: ProducerStamp, count: u32) -> Answer {
        match self.producers.decide(KEY, stamp, count) {
            Err(error) => Answer::Refused(error),
            Ok(Decision::Repeat { base, .. }) => Answer::Repeats(base.0),
            Ok(Decision::Append) => {
                self.producers.note_staged(KEY, stamp, count, SequenceNumber(self.next), Arc::clone(&self.group), NOW);
                self.next += i64::from(count);
                Answer::Appended
            }
        }
    }

    fn check(&mut self, stamp: ProducerStamp, count: u32, answer: Answer) {
        assert_eq!(self.send(stamp, count), answer, "{stamp:?}, {count} records");
    }
}

fn out_of_order(expected: i32, got: i32) -> Answer {
    Answer::Refused(SequenceError::OutOfOrder { expected, got })
}

fn table() -> Table {
    Table::new(Bounds::default())
}

#[test]
fn an_unknown_producer_may_begin_anywhere_and_then_goes_on() {
    let mut table = table();
    table.check(stamp(7, 3, 100), 10, Answer::Appended);
    table.check(stamp(7, 3, 110), 5, Answer::Appended);
    table.check(stamp(7, 3, 116), 1, out_of_order(115, 116));
    table.check(stamp(7, 3, 114), 1, out_of_order(115, 114));
    table.check(stamp(7, 3, 115), 1, Answer::Appended);
    // Another producer has a sequence of its own.
    table.check(stamp(8, 0, 0), 1, Answer::Appended);
}

#[test]
fn one_of_the_last_five_batches_sent_again_has_its_old_position() {
    let mut table = table();
    for number in 0..6 {
        table.check(stamp(1, 0, 2 * number), 2, Answer::Appended);
    }
    for number in 1..6 {
        table.check(stamp(1, 0, 2 * number), 2, Answer::Repeats(i64::from(2 * number)));
    }
    table.check(stamp(1, 0, 0), 2, out_of_order(12, 0));
    // Same beginning, other length: not the same batch.
    table.check(stamp(1, 0, 10), 3, out_of_order(12, 10));
    table.check(stamp(1, 0, 12), 2, Answer::Appended);
}

#[test]
fn a_newer_epoch_begins_at_0_and_ends_the_older_one() {
    let mut table = table();
    table.check(stamp(1, 4, 0), 3, Answer::Appended);
    table.check(stamp(1, 5, 3), 1, out_of_order(0, 3));
    table.check(stamp(1, 5, 0), 3, Answer::Appended);
    table.check(stamp(1, 5, 0), 3, Answer::Repeats(3));
    table.check(stamp(1, 4, 3), 1, Answer::Refused(SequenceError::Fenced { current_epoch: 5, got: 4 }));
}

#[test]
fn sequences_go_on_at_0_after_the_largest() {
    let mut table = table();
    table.check(stamp(1, 0, i32::MAX - 2), 3, Answer::Appended);
    table.check(stamp(1, 0, 0), 2, Answer::Appended);
    table.check(stamp(1, 0, 2), 1, Answer::Appended);
    let mut across = self::table();
    across.check(stamp(1, 0, i32::MAX - 1), 4, Answer::Appended);
    across.check(stamp(1, 0, i32::MAX - 1), 4, Answer::Repeats(0));
    across.check(stamp(1, 0, 2), 1, Answer::Appended);
}

#[test]
fn batches_of_a_failed_group_are_forgotten_and_may_come_again() {
    let mut table = table();
    table.check(stamp(1, 0, 0), 2, Answer::Appended);
    table.group = Arc::default();
    table.check(stamp(1, 0, 2), 2, Answer::Appended);
    table.check(stamp(1, 0, 4), 2, Answer::Appended);
    table.check(stamp(1, 0, 2), 2, Answer::Repeats(2));
    table.group.resolve(Err(LogFailed::Closed));
    table.group = GroupState::durable();
    table.check(stamp(1, 0, 4), 2, out_of_order(2, 4));
    table.check(stamp(1, 0, 2), 2, Answer::Appended);
    table.check(stamp(1, 0, 0), 2, Answer::Repeats(0));
}

#[test]
fn after_a_failed_group_the_first_batch_of_it_comes_before_any_later_one() {
    let mut table = table();
    table.group = Arc::default();
    table.check(stamp(1, 0, 10), 2, Answer::Appended);
    table.check(stamp(1, 0, 12), 2, Answer::Appended);
    table.group.resolve(Err(LogFailed::Closed));
    for _ in 0..2 {
        table.group = Arc::default();
        table.check(stamp(1, 0, 12), 2, out_of_order(10, 12));
        table.check(stamp(1, 0, 14), 2, out_of_order(10, 14));
        table.check(stamp(1, 0, 10), 2, Answer::Appended);
        table.check(stamp(1, 0, 12), 2, Answer::Appended);
        table.group.resolve(Err(LogFailed::Closed));
    }
    // A restarted producer begins again.
    table.group = GroupState::durable();
    table.check(stamp(1, 1, 10), 2, out_of_order(0, 10));
    table.check(stamp(1, 1, 0), 2, Answer::Appended);
    table.check(stamp(1, 1, 2), 2, Answer::Appended);
}

#[test]
fn the_producer_used_least_recently_is_forgotten_first() {
    let mut table = Table::new(Bounds { of_partition: 3, of_all: 100 });
    for id in [1, 2, 3] {
        table.check(stamp(id, 0, 0), 1, Answer::Appended);
    }
    table.check(stamp(1, 0, 1), 1, Answer::Appended);
    table.check(stamp(4, 0, 0), 1, Answer::Appended);
    // Forgotten, so any sequence is taken.
    table.check(stamp(2, 0, 50), 1, Answer::Appended);
    table.check(stamp(1, 0, 9), 1, out_of_order(2, 9));
    assert_eq!(table.producers.by_use.len(), 3);
}

#[test]
fn all_partitions_together_are_bounded() {
    let mut producers = Producers::with_bounds(Bounds { of_partition: 3, of_all: 5 });
    for partition in 0..10 {
        for id in 0..3 {
            let key = (EventHubId(1), PartitionId(partition));
            producers.note_staged(key, stamp(id, 0, 0), 1, SequenceNumber(0), GroupState::durable(), NOW);
        }
    }
    let left: usize = producers.partitions.values().map(HashMap::len).sum();
    assert_eq!((left, producers.by_use.len(), producers.partitions.len()), (5, 5, 2));
    producers.forget(EventHubId(1));
    assert_eq!((producers.partitions.len(), producers.by_use.len()), (0, 0));
}

#[test]
fn a_snapshot_brings_back_durable_batches_of_the_hub_used_within_a_day() {
    let moment = |hours: u64| Timestamp::from_milliseconds(0).saturating_add(Duration::from_hours(hours));
    let mut producers = Producers::default();
    let mut note = |hub: u32, id: i64, first: i32, group: Arc<GroupState>, hours: u64| {
        let key = (EventHubId(hub), PartitionId(2));
        producers.note_staged(key, stamp(id, 6, first), 2, SequenceNumber(i64::from(first) + 40), group, moment(hours));
    };
    note(1, 1, 0, GroupState::durable(), 1);
    note(1, 2, 0, GroupState::durable(), 2);
    note(1, 2, 2, GroupState::durable(), 26);
    note(1, 2, 4, Arc::default(), 26);
    note(9, 3, 0, GroupState::durable(), 26);
    let bytes = producers.snapshot(EventHubId(1));
    let mut table = table();
    table.producers.restore(EventHubId(1), &bytes).unwrap();
    assert_eq!(table.producers.snapshot(EventHubId(1)), bytes);
    assert_eq!(table.producers.by_use.len(), 1, "one was used too long ago, one belongs to another hub");
    table.check(stamp(2, 6, 2), 2, Answer::Repeats(42));
    table.check(stamp(2, 6, 5), 2, out_of_order(4, 5));
    // Restoring once more changes nothing.
    table.producers.restore(EventHubId(1), &bytes).unwrap();
    table.check(stamp(2, 6, 0), 2, Answer::Repeats(40));
    for length in 0..bytes.len() {
        assert_eq!(Producers::default().restore(EventHubId(1), &bytes[..length]), Err(MalformedSnapshot), "{length}");
    }
    assert_eq!(Producers::default().restore(EventHubId(1), &[&bytes[..], &[0]].concat()), Err(MalformedSnapshot));
}

#[test]
fn a_snapshot_in_pieces_misses_no_producer_that_is_used_meanwhile() {
    let hub = EventHubId(1);
    let mut producers = Producers::default();
    let note = |producers: &mut Producers, id: i64, first: i32| {
        let base = SequenceNumber(id * 10 + i64::from(first));
        producers.note_staged(KEY, stamp(id, 0, first), 1, base, GroupState::durable(), NOW);
    };
    let ids = 0..900_i64;
    ids.clone().for_each(|id| note(&mut producers, id, 0));
    let mut snapshot = Snapshot::begin(hub);
    // In each piece some are used again that were taken, and some that were not.
    let mut first = 1;
    while snapshot.take_piece(&producers) {
        for id in [3, 500, 700, 899] {
            note(&mut producers, id, first);
        }
        first += 1;
    }
    assert!(first > 1, "there was more than one piece");
    let mut restored = Producers::default();
    restored.restore(hub, &snapshot.finish()).unwrap();
    let runs = |producers: &Producers, id: i64| producers.partitions[&KEY][&id].batches.iter().map(|run| run.first).collect::<Vec<_>>();
    for id in ids {
        assert_eq!(runs(&restored, id), runs(&producers, id), "{id}");
    }
}

/// Everything that one producer stored, in its current epoch.
#[derive(Default)]
struct Model {
    epoch: i16,
    stored: Vec<(i32, u32, i64)>,
}

impl Model {
    fn answer(&self, stamp: ProducerStamp, count: u32) -> Answer {
        let got = stamp.first_sequence;
        let Some((first, length, _)) = self.stored.last() else { return Answer::Appended };
        if stamp.epoch < self.epoch {
            return Answer::Refused(SequenceError::Fenced { current_epoch: self.epoch, got: stamp.epoch });
        }
        if stamp.epoch > self.epoch {
            return if got == 0 { Answer::Appended } else { out_of_order(0, got) };
        }
        let known = self.stored.iter().rev().take(5).find(|(first, length, _)| (*first, *length) == (got, count));
        let expected = first.wrapping_add(*length as i32) & i32::MAX;
        match known {
            Some((_, _, base)) => Answer::Repeats(*base),
            None if got == expected => Answer::Appended,
            None => out_of_order(expected, got),
        }
    }

    fn append(&mut self, stamp: ProducerStamp, count: u32, base: i64) {
        if stamp.epoch > self.epoch {
            self.stored.clear();
        }
        self.epoch = stamp.epoch;
        self.stored.push((stamp.first_sequence, count, base));
    }
}

proptest! {
    #[test]
    fn repeats_gaps_and_epochs_are_judged_like_a_model_that_keeps_everything(
        sent in prop::collection::vec((0_i64..3, 0_i16..3, 0_u32..9, 1_u32..4, any::<bool>()), 1..120),
        start in prop::sample::select(vec![0, 1000, i32::MAX - 3]),
    ) {
        let (mut table, mut models) = (table(), HashMap::<i64, Model>::new());
        for (id, epoch, back, count, restarts) in sent {
            let model = models.entry(id).or_default();
            let next = model.stored.last().map_or(start, |(first, length, _)| first.wrapping_add(*length as i32) & i32::MAX);
            // Mostly the next sequence or one a little before it, of the present epoch.
            let epoch = if back < 7 { model.epoch } else { epoch };
            let first = if back < 4 { next } else { next.wrapping_sub(back as i32) & i32::MAX };
            let stamp = stamp(id, epoch, if back == 8 { 0 } else { first });
            let (expected, base) = (model.answer(stamp, count), table.next);
            let is_appended = expected == Answer::Appended;
            prop_assert_eq!(table.send(stamp, count), expected);
            if is_appended {
                model.append(stamp, count, base);
            }
            if restarts {
                let snapshot = table.producers.snapshot(KEY.0);
                table.producers = Producers::default();
                table.producers.restore(KEY.0, &snapshot).unwrap();
            }
        }
    }
}
