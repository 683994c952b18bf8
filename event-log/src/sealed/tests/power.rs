use std::path::Path;

use super::support::{Built, DIRECTORY, HUB, Item, P0, append, build, notes_of, read_all};
use crate::disk::{Disk, Faults, FaultyDisk};
use crate::sealed::{SealedFault, SealedFile, path};

fn built(seed: u64) -> Built {
    let groups: Vec<_> = (0..12).map(|time| (time, (0..4).map(|partition| append(partition, 700)).collect())).collect();
    let disk = FaultyDisk::new(seed);
    let built = build(&disk, 0, &groups);
    built.segment.file.sync_all().expect("synced");
    disk.sync_directory(Path::new(DIRECTORY)).expect("synced");
    built
}

/// After any end of sealing a file is whole or cannot be opened.
fn check_all_or_nothing(built: &Built, what: &str) {
    let path = path(Path::new(DIRECTORY), 7, HUB);
    let is_there = built.disk.paths().contains(&path);
    match SealedFile::open(&built.disk, &path) {
        Ok(file) => {
            for part in file.parts() {
                let truth: Vec<Item> = built.batches[&(file.hub(), part.partition)].iter().map(Item::from).collect();
                assert_eq!(read_all(&file, part.partition), truth, "{what}");
            }
            assert_eq!(file.notes().expect("read").as_deref(), Some(notes_of(file.hub()).as_slice()), "{what}");
            assert!(file.part(P0).is_some() && !file.has_index_damage(), "{what}");
        }
        Err(SealedFault::Disk(error)) => assert!(!is_there, "{what}: {error}"),
        Err(SealedFault::Damaged { .. }) => {}
        Err(fault) => panic!("{what}: {fault}"),
    }
}

fn calls_of_sealing() -> u64 {
    let built = built(1);
    let before = built.disk.calls();
    built.seal();
    built.disk.calls() - before
}

#[test]
fn power_cut_at_any_call_leaves_the_whole_file_or_none() {
    let calls = calls_of_sealing();
    assert!(calls > 8);
    for (seed, call) in (1..40).flat_map(|seed| (1..=calls).map(move |call| (seed, call))) {
        let built = built(seed);
        built.disk.set_faults(Faults { cut_call: Some(built.disk.calls() + call), ..Faults::default() });
        assert!(built.try_seal().is_err(), "call {call} is one of sealing");
        built.disk.restart();
        check_all_or_nothing(&built, &format!("seed {seed}, call {call}"));
    }
}

#[test]
fn power_cut_after_sealing_and_syncing_the_directory_keeps_the_file() {
    for seed in 1..20 {
        let built = built(seed);
        built.seal();
        built.disk.sync_directory(Path::new(DIRECTORY)).expect("synced");
        built.disk.cut_power();
        built.disk.restart();
        SealedFile::open(&built.disk, &path(Path::new(DIRECTORY), 7, HUB)).expect("still there");
        check_all_or_nothing(&built, &format!("seed {seed}"));
    }
}

#[test]
fn a_failed_call_fails_sealing_and_sealing_again_succeeds() {
    for call in 1..=calls_of_sealing() {
        let built = built(3);
        built.disk.set_faults(Faults { fail_call: Some(built.disk.calls() + call), short_writes: true, ..Faults::default() });
        let _ = built.try_seal();
        built.disk.set_faults(Faults::default());
        built.seal();
        built.disk.sync_directory(Path::new(DIRECTORY)).expect("synced");
        check_all_or_nothing(&built, &format!("call {call}"));
        assert!(SealedFile::open(&built.disk, &path(Path::new(DIRECTORY), 7, HUB)).is_ok());
    }
}
