//! Snappy as Kafka's producers send it: one bare block, or the framing of the Java library.

use std::io::{self, Read};

use super::DecompressError;

/// The framing of snappy-java: magic, then its version and the oldest one it is compatible with.
const FRAMING_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const FRAMING_VERSION_BYTES: usize = 8;
/// A copy element takes three bytes at least and yields 64 at most, so no block holds more than
/// this times its length.
const EXPANSION_MAX: usize = 22;

/// The blocks of a snappy stream, decoded one after the other.
pub(super) struct SnappyDecoder<'a> {
    blocks: Blocks<'a>,
    block: Vec<u8>,
    position: usize,
    /// Bytes that may still come.
    room: usize,
    max: usize,
}

enum Blocks<'a> {
    Bare(Option<&'a [u8]>),
    Framed(&'a [u8]),
}

impl<'a> SnappyDecoder<'a> {
    pub(super) fn new(compressed: &'a [u8], max: usize) -> Result<Self, DecompressError> {
        let blocks = match compressed.strip_prefix(FRAMING_MAGIC) {
            None => Blocks::Bare(Some(compressed)),
            Some(rest) => {
                let framed = rest.get(FRAMING_VERSION_BYTES..);
                Blocks::Framed(framed.ok_or_else(|| DecompressError::malformed("cut short in snappy's framing"))?)
            }
        };
        Ok(Self { blocks, block: Vec::new(), position: 0, room: max, max })
    }

    /// Compressed bytes not yet taken.
    pub(super) fn rest(&self) -> usize {
        match self.blocks {
            Blocks::Bare(block) => block.map_or(0, <[u8]>::len),
            Blocks::Framed(rest) => rest.len(),
        }
    }

    /// Decodes the next block; false at the end.
    fn next_block(&mut self) -> Result<bool, DecompressError> {
        let Some(compressed) = self.blocks.take()? else { return Ok(false) };
        let length = snap::raw::decompress_len(compressed).map_err(DecompressError::malformed)?;
        if length > self.room {
            return Err(DecompressError::Expansion { max: self.max });
        }
        if length > compressed.len().saturating_mul(EXPANSION_MAX) {
            return Err(DecompressError::malformed("a snappy block announces more than it can hold"));
        }
        self.room -= length;
        self.position = 0;
        self.block.resize(length, 0);
        let written = snap::raw::Decoder::new().decompress(compressed, &mut self.block).map_err(DecompressError::malformed)?;
        self.block.truncate(written);
        Ok(true)
    }
}

impl<'a> Blocks<'a> {
    fn take(&mut self) -> Result<Option<&'a [u8]>, DecompressError> {
        match self {
            Self::Bare(block) => Ok(block.take()),
            Self::Framed([]) => Ok(None),
            Self::Framed(rest) => {
                let (block, behind) = split_block(rest).ok_or_else(|| DecompressError::malformed("a snappy block is cut short"))?;
                *rest = behind;
                Ok(Some(block))
            }
        }
    }
}

fn split_block(framed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = framed.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(i32::from_be_bytes(*length)).ok()?)
}

impl Read for SnappyDecoder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut rest = self.block.get(self.position..).unwrap_or_default();
            if !rest.is_empty() {
                let read = rest.read(out)?;
                self.position += read;
                return Ok(read);
            }
            if !self.next_block()? {
                return Ok(0);
            }
        }
    }
}
