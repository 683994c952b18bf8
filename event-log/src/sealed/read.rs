//! Finding and reading a partition's batches in a sealed file.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use model::{PartitionId, SequenceNumber, Timestamp};

use super::index::{IndexEntry, STRIDE_BYTES};
use super::{Part, SealedFile};
use crate::batch::{StoredBatch, verify};
use crate::format::{FRAME_ALIGNMENT, FRAME_PREFIX_BYTES, FrameHeader};

/// Bounds of what is read at once, which lives as long as a batch from it does.
const READ_BYTES_MIN: usize = 16 * 1024;
const READ_BYTES_MAX: usize = 1024 * 1024;

/// A place in a partition's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    at: u64,
    sequence: SequenceNumber,
}

impl Place {
    /// Events before this number do not lie behind the place.
    pub(crate) fn sequence(self) -> SequenceNumber {
        self.sequence
    }
}

/// What a read found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Whole batches, the first of them perhaps begun before the number asked for.
    pub(crate) batches: Vec<StoredBatch>,
    /// Where the next read goes on.
    pub(crate) place: Place,
    /// There are no batches because these events, from the number asked for on, are lost.
    pub(crate) gap: Option<Range<SequenceNumber>>,
}

impl SealedFile {
    /// A place at or before the frame with `sequence`, no more than about 4 KiB; `None` if the
    /// file ends before it, or has nothing of the partition.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn locate(&self, partition: PartitionId, sequence: SequenceNumber) -> io::Result<Option<Place>> {
        self.locate_before(partition, |part| sequence < part.end, |entry| entry.base <= sequence)
    }

    /// A place at or before the first event appended at `time` or later; `None` if there is none.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn locate_time(&self, partition: PartitionId, time: Timestamp) -> io::Result<Option<Place>> {
        self.locate_before(partition, |part| part.append_time_max >= time, |entry| entry.append_time < time)
    }

    /// A place at or before the first batch that can hold a record timestamp of `time` or later;
    /// `None` if there is none.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn locate_timestamp(&self, partition: PartitionId, time: Timestamp) -> io::Result<Option<Place>> {
        self.locate_before(partition, |part| part.frames > 0 && part.record_time_max >= time, |entry| entry.record_time_max < time)
    }

    /// A partition's frames from a place on, one by one.
    pub(crate) fn frames(&self, part: &Part, place: Place, read_bytes: usize) -> FrameCursor<'_> {
        FrameCursor::new(self, part, place.at, read_bytes)
    }

    fn locate_before(
        &self,
        partition: PartitionId,
        has_it: impl Fn(&Part) -> bool,
        is_before: impl Fn(&IndexEntry) -> bool,
    ) -> io::Result<Option<Place>> {
        let Some(part) = self.part(partition).filter(|part| has_it(part)) else { return Ok(None) };
        let entry = self.last_entry(part, is_before)?;
        let start = Place { at: part.at, sequence: part.first };
        Ok(Some(entry.map_or(start, |entry| Place { at: entry.at, sequence: entry.base })))
    }

    /// The batches with the numbers `from` to before `end`, from `place` on: about `bytes_max`
    /// bytes of them (1 MiB at most), at least one unless there is none or a gap. They are slices
    /// of one buffer. Every checksum is verified; what does not verify makes a gap.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn read(
        &self,
        partition: PartitionId,
        place: Place,
        from: SequenceNumber,
        end: SequenceNumber,
        bytes_max: usize,
    ) -> io::Result<Found> {
        let mut found = Found { batches: Vec::new(), place, gap: None };
        let Some(part) = self.part(partition) else { return Ok(found) };
        let end = end.min(part.end);
        let mut position = from.max(place.sequence);
        let mut bytes = 0;
        let mut frames = FrameCursor::new(self, part, place.at, bytes_max);
        while position < end {
            let is_first = found.batches.is_empty();
            let Some(frame) = frames.next(is_first)? else { break };
            let next = frame.header.base.plus(frame.header.count);
            found.place = Place { at: frames.at, sequence: position };
            let Some(batch) = frame.batch.filter(|_| next > position) else { continue };
            if batch.base > position && is_first {
                // The frame itself is read next time, behind the gap.
                found.note_gap(position, batch.base.min(end), frame.at);
                return Ok(found);
            }
            if batch.base > position || (!is_first && bytes + batch.bytes.len() > bytes_max) {
                found.place.at = frame.at;
                return Ok(found);
            }
            bytes += batch.bytes.len();
            found.batches.push(StoredBatch { wanted: position, ..batch });
            position = next;
            found.place.sequence = next;
        }
        if found.batches.is_empty() && position < end {
            found.note_gap(position, end, frames.at);
        }
        Ok(found)
    }
}

