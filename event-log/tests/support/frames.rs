//! Where batches lie in the files of a log, told by their magic bytes alone, as drawn in
//! `docs/event-log-format.md`: independent of the log's own code.

use std::ops::Range;

use model::PartitionId;

/// A frame in a file.
#[derive(Debug, Clone)]
pub struct Stored {
    pub partition: PartitionId,
    pub base: i64,
    pub bytes: Range<u64>,
    /// Where its group begins; 0 in a sealed file.
    pub group_at: u64,
}

/// The frames of a segment or a sealed file. Bodies must not hold the magic bytes.
pub fn stored(content: &[u8]) -> Vec<Stored> {
    let number = |at: usize| content.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let mut frames = Vec::new();
    let mut group_at = 0;
    for at in (0..content.len()).step_by(8) {
        let rest = &content[at..];
        if at % 512 == 0 && rest.starts_with(b"IGRP") {
            group_at = at as u64;
        }
        if rest.starts_with(b"IFRM") {
            let base = content.get(at + 16..at + 24).and_then(|bytes| bytes.try_into().ok()).map_or(-1, i64::from_be_bytes);
            let end = at as u64 + 48 + u64::from(number(at + 36));
            frames.push(Stored { partition: PartitionId(number(at + 12)), base, bytes: at as u64..end, group_at });
        }
    }
    frames
}
