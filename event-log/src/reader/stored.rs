//! Finding a partition's batches on disk: in sealed files, then in the segments not yet sealed.

use model::{SequenceNumber, Timestamp};

use crate::batch::StoredBatch;
use crate::catalogue::Source;
use crate::error::ReadError;
use crate::partition::{Partition, PartitionKey};
use crate::scan::{self, Stretch, Window};
use crate::sealed::{self, SealedFile};
use crate::segment::Segment;
use crate::shared::Shared;
use crate::sync::{lock, read};

/// Read at once while scanning for one partition.
const WINDOW_BYTES: usize = 256 * 1024;

/// Where a search got to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    epoch: u64,
    at: At,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// A group in a segment; void once that is sealed.
    Group(u64),
    Sealed(sealed::Place),
}

/// A read of old events, able to run on another thread.
pub(super) struct Search {
    pub(super) key: PartitionKey,
    pub(super) position: SequenceNumber,
    /// Durable events below this number are on disk, unless lost.
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
    let sources: Vec<Source> = read(&shared.catalogue).sources(partition.key.0).collect();
    sources.iter().rev().find_map(|source| before_time(source, partition.key, time))
}

/// A position in the file at or before the first event appended at `time` or later, if the file
/// has events appended before.
fn before_time(source: &Source, key: PartitionKey, time: Timestamp) -> Option<SequenceNumber> {
    match source {
        Source::Unsealed(segment) => read(&segment.index).before_time(key, time).map(|entry| entry.base),
        // The events before `time` in it are passed over by the read.
        Source::Sealed(file) => file.part(key.1).filter(|part| part.append_time_max < time).map(|part| part.end),
    }
}

impl Search {
    /// Reads until there is enough, a gap, or the end.
    pub(super) fn run(self, shared: &Shared) -> Result<Found, ReadError> {
        let mut found = Found { batches: Vec::new(), place: None, position: self.position, lost_from: None, bytes: 0 };
        let mut source = self.first_source(shared);
        while let Some(file) = source {
            let epoch = file.epoch();
            let step = match &file {
                Source::Sealed(file) => self.run_sealed(file, &mut found),
                Source::Unsealed(segment) => self.run_segment(segment, &mut found),
            };
            let step = match step {
                // Retention took the file; where the partition begins now tells what is gone.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Step::On,
                step => step.map_err(|source| ReadError::Disk { epoch, source })?,
            };
            if step == Step::Done {
                return Ok(found);
            }
            source = read(&shared.catalogue).source_from(self.key.0, epoch + 1);
        }
        if found.batches.is_empty() && found.position < self.end {
            found.lost_from = Some(found.position);
            found.position = self.end;
        }
        Ok(found)
    }

    /// The file that holds the position. Between two files the log may seal or remove some: the
    /// order of epochs stays, and what retention took is told from what is lost by the reader.
    fn first_source(&self, shared: &Shared) -> Option<Source> {
        let catalogue = read(&shared.catalogue);
        match self.place {
            Some(place) => catalogue.source_from(self.key.0, place.epoch),
            None => catalogue.source_of(self.key, self.position),
        }
    }

    fn run_sealed(&self, file: &SealedFile, found: &mut Found) -> std::io::Result<Step> {
        let Some(mut place) = self.sealed_place(file, found.position)? else {
            // Of what is left in the file, everything was appended too early.
            found.position = file.part(self.key.1).map_or(found.position, |part| found.position.max(part.end.min(self.end)));
            return Ok(Step::On);
        };
        if self.not_before.is_some() {
            // What lies before the place was appended too early.
            found.position = found.position.max(place.sequence());
        }
        loop {
            let bytes_max = self.bytes_max.saturating_sub(found.bytes).max(1);
            let read = file.read(self.key.1, place, found.position, self.end, bytes_max)?;
            place = read.place;
            found.place = Some(Place { epoch: file.epoch(), at: At::Sealed(place) });
            if read.batches.is_empty() {
                return Ok(Self::meet_gap(file.part(self.key.1).map(|part| part.end), read.gap, found));
            }
            for batch in read.batches {
                if self.is_too_early(batch.append_time) {
                    found.position = batch.end();
                } else if batch.base > found.position {
                    return Ok(if found.batches.is_empty() { found.note_gap(batch.base) } else { Step::Done });
                } else if self.take(batch, found) == Step::Done {
                    return Ok(Step::Done);
                }
            }
        }
    }

