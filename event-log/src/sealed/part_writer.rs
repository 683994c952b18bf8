//! One partition's frames on their way into a sealed file.

use std::io;

use bytes::BufMut;
use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};

use super::Part;
use super::format::FileIdentity;
use super::index::{IndexEntry, IndexRange, STRIDE_BYTES};
use super::layout::PartPlan;
use crate::batch::StoredBatch;
use crate::disk::{DiskFile, write_all_at};
use crate::error::LostRange;
use crate::format::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader, finish_frame};
use crate::timestamps::record_time_max;

/// What the kernel's cache of a file is made of.
pub(super) const PAGE_BYTES: u64 = 4096;

/// How much of the buffer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlushExtent {
    /// More frames follow.
    WholePages,
    All,
}

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Numbers that the partition had before or gave again after this segment.
    OutOfOrder,
    /// More bytes than were measured.
    NoRoom,
}

/// Gathers a partition's frames and writes them to their place.
pub(super) struct PartWriter {
    hub: EventHubId,
    plan: PartPlan,
    seed: u32,
    /// Where its data begins.
    at: u64,
    buffer: Vec<u8>,
    /// Bytes written before those in the buffer.
    written: u64,
    /// The number that the next frame should begin with.
    next: SequenceNumber,
    frames: u32,
    batch_bytes: u64,
    append_time_max: Timestamp,
    record_time_max: Timestamp,
    /// Where in the data the next entry of the index is due.
    entry_due: u64,
    pub(super) entries: Vec<IndexEntry>,
    pub(super) lost: Vec<LostRange>,
}

impl PartWriter {
    pub(super) fn new(identity: &FileIdentity, plan: PartPlan, at: u64) -> Self {
        Self {
            hub: identity.hub,
            plan,
            seed: identity.seed(),
            at,
            buffer: Vec::new(),
            written: 0,
            next: plan.first,
            frames: 0,
            batch_bytes: 0,
            append_time_max: plan.last_time,
            record_time_max: Timestamp::NEVER,
            entry_due: 0,
            entries: Vec::new(),
            lost: Vec::new(),
        }
    }

    pub(super) fn partition(&self) -> PartitionId {
        self.plan.partition
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Takes a frame, unless it has no place here.
    pub(super) fn push(&mut self, header: &FrameHeader, batch: &StoredBatch) -> Result<(), Refusal> {
        let place = self.written + self.buffer.len() as u64;
        if batch.base < self.next || batch.end() > self.plan.end {
            return Err(Refusal::OutOfOrder);
        }
        if place + header.frame_bytes() as u64 > self.plan.bytes_max {
            return Err(Refusal::NoRoom);
        }
        self.note_lost(batch.base);
        self.next = batch.end();
        self.frames += 1;
        self.batch_bytes += batch.bytes.len() as u64;
        self.append_time_max = self.append_time_max.max(batch.append_time);
        self.record_time_max = self.record_time_max.max(record_time_max(&batch.bytes));
        if place >= self.entry_due {
            self.entry_due = place + STRIDE_BYTES;
            let (append_time, record_time_max) = (batch.append_time, self.record_time_max);
            self.entries.push(IndexEntry { base: batch.base, at: self.at + place, append_time, record_time_max });
        }
        self.copy(header, batch);
        Ok(())
    }

    /// Copies a frame into the buffer and makes it one of this file.
    fn copy(&mut self, header: &FrameHeader, batch: &StoredBatch) {
        let start = self.buffer.len();
        self.buffer.reserve(header.frame_bytes());
        self.buffer.put_slice(&header.encode());
        self.buffer.put_slice(&batch.bytes);
        let padding = header.frame_bytes() - FRAME_HEADER_BYTES - batch.bytes.len();
        self.buffer.extend_from_slice([0; FRAME_ALIGNMENT].get(..padding).unwrap_or_default());
        finish_frame(self.buffer.get_mut(start..).unwrap_or_default(), header.append_time, self.seed);
    }

    /// Writes what is buffered, but for the last page's begin unless it is the last: a page
    /// written once costs the kernel half of one written twice. Keeps at most `keep_bytes` of memory.
    pub(super) fn flush(&mut self, file: &dyn DiskFile, extent: FlushExtent, keep_bytes: usize) -> io::Result<()> {
        let at = self.at + self.written;
        let length = match extent {
            FlushExtent::All => self.buffer.len(),
            FlushExtent::WholePages => {
                let end = at + self.buffer.len() as u64;
                (end - end % PAGE_BYTES).saturating_sub(at) as usize
            }
        };
        write_all_at(file, self.buffer.get(..length).unwrap_or_default(), at)?;
        self.written += length as u64;
        self.buffer.drain(..length);
        self.buffer.shrink_to(keep_bytes);
        Ok(())
    }

    /// The finished part, its data flushed, whose index entries begin with number `index_first`.
    pub(super) fn finish(&mut self, index_first: u32) -> Part {
        self.note_lost(self.plan.end);
        Part {
            partition: self.plan.partition,
            frames: self.frames,
            at: self.at,
            bytes: self.written,
            index: IndexRange { first: index_first, count: self.entries.len() as u32 },
            first: self.plan.first,
            end: self.plan.end,
            batch_bytes: self.batch_bytes,
            append_time_max: self.append_time_max,
            record_time_max: self.record_time_max,
        }
    }

    /// What lies between the last frame and `sequence` is lost.
    fn note_lost(&mut self, sequence: SequenceNumber) {
        if self.next < sequence {
            let (hub, partition) = (self.hub, self.plan.partition);
            self.lost.push(LostRange { hub, partition, from: self.next, to: SequenceNumber(sequence.0 - 1) });
        }
    }
}
