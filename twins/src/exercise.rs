//! One round of fuzzing, as a plain function: the fuzz target and the replay of the corpus both
//! call it.

use model::Timestamp;

use crate::document::{self, SectionName};
use crate::twin::{self, Change, StoredSection};

/// Reads `input` as two documents parted by the first line break, writes the first into a new
/// section and merges the second, and holds the outcome against what is promised of any input.
///
/// # Panics
/// When a promise is broken: what is accepted can be read again, obeys the rules itself, and
/// raises the version by one.
pub fn exercise_document(input: &[u8]) {
    let line_break = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (first, second) = input.split_at(line_break);
    let mut section = StoredSection::new(Timestamp::NEVER);
    for (text, change) in [(first, Change::Replace), (second, Change::Merge)] {
        // Whatever the service's parser makes of it, it must not panic.
        let _ = document::parse_twin_patch(text);
        let Ok(mut document) = document::parse(text) else { continue };
        twin::take_system_members(&mut document);
        if document::check(&document).is_err() {
            continue;
        }
        let Ok(changed) = section.changed(SectionName::Reported, &document, change, Timestamp::NEVER) else { continue };
        assert_eq!(changed.version, section.version + 1, "the version grows by one");
        let stored = document::parse(changed.properties.as_bytes());
        assert!(stored.is_ok_and(|stored| document::check(&stored).is_ok()), "what is stored obeys the rules");
        assert!(changed.shown().is_some(), "what is stored can be shown");
        section = changed;
    }
}
