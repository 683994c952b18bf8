//! Replays a committed corpus, and a bounded number of mutations of it from a fixed seed. One file,
//! part of the tests of each crate that has a corpus: no crate has to depend on another for it.

use std::fs;
use std::path::Path;

/// Runs every file in `folder`, at least `files_min` of them, and `mutations` of each.
pub(super) fn replay(folder: &Path, files_min: usize, mutations: usize, run: fn(&[u8])) {
    let mut paths: Vec<_> = fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(paths.len() >= files_min, "the corpus is there");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for path in paths {
        let input = fs::read(&path).expect("a file");
        run(&input);
        for _ in 0..mutations {
            let mut mutated = input.clone();
            mutate(&mut mutated, &mut seed);
            run(&mutated);
        }
    }
}

fn next(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 16) as usize
}

/// Changes, inserts, removes or doubles a few bytes.
fn mutate(bytes: &mut Vec<u8>, seed: &mut u64) {
    for _ in 0..1 + next(seed) % 4 {
        let index = next(seed) % (bytes.len() + 1);
        match next(seed) % 5 {
            0 if index < bytes.len() => bytes[index] = next(seed) as u8,
            1 if index < bytes.len() => bytes[index] ^= 1 << (next(seed) % 8),
            2 => bytes.insert(index, [0, 1, 0x7f, 0x80, 0xff][next(seed) % 5]),
            3 if index < bytes.len() => drop(bytes.remove(index)),
            _ => bytes.extend_from_within(index..bytes.len().min(index + 64)),
        }
    }
}
