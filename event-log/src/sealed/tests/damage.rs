use std::path::Path;

use model::{EventHubId, PartitionId, SequenceNumber};

use super::support::{Append, Built, DIRECTORY, HUB, Item, P0, append, build, flip, only, read_all, reopen};
use crate::disk::{Disk, FaultyDisk};
use crate::sealed::{SealedFault, SealedFile, path};

/// Two partitions of 60 batches each.
fn built() -> Built {
    let groups: Vec<(i64, Vec<Append>)> = (0..60).map(|time| (time, vec![append(0, 300), append(1, 300)])).collect();
    build(&FaultyDisk::new(1), 0, &groups)
}

fn whole(built: &Built, partition: u32) -> Vec<Item> {
    built.batches[&(HUB, PartitionId(partition))].iter().map(Item::from).collect()
}

/// What each region of the file is, by place.
struct Regions {
    data: std::ops::Range<u64>,
    index_at: u64,
    notes_at: u64,
    footer_at: u64,
    footer_copy_at: u64,
    trailer_at: u64,
}

fn regions(file: &SealedFile) -> Regions {
    let part = file.parts()[0];
    let (footer_at, footer_bytes) = (file.footer.notes.end().next_multiple_of(512), file.footer.encode().len() as u64);
    Regions {
        data: part.at..part.data_end(),
        index_at: file.footer.index_at,
        notes_at: file.footer.notes.at,
        footer_at,
        footer_copy_at: (footer_at + footer_bytes).next_multiple_of(512),
        trailer_at: file.file_bytes() - 512,
    }
}

#[test]
fn every_flipped_byte_of_a_partitions_data_costs_its_batch_and_no_other() {
    let built = built();
    let file = only(built.seal());
    let data = regions(&file).data;
    let frame_bytes = (data.end - data.start) / 60;
    let expected = whole(&built, 0);
    // The fourth frame, byte by byte, and the last one, whose successor cannot tell.
    for frame in [3, 59_u64] {
        for at in data.start + frame * frame_bytes..data.start + (frame + 1) * frame_bytes {
            flip(&built.disk, &file, at);
            let items = read_all(&file, P0);
            if items != expected {
                let number = frame as i64;
                let mut damaged = expected.clone();
                damaged[frame as usize] = Item::Gap(number, number + 1);
                assert_eq!(items, damaged, "byte {at}");
            }
            assert_eq!(read_all(&file, PartitionId(1)), whole(&built, 1));
            flip(&built.disk, &file, at);
        }
    }
    flip(&built.disk, &file, data.start + 3 * frame_bytes + 100);
    assert_ne!(read_all(&file, P0), expected, "a flipped byte of a body is seen");
}

#[test]
fn a_damaged_stretch_of_many_frames_is_one_gap() {
    let built = built();
    let file = only(built.seal());
    let data = regions(&file).data;
    let frame_bytes = (data.end - data.start) / 60;
    let (from, to) = ((data.start + 10 * frame_bytes) as usize, (data.start + 50 * frame_bytes + 1) as usize);
    built.disk.damage(file.path(), |content| content[from..to].fill(0xEE));
    let mut expected = whole(&built, 0);
    expected.splice(10..51, [Item::Gap(10, 51)]);
    assert_eq!(read_all(&file, P0), expected);
    let place = file.locate(P0, SequenceNumber(30)).expect("read").expect("located");
    let found = file.read(P0, place, SequenceNumber(30), SequenceNumber(60), 1).expect("read");
    assert_eq!(found.gap, Some(SequenceNumber(30)..SequenceNumber(51)), "a seek into the gap");
}

#[test]
fn index_damage_costs_speed_only() {
    let built = built();
    let index_at = regions(&only(built.seal())).index_at;
    for at in (index_at..index_at + 4096).step_by(13) {
        let file = only(built.seal());
        flip(&built.disk, &file, at);
        for sequence in [0, 17, 59] {
            let sequence = SequenceNumber(sequence);
            let place = file.locate(P0, sequence).expect("read").expect("located");
            let found = file.read(P0, place, sequence, SequenceNumber(60), 1).expect("read");
            assert_eq!(found.batches[0].wanted, sequence);
            assert!(found.gap.is_none());
        }
        assert!(file.has_index_damage(), "byte {at} was believed");
        assert!(file.lost().is_empty());
    }
}

#[test]
fn one_damaged_end_does_not_keep_a_file_from_opening_and_two_do() {
    let built = built();
    let file = only(built.seal());
    let regions = regions(&file);
    let (front, back) = (
        [0, 20, 511, regions.footer_at, regions.footer_at + 60],
        [regions.trailer_at, regions.trailer_at + 50, file.file_bytes() - 1, regions.footer_copy_at, regions.footer_copy_at + 60],
    );
    for at in front.into_iter().chain(back) {
        flip(&built.disk, &file, at);
        assert_eq!(read_all(&reopen(&built.disk, &file), P0), whole(&built, 0), "byte {at}");
        flip(&built.disk, &file, at);
    }
    for (front, back) in front.into_iter().flat_map(|front| back.map(|back| (front, back))) {
        flip(&built.disk, &file, front);
        flip(&built.disk, &file, back);
        let opened = SealedFile::open(&built.disk, file.path());
        assert!(matches!(opened, Err(SealedFault::Damaged { .. })), "bytes {front} and {back}: {opened:?}");
        flip(&built.disk, &file, front);
        flip(&built.disk, &file, back);
    }
}

