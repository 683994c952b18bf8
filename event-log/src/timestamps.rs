//! Looking events up by the timestamp of their record, which is their producer's and in no order.

use std::io;

use bytes::Buf;
use model::{SequenceNumber, Timestamp};

use crate::batch::StoredBatch;
use crate::catalogue::Source;
use crate::error::ReadError;
use crate::partition::PartitionKey;
use crate::scan::{self, Window};
use crate::sealed::SealedFile;
use crate::segment::Segment;
use crate::shared::Shared;
use crate::sync::read;

/// Read at once.
const READ_BYTES: usize = 256 * 1024;

/// An event and the timestamp of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampedOffset {
    /// The event's position.
    pub sequence: SequenceNumber,
    /// Its record's timestamp.
    pub timestamp: Timestamp,
}

/// The latest record timestamp that a batch announces; it may come from a foreign producer.
pub(crate) fn record_time_max(batch: &[u8]) -> Timestamp {
    batch.get(35..43).map_or(Timestamp::NEVER, |mut field| Timestamp::from_milliseconds(field.get_i64()))
}

/// The first event whose record has the timestamp `time` or a later one.
pub(crate) fn first_at_or_after(shared: &Shared, key: PartitionKey, time: Timestamp) -> Result<Option<TimestampedOffset>, ReadError> {
    let mut epoch = 0;
    loop {
        // One at a time: sealing and retention go on meanwhile.
        let source = read(&shared.catalogue).source_from(key.0, epoch);
        let Some(source) = source else { return Ok(None) };
        epoch = source.epoch();
        let found = match &source {
            Source::Sealed(file) => in_sealed(file, key, time),
            Source::Unsealed(segment) => in_segment(segment, key, time),
        };
        match found {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            // Retention took the file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ReadError::Disk { epoch, source }),
        }
        epoch += 1;
    }
}

/// The first of the events with the latest timestamp.
pub(crate) fn latest(shared: &Shared, key: PartitionKey) -> Result<Option<TimestampedOffset>, ReadError> {
    let latest = {
        let catalogue = read(&shared.catalogue);
        catalogue.sources(key.0).filter_map(|source| timestamp_max(&source, key)).max()
    };
    latest.map_or(Ok(None), |time| first_at_or_after(shared, key, time))
}

fn timestamp_max(source: &Source, key: PartitionKey) -> Option<Timestamp> {
    match source {
        Source::Sealed(file) => file.part(key.1).filter(|part| part.frames > 0).map(|part| part.record_time_max),
        Source::Unsealed(segment) => read(&segment.index).timestamp_max(key),
    }
}

fn in_sealed(file: &SealedFile, (_, partition): PartitionKey, time: Timestamp) -> io::Result<Option<TimestampedOffset>> {
    let (Some(mut place), Some(part)) = (file.locate_timestamp(partition, time)?, file.part(partition)) else { return Ok(None) };
    let mut position = place.sequence();
    loop {
        let read = file.read(partition, place, position, part.end, READ_BYTES)?;
        if let Some(found) = read.batches.iter().find_map(|batch| in_batch(batch, time)) {
            return Ok(Some(found));
        }
        place = read.place;
        match (read.batches.last(), read.gap) {
            (Some(last), _) => position = last.end(),
            (None, Some(gap)) => position = gap.end,
            (None, None) => return Ok(None),
        }
    }
}

fn in_segment(segment: &Segment, key: PartitionKey, time: Timestamp) -> io::Result<Option<TimestampedOffset>> {
    let entry = read(&segment.index).before_timestamp(key, time);
    let Some(entry) = entry else { return Ok(None) };
    let (mut at, end) = (entry.group_at, segment.end());
    let mut window = Window::new(&*segment.file, READ_BYTES);
    while let Some(stretch) = scan::next_stretch(&mut window, segment.identity, at, end)? {
        let own = stretch.frames().filter(|frame| (frame.header.hub, frame.header.partition) == key);
        if let Some(found) = own.filter_map(|frame| frame.batch()).find_map(|batch| in_batch(&batch, time)) {
            return Ok(Some(found));
        }
        at = stretch.end;
    }
    Ok(None)
}

/// The batch's first event with the timestamp `time` or a later one. Where the records cannot be
/// told apart the batch's announcement stands for all.
fn in_batch(batch: &StoredBatch, time: Timestamp) -> Option<TimestampedOffset> {
    let announced = record_time_max(&batch.bytes);
    if announced < time {
        return None;
    }
    for event in batch.events() {
        match event {
            Ok(event) if event.timestamp >= time => {
                return Some(TimestampedOffset { sequence: event.sequence, timestamp: event.timestamp });
            }
            Ok(_) => {}
            Err(_) => return Some(TimestampedOffset { sequence: batch.base, timestamp: announced }),
        }
    }
    None
}
