//! The committed corpus and mutations of it.

use std::path::Path;

#[path = "../../../fuzz/replay.rs"]
mod replay;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    replay::replay(&folder, 10, 2_000, run);
}

#[test]
fn taking_batches_survives_the_corpus_and_its_mutations() {
    replay("wire_batch", super::wire_batch);
}
