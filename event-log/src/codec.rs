//! Decompressing the records of a batch: one stream over Kafka's four codecs, whose output is
//! bounded while it is made.
//!
//! What a decoder may take: gzip 48 KiB; lz4 two or three of its blocks and a window, which makes
//! 12.1 MiB with the largest blocks (some clients use those, most use 64 KiB); zstd its window,
//! refused above [`WINDOW_LOG_MAX`]. Snappy has no stream: its blocks are decoded whole, 32 KiB
//! each in the framing of Java clients; a bare block, as librdkafka sends it, is the whole batch,
//! and can be 22 times as large as its input at most.

mod snappy;

use std::io::{self, Read};

use flate2::bufread::GzDecoder;
use lz4_flex::frame::FrameDecoder;
use thiserror::Error;

use snappy::SnappyDecoder;

/// The largest zstd window: 8 MiB, what RFC 8878 §3.1.1.1.2 wants every decoder to support.
const WINDOW_LOG_MAX: u32 = 23;
/// First bytes of an lz4 frame; the legacy format with its blocks of 8 MiB begins differently.
const LZ4_MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Codec {
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// The codec of Kafka's number; `Ok(None)` is uncompressed.
    ///
    /// # Errors
    /// The number, if Kafka has no such codec.
    pub(crate) fn from_number(number: u8) -> Result<Option<Self>, u8> {
        match number {
            0 => Ok(None),
            1 => Ok(Some(Self::Gzip)),
            2 => Ok(Some(Self::Snappy)),
            3 => Ok(Some(Self::Lz4)),
            4 => Ok(Some(Self::Zstd)),
            other => Err(other),
        }
    }
}

/// Why compressed bytes did not yield their content.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecompressError {
    /// They are cut short, damaged, of another format, or more follows them.
    #[error("the compressed records are malformed: {reason}")]
    Malformed {
        /// What the decoder met.
        reason: String,
    },
    /// There is more in them than the limit.
    #[error("the compressed records hold more than {max} bytes")]
    Expansion {
        /// The most there may be.
        max: usize,
    },
}

impl DecompressError {
    fn malformed(reason: impl ToString) -> Self {
        Self::Malformed { reason: reason.to_string() }
    }

    /// The cause of an error that reading an [`Expanded`] yielded.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        let own = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>());
        own.cloned().unwrap_or_else(|| Self::malformed(error))
    }
}

impl From<DecompressError> for io::Error {
    fn from(error: DecompressError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// The content of compressed bytes as a stream. It ends well only where the compressed bytes end.
pub(crate) struct Expanded<'a> {
    decoder: Decoder<'a>,
    produced: usize,
    max: usize,
    ended: bool,
}

enum Decoder<'a> {
    Gzip(Box<GzDecoder<&'a [u8]>>),
    Snappy(SnappyDecoder<'a>),
    Lz4(Box<FrameDecoder<Source<'a>>>),
    Zstd(Box<zstd::Decoder<'static, &'a [u8]>>),
}

impl<'a> Expanded<'a> {
    /// Nothing is decoded yet, and no memory taken in proportion to what `compressed` announces.
    pub(crate) fn new(codec: Codec, compressed: &'a [u8], max: usize) -> Result<Self, DecompressError> {
        let decoder = match codec {
            Codec::Gzip => Decoder::Gzip(Box::new(GzDecoder::new(compressed))),
            Codec::Snappy => Decoder::Snappy(SnappyDecoder::new(compressed, max)?),
            Codec::Lz4 if compressed.starts_with(&LZ4_MAGIC) => Decoder::Lz4(Box::new(FrameDecoder::new(Source::new(compressed)))),
            Codec::Lz4 => return Err(DecompressError::malformed("not an lz4 frame")),
            Codec::Zstd => Decoder::Zstd(Box::new(zstd_decoder(compressed).map_err(DecompressError::malformed)?)),
        };
        Ok(Self { decoder, produced: 0, max, ended: false })
    }

    /// Everything, in memory that grows as it comes.
    pub(crate) fn read_all(mut self) -> Result<Vec<u8>, DecompressError> {
        let mut content = Vec::new();
        self.read_to_end(&mut content).map_err(|error| DecompressError::from_io(&error))?;
        Ok(content)
    }

    fn check_end(&self) -> Result<(), DecompressError> {
        let (is_whole, rest) = match &self.decoder {
            Decoder::Gzip(decoder) => (true, decoder.get_ref().len()),
            Decoder::Snappy(decoder) => (true, decoder.rest()),
            Decoder::Lz4(decoder) => (!decoder.get_ref().ran_dry, decoder.get_ref().bytes.len()),
            Decoder::Zstd(decoder) => (true, decoder.get_ref().len()),
        };
        if !is_whole {
            return Err(DecompressError::malformed("cut short"));
        }
        if rest > 0 {
            return Err(DecompressError::malformed(format_args!("{rest} bytes follow the end")));
        }
        Ok(())
    }
}

fn zstd_decoder(compressed: &[u8]) -> io::Result<zstd::Decoder<'static, &[u8]>> {
    let mut decoder = zstd::Decoder::with_buffer(compressed)?.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(decoder)
}

impl Read for Expanded<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended || out.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.read(out)?,
            Decoder::Snappy(decoder) => decoder.read(out)?,
            Decoder::Lz4(decoder) => decoder.read(out)?,
            Decoder::Zstd(decoder) => decoder.read(out)?,
        };
        self.produced += read;
        if self.produced > self.max {
            return Err(DecompressError::Expansion { max: self.max }.into());
        }
        if read == 0 {
            self.check_end()?;
            self.ended = true;
        }
        Ok(read)
    }
}

/// Compressed bytes that remember being asked for more than there is: the lz4 decoder takes an end
/// between two blocks for the end of the frame.
struct Source<'a> {
    bytes: &'a [u8],
    ran_dry: bool,
}

impl<'a> Source<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, ran_dry: false }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(out)?;
        self.ran_dry |= read < out.len();
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
