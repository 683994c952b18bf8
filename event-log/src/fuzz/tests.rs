//! Replays the committed corpus, and a bounded number of mutations of it from a fixed seed.

use std::fs;
use std::path::Path;

/// Mutations of each corpus file.
const MUTATIONS: usize = 2_000;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "the corpus is there");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for path in paths {
        let input = fs::read(&path).unwrap();
        run(&input);
        for _ in 0..MUTATIONS {
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
            3 if index < bytes.len() => {
                bytes.remove(index);
            }
            _ => {
                let tail = bytes[index..].to_vec();
                bytes.extend_from_slice(&tail[..tail.len().min(64)]);
            }
        }
    }
}

#[test]
fn taking_batches_survives_the_corpus_and_its_mutations() {
    replay("wire_batch", super::wire_batch);
}
