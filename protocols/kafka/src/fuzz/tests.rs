//! The committed corpus and mutations of it.

use std::path::Path;

#[path = "../../../../fuzz/replay.rs"]
mod replay;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    replay::replay(&folder, 5, 2_000, run);
}

#[test]
fn requests_survive_the_corpus_and_its_mutations() {
    replay("kafka_request", super::kafka_request);
}

#[test]
fn authentication_survives_the_corpus_and_its_mutations() {
    replay("kafka_sasl", super::kafka_sasl);
}
