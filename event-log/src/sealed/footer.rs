//! The footer: what a sealed file has of each partition, and where. All of it is held in memory.

use bytes::{Buf, BufMut};
use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};

use super::format::Extent;
use super::index::IndexRange;
use crate::error::LostRange;

/// The fixed part.
const FIXED_BYTES: usize = 40;
const PART_BYTES: usize = 72;
const LOST_BYTES: usize = 24;

/// What a file has of a partition. Parts of a partition tile: one file's ends where that of the
/// next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// The partition.
    pub(crate) partition: PartitionId,
    /// Frames, which is batches.
    pub(crate) frames: u32,
    /// Where its data begins.
    pub(crate) at: u64,
    /// Length of its data; 0 where all of it is lost.
    pub(crate) bytes: u64,
    /// Its entries in the index.
    pub(crate) index: IndexRange,
    /// The first number, also where that event is lost.
    pub(crate) first: SequenceNumber,
    /// The number behind the last, also where that event is lost.
    pub(crate) end: SequenceNumber,
    /// Bytes of the batches, frame headers not counted.
    pub(crate) batch_bytes: u64,
    /// Append time of the last event, also where that is lost if it is known.
    pub(crate) append_time_max: Timestamp,
    /// The largest timestamp of a record, as the batches' headers have it; [`Timestamp::NEVER`]
    /// without frames.
    pub(crate) record_time_max: Timestamp,
}

impl Part {
    /// Where its data ends.
    pub(crate) fn data_end(&self) -> u64 {
        self.at.saturating_add(self.bytes)
    }
}

/// See the file's drawing in `docs/event-log-format.md`.
///
/// ```text
///  0  4  number of parts
///  4  4  number of lost ranges
///  8  8  place of the index
/// 16  8  place of the notes
/// 24  8  length of the notes
/// 32  4  checksum of the notes
/// 36  4  zero
/// 40 72  each part: partition u32, frames u32, place u64, length u64, first index entry u32,
///        index entries u32, first number i64, number behind the last i64, batch bytes u64,
///        largest append time i64, largest record timestamp i64
///  … 24  each lost range: partition u32, zero u32, first number i64, last number i64
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) index_at: u64,
    pub(crate) notes: Extent,
    pub(crate) parts: Vec<Part>,
    pub(crate) lost: Vec<LostRange>,
}

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES + self.parts.len() * PART_BYTES + self.lost.len() * LOST_BYTES);
        out.put_u32(self.parts.len() as u32);
        out.put_u32(self.lost.len() as u32);
        out.put_u64(self.index_at);
        out.put_u64(self.notes.at);
        out.put_u64(self.notes.bytes);
        out.put_u32(self.notes.checksum);
        out.put_u32(0);
        for part in &self.parts {
            put_part(&mut out, part);
        }
        for range in &self.lost {
            out.put_u32(range.partition.0);
            out.put_u32(0);
            out.put_i64(range.from.0);
            out.put_i64(range.to.0);
        }
        out
    }

    /// Reads a footer whose checksum verified; `None` if it is of no file of this length.
    pub(crate) fn decode(mut bytes: &[u8], hub: EventHubId, file_bytes: u64) -> Option<Self> {
        if bytes.len() < FIXED_BYTES {
            return None;
        }
        let (parts, lost) = (bytes.get_u32() as usize, bytes.get_u32() as usize);
        let index_at = bytes.get_u64();
        let (at, length, checksum) = (bytes.get_u64(), bytes.get_u64(), bytes.get_u32());
        bytes.advance(4);
        if bytes.len() != parts.checked_mul(PART_BYTES)?.checked_add(lost.checked_mul(LOST_BYTES)?)? {
            return None;
        }
        let parts: Vec<Part> = (0..parts).map(|_| take_part(&mut bytes)).collect();
        let lost = (0..lost).map(|_| take_lost(&mut bytes, hub)).collect();
        let footer = Self { index_at, notes: Extent { at, bytes: length, checksum }, parts, lost };
        footer.lies_within(file_bytes).then_some(footer)
    }

    fn lies_within(&self, file_bytes: u64) -> bool {
        let is_ordered = self.parts.is_sorted_by(|one, next| one.partition < next.partition);
        let is_part_within = |part: &Part| part.data_end() <= file_bytes && part.index.end_at(self.index_at) <= file_bytes;
        is_ordered && self.notes.end() <= file_bytes && self.parts.iter().all(is_part_within)
    }
}

fn put_part(out: &mut Vec<u8>, part: &Part) {
    out.put_u32(part.partition.0);
    out.put_u32(part.frames);
    out.put_u64(part.at);
    out.put_u64(part.bytes);
    out.put_u32(part.index.first);
    out.put_u32(part.index.count);
    out.put_i64(part.first.0);
    out.put_i64(part.end.0);
    out.put_u64(part.batch_bytes);
    out.put_i64(part.append_time_max.as_milliseconds());
    out.put_i64(part.record_time_max.as_milliseconds());
}

fn take_part(bytes: &mut &[u8]) -> Part {
    Part {
        partition: PartitionId(bytes.get_u32()),
        frames: bytes.get_u32(),
        at: bytes.get_u64(),
        bytes: bytes.get_u64(),
        index: IndexRange { first: bytes.get_u32(), count: bytes.get_u32() },
        first: SequenceNumber(bytes.get_i64()),
        end: SequenceNumber(bytes.get_i64()),
        batch_bytes: bytes.get_u64(),
        append_time_max: Timestamp::from_milliseconds(bytes.get_i64()),
        record_time_max: Timestamp::from_milliseconds(bytes.get_i64()),
    }
}

fn take_lost(bytes: &mut &[u8], hub: EventHubId) -> LostRange {
    let partition = PartitionId(bytes.get_u32());
    bytes.advance(4);
    LostRange { hub, partition, from: SequenceNumber(bytes.get_i64()), to: SequenceNumber(bytes.get_i64()) }
}
