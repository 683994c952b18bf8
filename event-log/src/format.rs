//! The bytes of a segment: its head, commit groups, frames. All numbers are big-endian. The whole
//! format is drawn in the crate's documentation and described in `docs/event-log-format.md`.

use bytes::{Buf, BufMut};
use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};

use crate::batch::{BATCH_PREFIX_BYTES, Origin};

/// The version that this code writes, and the only one it reads.
pub(crate) const VERSION: u32 = 1;
/// Groups and segment heads begin at multiples of this, so damage to one sector of a disk
/// harms one group only.
pub(crate) const BLOCK_BYTES: usize = 512;
/// Segment heads take multiples of this.
pub(crate) const HEAD_ALIGNMENT: usize = 4096;
/// A commit group's header.
pub(crate) const GROUP_HEADER_BYTES: usize = 64;
/// A frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 48;
/// What a frame's checksum covers: its header and the batch's first bytes.
pub(crate) const FRAME_PREFIX_BYTES: usize = FRAME_HEADER_BYTES + BATCH_PREFIX_BYTES;
/// One partition's entry in a segment's head.
pub(crate) const POSITION_BYTES: usize = 24;
/// The fixed part of a segment's head.
pub(crate) const HEAD_BYTES: usize = 64;

const SEGMENT_MAGIC: &[u8; 8] = b"ISTHSEGM";
const GROUP_MAGIC: u32 = u32::from_be_bytes(*b"IGRP");
const FRAME_MAGIC: u32 = u32::from_be_bytes(*b"IFRM");
/// Frames begin at multiples of this within their group.
pub(crate) const FRAME_ALIGNMENT: usize = 8;

/// Bytes that a batch takes in a group: frame header, batch, padding.
pub(crate) fn framed_bytes(batch_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + batch_bytes).next_multiple_of(FRAME_ALIGNMENT)
}

/// Whose segment it is, and which use of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentIdentity {
    /// Drawn at random when the log is made.
    pub(crate) log_id: u128,
    /// Counts the segments of a log; never used twice, also not by a recycled file.
    pub(crate) epoch: u64,
}

/// Where a partition stands when a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) hub: EventHubId,
    pub(crate) partition: PartitionId,
    pub(crate) next: SequenceNumber,
    /// Append time of the last event, [`Timestamp::NEVER`] before the first.
    pub(crate) last_time: Timestamp,
}

/// The head of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) identity: SegmentIdentity,
    /// The number of the segment's first group.
    pub(crate) base_group: u64,
    pub(crate) positions: Vec<Position>,
}

/// What the first bytes of a segment are.
pub(crate) enum HeadRead {
    Valid(SegmentHead),
    /// Not a head, or one that does not verify.
    Invalid,
    /// A head that verifies, of another version.
    Version(u32),
}

impl SegmentHead {
    /// Bytes that a head with so many positions takes, padding included.
    pub(crate) fn bytes_with(positions: usize) -> usize {
        (HEAD_BYTES + positions * POSITION_BYTES).next_multiple_of(HEAD_ALIGNMENT)
    }