#[test]
fn notes_that_do_not_verify_are_not_handed_out() {
    let built = built();
    let file = only(built.seal());
    flip(&built.disk, &file, regions(&file).notes_at + 2);
    let file = reopen(&built.disk, &file);
    assert_eq!(file.notes().expect("read"), None);
    assert_eq!(read_all(&file, P0), whole(&built, 0));
}

#[test]
fn a_truncated_file_opens_never_or_names_what_is_gone() {
    let built = built();
    let file = only(built.seal());
    let length = file.file_bytes() as usize;
    for kept in (0..length).step_by(509) {
        let disk = FaultyDisk::new(1);
        disk.create(file.path()).expect("created").write_at(&built.disk.content(file.path())[..kept.max(1)], 0).expect("written");
        match SealedFile::open(&disk, file.path()) {
            Ok(file) => assert_eq!(read_all(&file, P0), whole(&built, 0), "{kept} of {length} bytes"),
            Err(SealedFault::Damaged { .. }) => {}
            Err(fault) => panic!("{kept} of {length} bytes: {fault}"),
        }
    }
    // Open while it is cut: what the file has no more is a gap, not silence and not an endless loop.
    let cut = regions(&file).data.start as usize + 1000;
    built.disk.damage(file.path(), |content| content.truncate(cut));
    let items = read_all(&file, P0);
    assert!(matches!(items.as_slice(), [Item::Batch(0, _), Item::Batch(1, _), Item::Gap(2, 60)]), "{items:?}");
}

#[test]
fn a_file_under_the_name_of_another_epoch_or_hub_is_foreign() {
    let built = built();
    let file = only(built.seal());
    for (epoch, hub) in [(8, HUB), (7, EventHubId(4))] {
        let other = path(Path::new(DIRECTORY), epoch, hub);
        built.disk.create(&other).expect("created").write_at(&built.disk.content(file.path()), 0).expect("written");
        assert!(matches!(SealedFile::open(&built.disk, &other), Err(SealedFault::Foreign)));
    }
}

#[test]
fn nothing_of_a_file_verifies_under_another_identity() {
    let identities: [fn(&mut SealedFile); 3] =
        [|file| file.identity.segment.log_id += 1, |file| file.identity.segment.epoch += 1, |file| file.identity.hub.0 += 1];
    for change in identities {
        let mut file = only(built().seal());
        change(&mut file);
        assert_eq!(read_all(&file, P0), [Item::Gap(0, 60)]);
        assert!(file.has_index_damage());
        assert_eq!(file.notes().expect("read"), None);
    }
}

#[test]
fn a_later_version_is_told_apart_from_damage() {
    let built = built();
    let file = only(built.seal());
    built.disk.damage(file.path(), |content| {
        let at = content.len() - 512;
        content[at + 11] = 9;
        let sum = crc32c::crc32c_append(crc32c::crc32c(&content[at..at + 12]), &content[at + 16..at + 512]);
        content[at + 12..at + 16].copy_from_slice(&sum.to_be_bytes());
    });
    assert!(matches!(SealedFile::open(&built.disk, file.path()), Err(SealedFault::Version(9))));
}

#[test]
fn what_does_not_verify_in_the_segment_is_left_out_and_named() {
    let truth = built();
    let segment = crate::segment::path(Path::new(DIRECTORY), 7);
    let content = truth.disk.content(&segment);
    let group = (4096..content.len()).step_by(512).filter(|at| content[*at..].starts_with(b"IGRP")).nth(20).expect("a group");
    // The group's header; the first frame's header; its batch; the second frame's batch.
    for (at, lost) in [(group + 20, vec![]), (group + 64 + 10, vec![0]), (group + 64 + 200, vec![0]), (group + 64 + 500, vec![1])] {
        let built = built();
        built.disk.damage(&segment, |content| content[at] ^= 1);
        let file = reopen(&built.disk, &only(built.seal()));
        for partition in [0, 1_u32] {
            let mut expected = whole(&truth, partition);
            if lost.contains(&partition) {
                expected[20] = Item::Gap(20, 21);
            }
            assert_eq!(read_all(&file, PartitionId(partition)), expected, "byte {at}");
        }
        let named: Vec<(u32, i64, i64)> = file.lost().iter().map(|range| (range.partition.0, range.from.0, range.to.0)).collect();
        assert_eq!(named, lost.iter().map(|partition| (*partition, 20, 20)).collect::<Vec<_>>());
    }
}
