//! What the fuzzers run, as plain functions of bytes. Each asserts what must hold for any input; a
//! panic is a finding.

use bytes::Bytes;
use model::{SequenceNumber, Timestamp};

use crate::batch::{Batch, BatchError, Origin, StoredBatch, StoredEvent, WireLimits, with_true_checksum};

/// Takes the bytes as a batch from a producer, once as they are and once with length and checksum
/// made true, so that a fuzzer gets to the records. What is taken holds as many records as it
/// counts, in order, and reads back.
pub fn wire_batch(input: &[u8]) {
    check(Bytes::copy_from_slice(input));
    check(with_true_checksum(input));
}

fn check(bytes: Bytes) {
    let limits = WireLimits { batch_bytes_max: 64 * 1024, expanded_bytes_max: 256 * 1024, expansion_max: 64 };
    let Ok(batch) = Batch::from_wire(bytes, &limits) else { return };
    // As staging does.
    let base = SequenceNumber(700);
    let bytes = [&base.0.to_be_bytes(), batch.as_bytes().get(8..).unwrap_or_default()].concat().into();
    let append_time = Timestamp::default();
    let stored = StoredBatch { base, count: batch.count(), append_time, origin: Origin::Kafka, wanted: base, bytes };
    let events: Result<Vec<StoredEvent>, BatchError> = stored.events().collect();
    let Ok(events) = events else { panic!("a batch that was taken reads back: {events:?}") };
    assert_eq!(events.len(), batch.count() as usize, "the count is that of the records");
    assert!(events.iter().zip(base.0..).all(|(event, number)| event.sequence.0 == number), "numbers have no gap");
    let latest = events.iter().map(|event| event.timestamp).max();
    assert_eq!(latest, Some(batch.max_timestamp()), "the maximum timestamp is that of the records");
    assert_eq!(stored.max_timestamp_of_records().map(|(_, timestamp)| timestamp), latest);
    assert_eq!(Batch::from_wire(batch.as_bytes().clone(), &limits).map(|again| again.count()), Ok(batch.count()));
}

#[cfg(test)]
mod tests;
