use std::path::Path;

use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};
use proptest::prelude::*;

use super::support::{Append, Built, DIRECTORY, HUB, Item, append, build, notes_of, only, read_all, read_from, reopen};
use crate::disk::FaultyDisk;
use crate::format::Position;
use crate::sealed::{name_parts, path, seal};

fn appends() -> impl Strategy<Value = Append> {
    let bodies = prop_oneof![8 => 0..600_usize, 1 => 0..20_000_usize];
    (0..3_u32, 0..5_u32, 1..4_u32, bodies, -50..50_i64).prop_map(|(hub, partition, count, body_bytes, record_time)| Append {
        key: (EventHubId(hub), PartitionId(partition)),
        count,
        body_bytes,
        record_time,
    })
}

pub(super) fn groups() -> impl Strategy<Value = Vec<(i64, Vec<Append>)>> {
    prop::collection::vec((0..3_i64, prop::collection::vec(appends(), 1..12)), 1..30).prop_map(|mut groups| {
        let mut time = 1000;
        for group in &mut groups {
            time += group.0;
            group.0 = time;
        }
        groups
    })
}

fn check_against_truth(built: &Built) {
    let files = built.seal();
    let hubs: Vec<EventHubId> = files.iter().map(|file| file.hub()).collect();
    let mut expected: Vec<EventHubId> = built.batches.keys().map(|(hub, _)| *hub).collect();
    expected.dedup();
    assert_eq!(hubs, expected);
    for (file, reopened) in files.iter().map(|file| (file, reopen(&built.disk, file))) {
        assert_eq!(file.parts(), reopened.parts());
        assert_eq!((reopened.epoch(), reopened.log_id()), (7, 0xA11CE));
        assert_eq!(reopened.file_bytes() as usize, built.disk.content(reopened.path()).len());
        assert_eq!(reopened.notes().expect("read").as_deref(), Some(notes_of(file.hub()).as_slice()));
        assert!(reopened.lost().is_empty());
        let keys: Vec<PartitionId> = built.batches.keys().filter(|key| key.0 == file.hub()).map(|key| key.1).collect();
        assert_eq!(reopened.parts().iter().map(|part| part.partition).collect::<Vec<_>>(), keys);
        for part in reopened.parts() {
            let batches = &built.batches[&(file.hub(), part.partition)];
            let expected: Vec<Item> = batches.iter().map(Item::from).collect();
            for bytes_max in [1, 900, 1 << 20] {
                let start = reopened.locate(part.partition, part.first).expect("read").expect("located");
                assert_eq!(read_from(&reopened, part.partition, start, bytes_max), expected);
            }
            assert_eq!(part.frames as usize, batches.len());
            assert_eq!(part.batch_bytes, batches.iter().map(|batch| batch.bytes.len() as u64).sum::<u64>());
            assert_eq!((Some(part.first), Some(part.end)), (batches.first().map(|b| b.base), batches.last().map(|b| b.end())));
            assert_eq!(part.append_time_max, batches.last().expect("a batch").append_time);
            let newest_record = batches.iter().flat_map(|batch| batch.events()).map(|event| event.expect("whole").timestamp).max();
            assert_eq!(Some(part.record_time_max), newest_record);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sealed_files_give_back_what_the_segment_holds(groups in groups(), first in 0..3_i64) {
        check_against_truth(&build(&FaultyDisk::new(1), first, &groups));
    }
}

#[test]
fn partitions_without_new_events_have_no_part_and_hubs_not_kept_no_file() {
    let disk = FaultyDisk::new(1);
    let mut built = build(&disk, 0, &[(5, vec![append(0, 10), Append { key: (EventHubId(9), PartitionId(0)), ..append(0, 10) }])]);
    let still = Position { hub: HUB, partition: PartitionId(4), next: SequenceNumber(12), last_time: Timestamp::from_milliseconds(1) };
    built.starts.push(still);
    built.ends.push(still);
    let kept = seal(&disk, Path::new(DIRECTORY), &built.segment, &built.starts, &built.ends, &|hub| hub == HUB, &notes_of);
    let file = only(kept.expect("sealed"));
    assert_eq!(file.hub(), HUB);
    assert_eq!(file.parts().len(), 1);
    assert!(file.part(PartitionId(4)).is_none());
    assert_eq!(file.locate(PartitionId(4), SequenceNumber(0)).expect("read"), None);
}

#[test]
fn numbers_that_no_frame_has_are_lost_and_parts_tile() {
    let disk = FaultyDisk::new(1);
    let mut built = build(&disk, 10, &[(5, vec![append(0, 10), append(1, 10)]), (6, vec![append(0, 10), append(1, 10)])]);
    let position = |partition, next, time| Position {
        hub: HUB,
        partition: PartitionId(partition),
        next: SequenceNumber(next),
        last_time: Timestamp::from_milliseconds(time),
    };
    // Partition 0 stood further back and came further; 1 is named by neither, so it began at 0; 2 lost everything.
    built.starts = vec![position(0, 8, 1), position(2, 3, 1)];
    built.ends = vec![position(0, 15, 6), position(2, 5, 9)];
    let file = reopen(&disk, &only(built.seal()));
    let bounds: Vec<(i64, i64)> = file.parts().iter().map(|part| (part.first.0, part.end.0)).collect();
    assert_eq!(bounds, [(8, 15), (0, 12), (3, 5)]);
    let lost: Vec<(u32, i64, i64)> = file.lost().iter().map(|range| (range.partition.0, range.from.0, range.to.0)).collect();
    assert_eq!(lost, [(0, 8, 9), (0, 12, 14), (1, 0, 9), (2, 3, 4)]);
    let items = read_all(&file, PartitionId(0));
    assert!(matches!(items.as_slice(), [Item::Gap(8, 10), Item::Batch(10, _), Item::Batch(11, _), Item::Gap(12, 15)]), "{items:?}");
    assert_eq!(read_all(&file, PartitionId(2)), [Item::Gap(3, 5)]);
    assert_eq!(file.newest(), Timestamp::from_milliseconds(9));
}

#[test]
fn frames_beyond_what_the_partition_reached_are_left_out() {
    let disk = FaultyDisk::new(1);
    let mut built = build(&disk, 0, &[(5, vec![append(0, 10), append(0, 10), append(0, 10)])]);
    built.starts[0].next = SequenceNumber(1);
    built.ends[0].next = SequenceNumber(2);
    let file = only(built.seal());
    let items = read_all(&file, PartitionId(0));
    assert!(matches!(items.as_slice(), [Item::Batch(1, _)]), "{items:?}");
}

#[test]
fn a_thousand_partitions_with_one_frame_each_stay_small() {
    let disk = FaultyDisk::new(1);
    let built = build(&disk, 0, &[(5, (0..1024).map(|partition| append(partition, 100)).collect())]);
    let file = reopen(&disk, &only(built.seal()));
    assert_eq!(file.parts().len(), 1024);
    assert!(file.file_bytes() < 1024 * 700 + 64 * 1024, "{}", file.file_bytes());
    for partition in [0, 126, 127, 128, 1023] {
        assert_eq!(read_all(&file, PartitionId(partition)).len(), 1);
    }
}

#[test]
fn more_than_the_buffers_hold_is_written_in_order() {
    let disk = FaultyDisk::new(1);
    let group = |time| (time, (0..40).map(|number| append(number % 3, 3000)).collect());
    check_against_truth(&build(&disk, 0, &(0..20).map(group).collect::<Vec<_>>()));
    // So many partitions that no buffer keeps the begin of a page.
    let key = |number: u32| (EventHubId(number % 2), PartitionId(number / 2));
    let group = |time| (time, (0..1200).map(|number| Append { key: key(number), ..append(0, 3000) }).collect());
    check_against_truth(&build(&disk, 0, &(0..3).map(group).collect::<Vec<_>>()));
}

#[test]
fn a_sealed_files_name_gives_epoch_and_hub_back() {
    for (epoch, hub) in [(0, 0), (7, 3), (u64::MAX, u32::MAX)] {
        let path = path(Path::new(DIRECTORY), epoch, EventHubId(hub));
        assert_eq!(path.file_name().and_then(|name| name.to_str()).and_then(name_parts), Some((epoch, EventHubId(hub))));
    }
    for other in
        ["1-2.sealed", "00000000000000000001.log", "00000000000000000001-0000000002.sealed.tmp", "00000000000000000001-9999999999.sealed"]
    {
        assert_eq!(name_parts(other), None, "{other}");
    }
}
