//! Finding a partition's batches in the segments on disk.

use std::sync::Arc;

use model::{SequenceNumber, Timestamp};

use crate::batch::StoredBatch;
use crate::error::ReadError;
use crate::partition::{Partition, PartitionKey};
use crate::scan::{self, Stretch, Window};
use crate::segment::Segment;
use crate::shared::Shared;
use crate::sync::{lock, read};

/// Read at once while scanning for one partition.
const WINDOW_BYTES: usize = 256 * 1024;

/// A group in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    epoch: u64,
    at: u64,
}

/// A read of old events, able to run on another thread.
pub(super) struct Search {
    pub(super) key: PartitionKey,
    pub(super) position: SequenceNumber,
    /// Durable events below this number are in the segments, unless lost.
    pub(super) end: SequenceNumber,
    pub(super) not_before: Option<Timestamp>,
    pub(super) place: Option<Place>,
    pub(super) bytes_max: usize,
}

/// What a search found: batches, or else how far there are none.
pub(super) struct Found {
    pub(super) batches: Vec<StoredBatch>,
    /// Where the next search begins.
    pub(super) place: Option<Place>,
    /// Behind the batches, or behind the gap.
    pub(super) position: SequenceNumber,
    /// The first number of a gap.
    pub(super) lost_from: Option<SequenceNumber>,
    bytes: usize,
}

/// Whether the search goes on.
#[derive(PartialEq, Eq)]
enum Step {
    On,
    Done,
}

/// The position of the last event known without reading to have been appended before `time`.
pub(super) fn lower_bound(shared: &Shared, partition: &Partition, time: Timestamp) -> Option<SequenceNumber> {
    {
        let durable = lock(&partition.durable);
        if durable.properties.last_enqueued_time.is_none_or(|last| last < time) {
            return Some(durable.properties.next);
        }
        if durable.tail.front().is_some_and(|oldest| oldest.append_time < time) {
            let first = durable.tail.partition_point(|batch| batch.append_time < time);
            return durable.tail.get(first).map(|batch| batch.base);
        }
    }
    let segments = read(&shared.segments);
    segments.iter().rev().find_map(|segment| read(&segment.index).before_time(partition.key, time)).map(|entry| entry.base)
}

impl Search {
    /// Reads until there is enough, a gap, or the end.
    pub(super) fn run(self, shared: &Shared) -> Result<Found, ReadError> {
        let mut found = Found { batches: Vec::new(), place: None, position: self.position, lost_from: None, bytes: 0 };
        for segment in self.segments(shared) {
            let epoch = segment.identity.epoch;
            let step = self.run_segment(&segment, &mut found).map_err(|source| ReadError::Disk { epoch, source })?;
            if step == Step::Done {
                return Ok(found);
            }
        }
        if found.batches.is_empty() && found.position < self.end {
            found.lost_from = Some(found.position);
            found.position = self.end;
        }
        Ok(found)
    }

    /// The segments from the one that holds the position on.
    fn segments(&self, shared: &Shared) -> Vec<Arc<Segment>> {
        let segments = read(&shared.segments);
        let holds = |segment: &Arc<Segment>| match self.place {
            Some(place) => segment.identity.epoch == place.epoch,
            None => read(&segment.index).first(self.key).is_some_and(|first| first.base <= self.position),
        };
        let first = segments.iter().rposition(holds).unwrap_or(0);
        segments.get(first..).unwrap_or_default().to_vec()
    }

    fn run_segment(&self, segment: &Segment, found: &mut Found) -> std::io::Result<Step> {
        let end = segment.end();
        let Some(mut at) = self.first_group(segment, found.position) else { return Ok(Step::On) };
        let mut window = Window::new(&*segment.file, WINDOW_BYTES);
        while let Some(stretch) = scan::next_stretch(&mut window, segment.identity, at, end)? {
            found.place = Some(Place { epoch: segment.identity.epoch, at });
            if self.run_stretch(&stretch, found) == Step::Done {
                return Ok(Step::Done);
            }
            at = stretch.end;
        }
        Ok(Step::On)
    }

    /// Where in the segment to begin; `None` if it has nothing of the partition.
    fn first_group(&self, segment: &Segment, position: SequenceNumber) -> Option<u64> {
        let index = read(&segment.index);
        let entry = index.at_or_before(self.key, position).or_else(|| index.first(self.key))?;
        let continued = self.place.filter(|place| place.epoch == segment.identity.epoch).map(|place| place.at);
        Some(entry.group_at.max(continued.unwrap_or(0)))
    }

    fn run_stretch(&self, stretch: &Stretch, found: &mut Found) -> Step {
        for frame in stretch.frames() {
            let header = frame.header;
            if (header.hub, header.partition) != self.key || header.base.plus(header.count) <= found.position {
                continue;
            }
            if header.base >= self.end {
                return if found.batches.is_empty() { found.note_gap(self.end) } else { Step::Done };
            }
            if self.not_before.is_some_and(|time| header.append_time < time) {
                found.position = header.base.plus(header.count);
                continue;
            }
            let Some(batch) = frame.batch() else { continue };
            if batch.base > found.position {
                return if found.batches.is_empty() { found.note_gap(batch.base) } else { Step::Done };
            }
            if found.push(batch, self.bytes_max) == Step::Done {
                return Step::Done;
            }
        }
        Step::On
    }
}

impl Found {
    /// Takes a batch; done when it does not fit any more, or nothing will after it.
    fn push(&mut self, batch: StoredBatch, bytes_max: usize) -> Step {
        if !self.batches.is_empty() && self.bytes + batch.bytes.len() > bytes_max {
            return Step::Done;
        }
        self.bytes += batch.bytes.len();
        self.position = batch.end();
        self.batches.push(batch);
        if self.bytes < bytes_max { Step::On } else { Step::Done }
    }

    fn note_gap(&mut self, end: SequenceNumber) -> Step {
        if self.position < end {
            self.lost_from = Some(self.position);
            self.position = end;
        }
        Step::Done
    }
}
