//! Walking through a segment's bytes: groups, damaged stretches, frames. Used by recovery and by
//! readers of old events alike. Never trusts a length that no checksum covers.

use std::io;

use bytes::Bytes;

use crate::batch::{StoredBatch, verify};

use crate::disk::{DiskFile, Holes, read_around_holes};
use crate::format::{BLOCK_BYTES, FRAME_ALIGNMENT, FrameHeader, GROUP_HEADER_BYTES, GroupHeader, SegmentIdentity, frame_seed};

/// A damaged stretch is searched for frames up to this length.
const SALVAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A piece of a file in memory that moves along with its reader.
pub(crate) struct Window<'a> {
    file: &'a dyn DiskFile,
    read_bytes: usize,
    start: u64,
    bytes: Bytes,
    holes: Holes,
}

impl<'a> Window<'a> {
    /// Reads `read_bytes` at once, or more where a single slice takes more.
    pub(crate) fn new(file: &'a dyn DiskFile, read_bytes: usize) -> Self {
        Self { file, read_bytes, start: 0, bytes: Bytes::new(), holes: Holes::default() }
    }

    /// The bytes from `at` to `at + length`, fewer only at the end of the file; zeros where the disk
    /// cannot read.
    pub(crate) fn slice(&mut self, at: u64, length: usize) -> io::Result<Bytes> {
        if !self.holds(at, length) {
            self.bytes = read_around_holes(self.file, at, self.read_bytes.max(length), &mut self.holes)?.into();
            self.start = at;
        }
        let from = (at - self.start) as usize;
        Ok(self.bytes.slice(from..self.bytes.len().min(from + length)))
    }

    /// What the disk could not read of all that was asked for.
    pub(crate) fn holes(&self) -> &Holes {
        &self.holes
    }

    fn holds(&self, at: u64, length: usize) -> bool {
        at >= self.start && at + length as u64 <= self.start + self.bytes.len() as u64
    }
}

/// What lies between two places where groups begin.
pub(crate) struct Stretch {
    pub(crate) at: u64,
    /// Where the next stretch begins.
    pub(crate) end: u64,
    /// The group's header; `None` for a stretch in which none verifies.
    pub(crate) header: Option<GroupHeader>,
    frames: Bytes,
    seed: u32,
}

/// The stretch at `at`, or `None` if no group of the segment lies between `at` and `limit`.
pub(crate) fn next_stretch(window: &mut Window<'_>, identity: SegmentIdentity, at: u64, limit: u64) -> io::Result<Option<Stretch>> {
    if at >= limit {
        return Ok(None);
    }
    let header = GroupHeader::decode(&window.slice(at, GROUP_HEADER_BYTES)?);
    if let Some(header) = header.filter(|header| header.identity == identity && at + header.group_bytes() as u64 <= limit) {
        let frames = window.slice(at + GROUP_HEADER_BYTES as u64, header.frames_bytes as usize)?;
        let end = at + header.group_bytes() as u64;
        return Ok(Some(Stretch { at, end, header: Some(header), frames, seed: header.frame_seed() }));
    }
    let Some((end, later)) = find_group(window, at + BLOCK_BYTES as u64, limit, |header| header.identity == identity)? else {
        return Ok(None);
    };
    // Most likely one group's header is damaged, the one just before; then its frames still verify.
    let frames = window.slice(at + GROUP_HEADER_BYTES as u64, (end - at).min(SALVAGE_BYTES_MAX) as usize - GROUP_HEADER_BYTES)?;
    let seed = frame_seed(identity, later.number.wrapping_sub(1), later.writer);
    Ok(Some(Stretch { at, end, header: None, frames, seed }))
}

/// The first valid group header from `at` on that is wanted, and its place.
pub(crate) fn find_group(
    window: &mut Window<'_>,
    mut at: u64,
    limit: u64,
    wanted: impl Fn(&GroupHeader) -> bool,
) -> io::Result<Option<(u64, GroupHeader)>> {
    while at < limit {
        let bytes = window.slice(at, GROUP_HEADER_BYTES)?;
        if let Some(header) = GroupHeader::decode(&bytes).filter(&wanted) {
            return Ok(Some((at, header)));
        }
        at += BLOCK_BYTES as u64;
    }
    Ok(None)
}

impl Stretch {
    /// The frames whose headers verify, in order; what does not verify is passed over.
    pub(crate) fn frames(&self) -> Frames<'_> {
        Frames { stretch: self, at: 0 }
    }

    /// Bytes in which frames may lie: those that the header tells, or all of a damaged stretch.
    pub(crate) fn frames_bytes(&self) -> u64 {
        self.header.map_or(self.end - self.at - GROUP_HEADER_BYTES as u64, |header| u64::from(header.frames_bytes))
    }

    /// Whether the group verifies in every frame and batch.
    pub(crate) fn is_whole(&self) -> bool {
        let Some(header) = self.header else { return false };
        let (mut end, mut count) = (0, 0);
        for frame in self.frames() {
            if frame.at != end || frame.batch().is_none() {
                return false;
            }
            end = frame.at + frame.header.frame_bytes();
            count += 1;
        }
        end == header.frames_bytes as usize && count == header.frame_count
    }
}

/// See [`Stretch::frames`].
pub(crate) struct Frames<'a> {
    stretch: &'a Stretch,
    at: usize,
}

/// A frame whose header verifies.
pub(crate) struct Frame<'a> {
    pub(crate) at: usize,
    pub(crate) header: FrameHeader,
    stretch: &'a Stretch,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        while let Some(bytes) = self.stretch.frames.get(self.at..).filter(|bytes| !bytes.is_empty()) {
            let at = self.at;
            if let Some(header) = FrameHeader::decode(bytes, self.stretch.seed) {
                self.at += header.frame_bytes();
                return Some(Frame { at, header, stretch: self.stretch });
            }
            self.at += FRAME_ALIGNMENT;
        }
        None
    }
}

impl Frame<'_> {
    /// The batch, if it verifies and is the one that the header describes.
    pub(crate) fn batch(&self) -> Option<StoredBatch> {
        let range = self.header.batch_range();
        let bytes = self.stretch.frames.slice(self.at + range.start..self.at + range.end);
        let batch = verify(&bytes).ok()?;
        let FrameHeader { base, count, append_time, origin, .. } = self.header;
        (batch.base == base.0 && batch.count as u32 == count).then_some(StoredBatch {
            base,
            count,
            append_time,
            origin,
            wanted: base,
            bytes,
        })
    }
}