impl Found {
    fn note_gap(&mut self, from: SequenceNumber, end: SequenceNumber, at: u64) {
        self.gap = Some(from..end);
        self.place = Place { at, sequence: end };
    }
}

/// A frame whose header verifies, and its batch if that does too.
pub(crate) struct SealedFrame {
    pub(crate) at: u64,
    header: FrameHeader,
    pub(crate) batch: Option<StoredBatch>,
}

/// Goes through a partition's data frame by frame, passing over what does not verify.
pub(crate) struct FrameCursor<'a> {
    file: &'a SealedFile,
    partition: PartitionId,
    seed: u32,
    /// Where the next frame is looked for.
    at: u64,
    end: u64,
    read_bytes: usize,
    buffer: Bytes,
    buffer_at: u64,
}

impl<'a> FrameCursor<'a> {
    fn new(file: &'a SealedFile, part: &Part, at: u64, bytes_max: usize) -> Self {
        // What a seek overshoots is read along, so that most reads take one call.
        let read_bytes = bytes_max.saturating_add(STRIDE_BYTES as usize).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        let (at, end) = (at.max(part.at), part.data_end());
        let seed = file.identity.seed();
        Self { file, partition: part.partition, seed, at, end, read_bytes, buffer: Bytes::new(), buffer_at: at }
    }

    /// The next frame; `None` at the end of the data, or, without `reads_on`, of what is in memory.
    pub(crate) fn next(&mut self, reads_on: bool) -> io::Result<Option<SealedFrame>> {
        while self.at < self.end {
            let Some(prefix) = self.hold(FRAME_PREFIX_BYTES, reads_on)? else { return Ok(None) };
            let Some(header) = FrameHeader::decode_prefix(&prefix, self.seed).filter(|header| self.is_own(header)) else {
                self.at += FRAME_ALIGNMENT as u64;
                continue;
            };
            let Some(bytes) = self.hold(header.frame_bytes(), reads_on)? else { return Ok(None) };
            let at = self.at;
            self.at += header.frame_bytes() as u64;
            return Ok(Some(SealedFrame { at, header, batch: batch_of(&header, &bytes) }));
        }
        Ok(None)
    }

    /// Where the next frame is looked for.
    pub(crate) fn place(&self) -> u64 {
        self.at
    }

    fn is_own(&self, header: &FrameHeader) -> bool {
        let is_named = (header.hub, header.partition) == (self.file.identity.hub, self.partition);
        is_named && self.at + header.frame_bytes() as u64 <= self.end
    }

    /// The next bytes, `length` of them or as many as the data has; `None` if they would have to
    /// be read and `reads_on` is not set.
    fn hold(&mut self, length: usize, reads_on: bool) -> io::Result<Option<Bytes>> {
        let length = (length as u64).min(self.end - self.at) as usize;
        let from = (self.at - self.buffer_at) as usize;
        if let Some(end) = from.checked_add(length).filter(|end| *end <= self.buffer.len()) {
            return Ok(Some(self.buffer.slice(from..end)));
        }
        if !reads_on {
            return Ok(None);
        }
        let wanted = (self.read_bytes.max(length) as u64).min(self.end - self.at);
        self.buffer = self.file.read_at(self.at, wanted as usize)?.into();
        self.buffer_at = self.at;
        if self.buffer.is_empty() {
            // The file was cut off.
            self.end = self.at;
        }
        Ok(Some(self.buffer.slice(..length.min(self.buffer.len()))))
    }
}

/// The batch, if it verifies and is the one that the header describes.
fn batch_of(header: &FrameHeader, frame: &Bytes) -> Option<StoredBatch> {
    let range = header.batch_range();
    let bytes = (range.end <= frame.len()).then(|| frame.slice(range))?;
    let batch = verify(&bytes).ok()?;
    let FrameHeader { base, count, append_time, origin, .. } = *header;
    (batch.base == base.0 && u32::try_from(batch.count) == Ok(count)).then_some(StoredBatch {
        base,
        count,
        append_time,
        origin,
        wanted: base,
        bytes,
    })
}
