use model::{SequenceNumber, Timestamp};
use proptest::prelude::*;

use super::round_trip::groups;
use super::support::{Append, Built, Item, append, build, only, read_from, reopen};
use crate::batch::StoredBatch;
use crate::disk::FaultyDisk;
use crate::sealed::{Place, SealedFile};

/// The batches from a place on begin no later than the one wanted and hardly earlier.
fn check(file: &SealedFile, batches: &[StoredBatch], place: Option<Place>, wanted: Option<usize>) {
    let partition = file.parts()[0].partition;
    assert_eq!(place.is_some(), wanted.is_some());
    let (Some(place), Some(wanted)) = (place, wanted) else { return };
    let items = read_from(file, partition, place, 64 * 1024);
    let expected: Vec<Item> = batches.iter().map(Item::from).collect();
    assert!(expected.ends_with(&items), "reading goes on to the end");
    let start = expected.len() - items.len();
    assert!(start <= wanted, "batch {start} lies behind the one wanted, {wanted}");
    let overshoot: usize = batches[start..wanted].iter().map(|batch| batch.bytes.len() + 56).sum();
    let largest = batches.iter().map(|batch| batch.bytes.len() + 56).max().unwrap_or(0);
    assert!(overshoot <= 4096 + 2 * largest, "a seek overshoots by {overshoot} bytes");
}

fn check_seeks(built: &Built) {
    for file in built.seal().iter().map(|file| reopen(&built.disk, file)) {
        let part = file.parts()[0];
        let batches = &built.batches[&(file.hub(), part.partition)];
        for sequence in (part.first.0..part.end.0 + 2).map(SequenceNumber) {
            let wanted = batches.iter().position(|batch| batch.end() > sequence);
            check(&file, batches, file.locate(part.partition, sequence).expect("read"), wanted);
        }
        for time in (990..1100).map(Timestamp::from_milliseconds) {
            let wanted = batches.iter().position(|batch| batch.append_time >= time);
            check(&file, batches, file.locate_time(part.partition, time).expect("read"), wanted);
        }
        for time in (-60..70).map(Timestamp::from_milliseconds) {
            let holds = |batch: &StoredBatch| batch.events().any(|event| event.expect("whole").timestamp >= time);
            let wanted = batches.iter().position(holds);
            check(&file, batches, file.locate_timestamp(part.partition, time).expect("read"), wanted);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn seeks_agree_with_a_walk_through_everything(groups in groups()) {
        check_seeks(&build(&FaultyDisk::new(1), 4, &groups));
    }
}

#[test]
fn seeks_in_an_index_of_many_blocks_end_at_the_right_frame() {
    let disk = FaultyDisk::new(1);
    let group = |number: i64| {
        let large = |partition| Append { record_time: number, ..append(partition, 5000) };
        (1000 + number, vec![large(0), large(1), large(2)])
    };
    let built = build(&disk, 0, &(0..400).map(group).collect::<Vec<_>>());
    let file = reopen(&disk, &only(built.seal()));
    for part in file.parts() {
        assert_eq!(part.index.count, 400);
        for number in 0..400 {
            let place = file.locate(part.partition, SequenceNumber(number)).expect("read").expect("located");
            assert_eq!(place.sequence(), SequenceNumber(number));
            let place = file.locate_time(part.partition, Timestamp::from_milliseconds(1000 + number)).expect("read").expect("located");
            assert_eq!(place.sequence().0, (number - 1).max(0));
            let place = file.locate_timestamp(part.partition, Timestamp::from_milliseconds(number)).expect("read").expect("located");
            assert_eq!(place.sequence().0, (number - 1).max(0));
        }
    }
    assert!(!file.has_index_damage());
}
