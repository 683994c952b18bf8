//! The index: where in a partition's data a number or a moment lies. Sparse, in blocks of 4 KiB
//! that are read when asked for; nothing of it is held in memory. The entries of all partitions
//! follow each other, so 1,024 partitions with one entry each take 9 blocks, not 1,024.

use std::io;

use bytes::{Buf, BufMut};
use model::{EventHubId, SequenceNumber, Timestamp};

use super::format::FileIdentity;
use super::{Part, SealedFile};

/// A block; blocks begin at multiples of this.
pub(crate) const BLOCK_BYTES: usize = 4096;
const BLOCK_HEADER_BYTES: usize = 32;
const ENTRY_BYTES: usize = 32;
const ENTRIES_IN_BLOCK: u32 = ((BLOCK_BYTES - BLOCK_HEADER_BYTES) / ENTRY_BYTES) as u32;
/// A partition gets an entry about every so many bytes of its data: a seek scans that much.
pub(crate) const STRIDE_BYTES: u64 = 4096;

const BLOCK_MAGIC: u32 = u32::from_be_bytes(*b"IIDX");

/// A frame's place, and what was known when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) base: SequenceNumber,
    /// The frame's place in the file.
    pub(crate) at: u64,
    pub(crate) append_time: Timestamp,
    /// The largest record timestamp of the partition's frames in this file, up to and with this.
    pub(crate) record_time_max: Timestamp,
}

/// A partition's entries, counted over the whole index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexRange {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl IndexRange {
    fn end(self) -> u32 {
        self.first.saturating_add(self.count)
    }

    /// Where the last block of the range ends in an index at `index_at`.
    pub(crate) fn end_at(self, index_at: u64) -> u64 {
        index_at.saturating_add(index_bytes(self.end()))
    }
}

/// Bytes of an index with so many entries.
pub(crate) fn index_bytes(entries: u32) -> u64 {
    u64::from(entries.div_ceil(ENTRIES_IN_BLOCK)) * BLOCK_BYTES as u64
}

/// Writes entries as blocks.
///
/// ```text
///  0  4  "IIDX"
///  4  4  checksum, continued from the file's, of bytes 8 to 4095
///  8  4  event hub
/// 12  4  number of the block, from 0
/// 16  4  number of entries, 127 but in the last block
/// 20 12  zero
/// 32 32  each entry: first number of the frame i64, place u64, append time i64, running maximum
///        of record timestamps i64; then zeros
/// ```
pub(crate) fn encode_index(identity: &FileIdentity, entries: &[IndexEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(index_bytes(entries.len() as u32) as usize);
    for (number, entries) in (0_u32..).zip(entries.chunks(ENTRIES_IN_BLOCK as usize)) {
        let start = out.len();
        out.put_u32(BLOCK_MAGIC);
        out.put_u32(0);
        out.put_u32(identity.hub.0);
        out.put_u32(number);
        out.put_u32(entries.len() as u32);
        out.put_bytes(0, 12);
        for entry in entries {
            out.put_i64(entry.base.0);
            out.put_u64(entry.at);
            out.put_i64(entry.append_time.as_milliseconds());
            out.put_i64(entry.record_time_max.as_milliseconds());
        }
        out.resize(start + BLOCK_BYTES, 0);
        let checksum = crc32c::crc32c_append(identity.seed(), out.get(start + 8..).unwrap_or_default());
        if let Some(slot) = out.get_mut(start + 4..start + 8) {
            slot.copy_from_slice(&checksum.to_be_bytes());
        }
    }
    out
}

/// The entries of a block, if it verifies and is the one looked for.
fn decode_block(bytes: &[u8], identity: &FileIdentity, number: u32) -> Option<Vec<IndexEntry>> {
    let mut fields = bytes.get(..BLOCK_BYTES)?;
    let checksum = crc32c::crc32c_append(identity.seed(), fields.get(8..)?);
    if fields.get_u32() != BLOCK_MAGIC || fields.get_u32() != checksum {
        return None;
    }
    let (hub, stored_number, count) = (EventHubId(fields.get_u32()), fields.get_u32(), fields.get_u32());
    fields.advance(12);
    (hub == identity.hub && stored_number == number && count <= ENTRIES_IN_BLOCK)
        .then(|| (0..count).map(|_| take_entry(&mut fields)).collect())
}

fn take_entry(fields: &mut &[u8]) -> IndexEntry {
    IndexEntry {
        base: SequenceNumber(fields.get_i64()),
        at: fields.get_u64(),
        append_time: Timestamp::from_milliseconds(fields.get_i64()),
        record_time_max: Timestamp::from_milliseconds(fields.get_i64()),
    }
}

impl SealedFile {
    /// The last entry of a partition for which `is_before` holds, which must hold up to some entry
    /// and for none after it. Where a block does not verify, the last that was found until then:
    /// reading from there only takes longer.
    pub(super) fn last_entry(&self, part: &Part, is_before: impl Fn(&IndexEntry) -> bool) -> io::Result<Option<IndexEntry>> {
        let mut best = None;
        let (mut low, mut high) = (part.index.first / ENTRIES_IN_BLOCK, part.index.end().div_ceil(ENTRIES_IN_BLOCK));
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(entries) = self.entries_in_block(part, middle)? else { break };
            let after = entries.partition_point(&is_before);
            let Some(last) = after.checked_sub(1).and_then(|last| entries.get(last)) else {
                high = middle;
                continue;
            };
            best = Some(*last);
            if after < entries.len() {
                break;
            }
            low = middle + 1;
        }
        Ok(best)
    }

    /// The places of index blocks that do not verify.
    pub(crate) fn damaged_index_blocks(&self) -> io::Result<Vec<u64>> {
        let blocks = self.footer.parts.iter().map(|part| part.index.end()).max().unwrap_or(0).div_ceil(ENTRIES_IN_BLOCK);
        let mut damaged = Vec::new();
        for number in 0..blocks {
            let at = self.footer.index_at + u64::from(number) * BLOCK_BYTES as u64;
            let bytes = self.read_at(at, BLOCK_BYTES)?;
            if decode_block(&bytes, &self.identity, number).is_none() {
                damaged.push(at);
            }
        }
        Ok(damaged)
    }

    /// A partition's entries in a block of the index; `None` if the block does not verify.
    fn entries_in_block(&self, part: &Part, number: u32) -> io::Result<Option<Vec<IndexEntry>>> {
        let at = self.footer.index_at + u64::from(number) * BLOCK_BYTES as u64;
        let bytes = self.read_at(at, BLOCK_BYTES)?;
        let data = part.at..part.data_end();
        let begin = number * ENTRIES_IN_BLOCK;
        let own = part.index.first.max(begin) - begin..part.index.end().min(begin + ENTRIES_IN_BLOCK) - begin;
        let entries = decode_block(&bytes, &self.identity, number)
            .and_then(|entries| entries.get(own.start as usize..own.end as usize).map(<[IndexEntry]>::to_vec))
            .filter(|entries| entries.iter().all(|entry| data.contains(&entry.at)));
        if entries.is_none() {
            self.note_index_damage(at);
        }
        Ok(entries)
    }
}