    /// The head as it is written, padded.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let total = Self::bytes_with(self.positions.len());
        let mut out = Vec::with_capacity(total);
        out.put_slice(SEGMENT_MAGIC);
        out.put_u32(VERSION);
        out.put_u32(0);
        out.put_u128(self.identity.log_id);
        out.put_u64(self.identity.epoch);
        out.put_u64(self.base_group);
        out.put_u32(total as u32);
        out.put_u32(self.positions.len() as u32);
        out.put_u64(0);
        for position in &self.positions {
            out.put_u32(position.hub.0);
            out.put_u32(position.partition.0);
            out.put_i64(position.next.0);
            out.put_i64(position.last_time.as_milliseconds());
        }
        out.resize(total, 0);
        let crc = head_crc(&out);
        if let Some(slot) = out.get_mut(12..16) {
            slot.copy_from_slice(&crc.to_be_bytes());
        }
        out
    }

    /// The length that a head announces, from its first [`HEAD_BYTES`]; not yet verified.
    pub(crate) fn announced_bytes(bytes: &[u8]) -> Option<usize> {
        let mut length = bytes.get(48..52)?;
        Some(length.get_u32() as usize)
    }

    /// Reads a head from exactly its bytes.
    pub(crate) fn decode(bytes: &[u8]) -> HeadRead {
        let Some(mut fields) = bytes.get(8..).filter(|_| bytes.len() >= HEAD_BYTES && bytes.starts_with(SEGMENT_MAGIC)) else {
            return HeadRead::Invalid;
        };
        let (version, crc) = (fields.get_u32(), fields.get_u32());
        if crc != head_crc(bytes) {
            return HeadRead::Invalid;
        }
        if version != VERSION {
            return HeadRead::Version(version);
        }
        let identity = SegmentIdentity { log_id: fields.get_u128(), epoch: fields.get_u64() };
        let base_group = fields.get_u64();
        fields.advance(4);
        let count = fields.get_u32() as usize;
        fields.advance(8);
        if Self::bytes_with(count) != bytes.len() {
            return HeadRead::Invalid;
        }
        let positions = (0..count).map(|_| take_position(&mut fields)).collect();
        HeadRead::Valid(Self { identity, base_group, positions })
    }
}

fn take_position(fields: &mut &[u8]) -> Position {
    Position {
        hub: EventHubId(fields.get_u32()),
        partition: PartitionId(fields.get_u32()),
        next: SequenceNumber(fields.get_i64()),
        last_time: Timestamp::from_milliseconds(fields.get_i64()),
    }
}

/// Everything but the checksum itself.
fn head_crc(bytes: &[u8]) -> u32 {
    let before = crc32c::crc32c(bytes.get(..12).unwrap_or_default());
    crc32c::crc32c_append(before, bytes.get(16..).unwrap_or_default())
}

/// The header of a commit group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) identity: SegmentIdentity,
    /// One more than the group before, over all segments.
    pub(crate) number: u64,
    /// Drawn at random at each opening of the log: what a torn group left behind cannot complete
    /// a later group of the same number.
    pub(crate) writer: u64,
    /// Bytes of all frames, without the padding behind them.
    pub(crate) frames_bytes: u32,
    pub(crate) frame_count: u32,
    pub(crate) append_time: Timestamp,
}

impl GroupHeader {
    pub(crate) fn encode(&self) -> [u8; GROUP_HEADER_BYTES] {
        let mut bytes = [0; GROUP_HEADER_BYTES];
        let mut out = bytes.as_mut_slice();
        out.put_u32(GROUP_MAGIC);
        out.put_u32(0);
        out.put_u128(self.identity.log_id);
        out.put_u64(self.identity.epoch);
        out.put_u64(self.number);
        out.put_u64(self.writer);
        out.put_u32(self.frames_bytes);
        out.put_u32(self.frame_count);
        out.put_i64(self.append_time.as_milliseconds());
        let crc = group_crc(&bytes).to_be_bytes();
        if let Some(slot) = bytes.get_mut(4..8) {
            slot.copy_from_slice(&crc);
        }
        bytes
    }

    /// Reads and verifies a header at the start of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<GROUP_HEADER_BYTES>()?;
        let mut fields = bytes.as_slice();
        if fields.get_u32() != GROUP_MAGIC || fields.get_u32() != group_crc(bytes) {
            return None;
        }
        let identity = SegmentIdentity { log_id: fields.get_u128(), epoch: fields.get_u64() };
        let (number, writer) = (fields.get_u64(), fields.get_u64());
        let (frames_bytes, frame_count) = (fields.get_u32(), fields.get_u32());
        let append_time = Timestamp::from_milliseconds(fields.get_i64());
        Some(Self { identity, number, writer, frames_bytes, frame_count, append_time })
    }

    /// Bytes from this group's header to where the next one may begin.
    pub(crate) fn group_bytes(&self) -> usize {
        (GROUP_HEADER_BYTES + self.frames_bytes as usize).next_multiple_of(BLOCK_BYTES)
    }

    /// Where the checksum of each frame of the group starts from, so that a frame verifies in
    /// this log, this use of the segment, this group and this opening only.
    pub(crate) fn frame_seed(&self) -> u32 {
        frame_seed(self.identity, self.number, self.writer)
    }
}

