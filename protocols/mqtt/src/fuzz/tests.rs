//! The committed corpus and mutations of it.

use std::path::Path;

#[path = "../../../../fuzz/replay.rs"]
mod replay;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    replay::replay(&folder, 10, 3_000, run);
}

#[test]
fn decoding_survives_the_corpus_and_its_mutations() {
    replay("mqtt_decode", super::mqtt_decode);
}

#[test]
fn a_session_survives_the_corpus_and_its_mutations() {
    replay("mqtt_session", super::mqtt_session);
}