    /// A gap up to the end of a file may go on in the next one, so it is told where that has a
    /// batch.
    fn meet_gap(part_end: Option<SequenceNumber>, gap: Option<std::ops::Range<SequenceNumber>>, found: &mut Found) -> Step {
        match gap {
            None => Step::On,
            Some(_) if !found.batches.is_empty() => Step::Done,
            Some(gap) if part_end.is_some_and(|end| gap.end < end) => found.note_gap(gap.end),
            Some(_) => Step::On,
        }
    }

    fn sealed_place(&self, file: &SealedFile, position: SequenceNumber) -> std::io::Result<Option<sealed::Place>> {
        if let Some(Place { epoch, at: At::Sealed(place) }) = self.place
            && epoch == file.epoch()
            && place.sequence() <= position
        {
            return Ok(Some(place));
        }
        match self.not_before {
            Some(time) => file.locate_time(self.key.1, time),
            None => file.locate(self.key.1, position),
        }
    }

    fn is_too_early(&self, append_time: Timestamp) -> bool {
        self.not_before.is_some_and(|time| append_time < time)
    }

    fn run_segment(&self, segment: &Segment, found: &mut Found) -> std::io::Result<Step> {
        let end = segment.end();
        let Some(mut at) = self.first_group(segment, found.position) else { return Ok(Step::On) };
        let mut window = Window::new(&*segment.file, WINDOW_BYTES);
        let mut step = Step::On;
        while let Some(stretch) = scan::next_stretch(&mut window, segment.identity, at, end)? {
            found.place = Some(Place { epoch: segment.identity.epoch, at: At::Group(at) });
            step = self.run_stretch(&stretch, found);
            if step == Step::Done {
                break;
            }
            at = stretch.end;
        }
        segment.note_holes(window.holes());
        Ok(step)
    }

    /// Where in the segment to begin; `None` if it has nothing of the partition.
    fn first_group(&self, segment: &Segment, position: SequenceNumber) -> Option<u64> {
        let index = read(&segment.index);
        let entry = index.at_or_before(self.key, position).or_else(|| index.first(self.key))?;
        let continued = match self.place {
            Some(Place { epoch, at: At::Group(at) }) if epoch == segment.identity.epoch => at,
            _ => 0,
        };
        Some(entry.group_at.max(continued))
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
            if self.is_too_early(header.append_time) {
                found.position = header.base.plus(header.count);
                continue;
            }
            let Some(batch) = frame.batch() else { continue };
            if batch.base > found.position {
                return if found.batches.is_empty() { found.note_gap(batch.base) } else { Step::Done };
            }
            if self.take(batch, found) == Step::Done {
                return Step::Done;
            }
        }
        Step::On
    }

    /// Takes a batch; done when it does not fit any more, or nothing will after it.
    fn take(&self, batch: StoredBatch, found: &mut Found) -> Step {
        if !found.batches.is_empty() && found.bytes + batch.bytes.len() > self.bytes_max {
            return Step::Done;
        }
        found.bytes += batch.bytes.len();
        found.position = batch.end();
        found.batches.push(batch);
        // Behind the end there is nothing to look for, however much of other partitions follows.
        if found.bytes < self.bytes_max && found.position < self.end { Step::On } else { Step::Done }
    }
}

impl Found {
    fn note_gap(&mut self, end: SequenceNumber) -> Step {
        if self.position < end {
            self.lost_from = Some(self.position);
            self.position = end;
        }
        Step::Done
    }
}