/// See [`GroupHeader::frame_seed`].
pub(crate) fn frame_seed(identity: SegmentIdentity, number: u64, writer: u64) -> u32 {
    let mut bytes = [0_u8; 40];
    let mut out = bytes.as_mut_slice();
    out.put_u128(identity.log_id);
    out.put_u64(identity.epoch);
    out.put_u64(number);
    out.put_u64(writer);
    crc32c::crc32c(&bytes)
}

fn group_crc(bytes: &[u8; GROUP_HEADER_BYTES]) -> u32 {
    crc32c::crc32c(bytes.get(8..).unwrap_or_default())
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) hub: EventHubId,
    pub(crate) partition: PartitionId,
    pub(crate) base: SequenceNumber,
    pub(crate) append_time: Timestamp,
    pub(crate) count: u32,
    pub(crate) batch_bytes: u32,
    pub(crate) origin: Origin,
}

impl FrameHeader {
    /// The header without append time and checksum, which the writer sets: see [`finish_frame`].
    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let mut out = bytes.as_mut_slice();
        out.put_u32(FRAME_MAGIC);
        out.put_u32(0);
        out.put_u32(self.hub.0);
        out.put_u32(self.partition.0);
        out.put_i64(self.base.0);
        out.put_i64(self.append_time.as_milliseconds());
        out.put_u32(self.count);
        out.put_u32(self.batch_bytes);
        out.put_u8(self.origin as u8);
        bytes
    }

    /// Reads and verifies a frame's header at the start of `bytes`, which hold the frame whole.
    /// The batch is protected by its own checksum, which this one covers.
    pub(crate) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        Self::decode_prefix(bytes, seed).filter(|header| header.frame_bytes() <= bytes.len())
    }

    /// As [`FrameHeader::decode`], from the frame's first [`FRAME_PREFIX_BYTES`]; the frame may go
    /// on behind `bytes`.
    pub(crate) fn decode_prefix(bytes: &[u8], seed: u32) -> Option<Self> {
        let mut fields = bytes.get(..FRAME_HEADER_BYTES)?;
        if fields.get_u32() != FRAME_MAGIC || fields.get_u32() != frame_crc(bytes, seed)? {
            return None;
        }
        let (hub, partition) = (EventHubId(fields.get_u32()), PartitionId(fields.get_u32()));
        let base = SequenceNumber(fields.get_i64());
        let append_time = Timestamp::from_milliseconds(fields.get_i64());
        let (count, batch_bytes) = (fields.get_u32(), fields.get_u32());
        let origin = Origin::from_byte(fields.get_u8())?;
        Some(Self { hub, partition, base, append_time, count, batch_bytes, origin })
    }

    /// Bytes from this frame to the next.
    pub(crate) fn frame_bytes(&self) -> usize {
        framed_bytes(self.batch_bytes as usize)
    }

    /// The batch within the frame's bytes.
    pub(crate) fn batch_range(&self) -> std::ops::Range<usize> {
        FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + self.batch_bytes as usize
    }
}

/// Sets append time and checksum of the frame at the start of `frame`.
pub(crate) fn finish_frame(frame: &mut [u8], append_time: Timestamp, seed: u32) {
    if let Some(slot) = frame.get_mut(24..32) {
        slot.copy_from_slice(&append_time.as_milliseconds().to_be_bytes());
    }
    let crc = frame_crc(frame, seed).unwrap_or_default();
    if let Some(slot) = frame.get_mut(4..8) {
        slot.copy_from_slice(&crc.to_be_bytes());
    }
}

fn frame_crc(frame: &[u8], seed: u32) -> Option<u32> {
    Some(crc32c::crc32c_append(seed, frame.get(8..FRAME_PREFIX_BYTES)?))
}
