//! No input makes anything panic, and no made-up input is let in.

use certs::testkit::{Draft, fuzz, now};
use certs::{ca, show};
use proptest::prelude::*;
use std::path::Path;

/// The committed corpus: one folder for each entry point.
#[test]
fn the_corpus_replays() {
    for (name, entry) in [("judge", fuzz::judge as fn(&[u8])), ("admit_ca", fuzz::admit_ca), ("token", fuzz::token)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let inputs: Vec<_> = std::fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
        assert!(!inputs.is_empty(), "{name}");
        for input in inputs {
            entry(&std::fs::read(&input).expect("an input"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::judge(&bytes);
        fuzz::admit_ca(&bytes);
        fuzz::token(&bytes);
    }

    /// Certificates with a few bytes changed get further than noise does.
    #[test]
    fn changed_certificates_are_judged(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let made = Draft::authority("dev-1").permit_only(2, b"a.example").dns_name("x.example").self_signed();
        let mut der = made.der.to_vec();
        for (place, byte) in changes {
            *place.get_mut(&mut der) = byte;
        }
        fuzz::judge(&der);
        let _ = ca::admit(&made.with_der(der.clone()).pem(), Vec::new(), now());
        let _ = show::summarize(&made.with_der(der).pem());
    }

    #[test]
    fn changed_tokens_are_refused(fields in prop::collection::vec("(sr|sig|se|skn|x)=[a-zA-Z0-9%/+=-]{0,20}", 0..6)) {
        fuzz::token(format!("SharedAccessSignature {}", fields.join("&")).as_bytes());
    }
}
