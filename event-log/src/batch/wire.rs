//! Batches made elsewhere: checked whole before they are staged, since what is stored is served to
//! every reader as it is.

use std::io::BufReader;

use bytes::{Bytes, BytesMut};
use model::Timestamp;
use thiserror::Error;

use super::header::{BatchHeader, content_crc};
use super::records::{RecordsError, check_records};
use super::{BATCH_HEADER_BYTES, Batch, ProducerStamp, set_at};
use crate::codec::{Codec, DecompressError, Expanded};

/// Read at once from a decompressor while records are checked.
const WINDOW_BYTES: usize = 8 * 1024;
/// What compressed records may hold at most, unless a limit says less.
pub(crate) const EXPANDED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bounds of a batch made elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// Bytes of the batch as it was sent.
    pub batch_bytes_max: usize,
    /// Bytes that compressed records may hold.
    pub expanded_bytes_max: usize,
    /// How many times their own length compressed records may hold. Up to
    /// [`batch_bytes_max`](Self::batch_bytes_max) any factor is allowed: the same records would
    /// have been taken uncompressed.
    pub expansion_max: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self { batch_bytes_max: 1024 * 1024, expanded_bytes_max: EXPANDED_BYTES_MAX, expansion_max: 64 }
    }
}

impl WireLimits {
    fn expanded_bytes_max(&self, compressed: usize) -> usize {
        let by_factor = compressed.saturating_mul(self.expansion_max);
        by_factor.max(self.batch_bytes_max).min(self.expanded_bytes_max)
    }
}

/// Why bytes are not a batch that can be stored. Nothing of it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireBatchError {
    /// More bytes than the limit.
    #[error("the record batch takes {bytes} bytes, the most is {max}")]
    TooLarge {
        /// Bytes of the batch.
        bytes: usize,
        /// The most there can be.
        max: usize,
    },
    /// The bytes end inside the batch.
    #[error("a record batch of {announced} bytes is cut to {available}")]
    Length {
        /// The length that the header announces, its own prefix included.
        announced: u64,
        /// The bytes there are.
        available: u64,
    },
    /// Something follows the batch: another one, most likely.
    #[error("{available} bytes hold more than one record batch")]
    Several {
        /// The bytes there are.
        available: u64,
    },
    /// Another version of the format.
    #[error("record batch of version {0}; only version 2 is taken")]
    Magic(i8),
    /// The content is not what the checksum was made of.
    #[error("the record batch's checksum is {stored:08x}, its content has {computed:08x}")]
    Crc {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the content.
        computed: u32,
    },
    /// Kafka has no codec of this number.
    #[error("the record batch is compressed with codec {0}, which does not exist")]
    Codec(u8),
    /// Attribute bits that no producer sets.
    #[error("the record batch has attributes {0:#06x}, which have no meaning")]
    Attributes(u16),
    /// The batch is part of a transaction.
    #[error("the record batch belongs to a transaction")]
    Transactional,
    /// Control records come from brokers alone.
    #[error("the record batch holds control records")]
    Control,
    /// Append times come from brokers alone.
    #[error("the record batch claims append times")]
    AppendTime,
    /// A producer id below -1, or one with a negative epoch or sequence.
    #[error("producer {} has epoch {} and sequence {}", .0.id, .0.epoch, .0.first_sequence)]
    Producer(ProducerStamp),
    /// The header counts differ, leave no record, or are not those of the records.
    #[error("the record batch counts {count} records with a last offset delta of {last_offset_delta}")]
    Count {
        /// The record count.
        count: i32,
        /// The distance from the first to the last record.
        last_offset_delta: i32,
    },
    /// More records than the header counts.
    #[error("{count} records are followed by more")]
    Uncounted {
        /// The record count.
        count: u32,
    },
    /// A record does not parse, or its offset is not the next one.
    #[error("record {index} of the batch is malformed")]
    Record {
        /// The record, counted from 0.
        index: u32,
    },
    /// A record's time lies before 1970, where Kafka has none.
    #[error("record {index} of the batch has timestamp {timestamp}")]
    RecordTimestamp {
        /// The record, counted from 0.
        index: u32,
        /// Milliseconds since 1970; -1 would be no timestamp.
        timestamp: i64,
    },
    /// The compressed records are damaged, or cut short.
    #[error("{reason}")]
    Compressed {
        /// What the decompressor met.
        reason: String,
    },
    /// Compressed records hold more than the limits allow.
    #[error("the compressed records hold more than {max} bytes")]
    Expansion {
        /// The most they may hold.
        max: usize,
    },
}

impl From<DecompressError> for WireBatchError {
    fn from(error: DecompressError) -> Self {
        match error {
            DecompressError::Malformed { .. } => Self::Compressed { reason: error.to_string() },
            DecompressError::Expansion { max } => Self::Expansion { max },
        }
    }
}

impl From<RecordsError> for WireBatchError {
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::Decompress(error) => error.into(),
            RecordsError::Malformed { index } => Self::Record { index },
            RecordsError::Timestamp { index, timestamp } => Self::RecordTimestamp { index, timestamp },
            RecordsError::Uncounted { count } => Self::Uncounted { count },
        }
    }
}

impl Batch {
    /// Takes a batch that a producer made, if `bytes` are exactly one and all of it is true:
    /// length, version, checksum, attributes, and every record, decompressed as a stream.
    ///
    /// Its base offset and leader epoch are set when it is staged. A maximum timestamp that is not
    /// the records' is corrected, as Kafka does, so that a search by time finds them.
    ///
    /// # Errors
    /// See [`WireBatchError`].
    pub fn from_wire(bytes: Bytes, limits: &WireLimits) -> Result<Self, WireBatchError> {
        let header = check_header(&bytes, limits)?;
        let records = bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default();
        let count = header.count as u32;
        let max_timestamp = match Codec::from_number(header.codec()).map_err(WireBatchError::Codec)? {
            None => check_records(&mut &*records, count, header.base_timestamp)?,
            Some(codec) => {
                let expanded = Expanded::new(codec, records, limits.expanded_bytes_max(records.len()))?;
                check_records(&mut BufReader::with_capacity(WINDOW_BYTES, expanded), count, header.base_timestamp)?
            }
        };
        let bytes = if header.max_timestamp == max_timestamp { bytes } else { with_max_timestamp(&bytes, max_timestamp) };
        let max_timestamp = Timestamp::from_milliseconds(max_timestamp);
        Ok(Self { bytes, count, producer: header.producer(), max_timestamp })
    }
}

fn check_header(bytes: &[u8], limits: &WireLimits) -> Result<BatchHeader, WireBatchError> {
    let available = bytes.len() as u64;
    if bytes.len() > limits.batch_bytes_max {
        return Err(WireBatchError::TooLarge { bytes: bytes.len(), max: limits.batch_bytes_max });
    }
    // Before the length: messages of the versions before 2 have a header of their own.
    if let Some(magic) = BatchHeader::magic_of(bytes).filter(|magic| *magic != 2) {
        return Err(WireBatchError::Magic(magic));
    }
    let header = BatchHeader::read(bytes).ok_or(WireBatchError::Length { announced: BATCH_HEADER_BYTES as u64, available })?;
    let announced = header.announced_bytes;
    if announced < BATCH_HEADER_BYTES as u64 || announced > available {
        return Err(WireBatchError::Length { announced, available });
    }
    if announced < available {
        return Err(WireBatchError::Several { available });
    }
    let computed = content_crc(bytes);
    if header.crc != computed {
        return Err(WireBatchError::Crc { stored: header.crc, computed });
    }
    check_fields(&header)?;
    Ok(header)
}

fn check_fields(header: &BatchHeader) -> Result<(), WireBatchError> {
    if header.is_control() {
        return Err(WireBatchError::Control);
    }
    if header.is_transactional() {
        return Err(WireBatchError::Transactional);
    }
    if header.has_append_time() {
        return Err(WireBatchError::AppendTime);
    }
    if header.reserved_attributes() != 0 {
        return Err(WireBatchError::Attributes(header.reserved_attributes()));
    }
    let BatchHeader { count, last_offset_delta, producer, .. } = *header;
    if count < 1 || last_offset_delta != count - 1 {
        return Err(WireBatchError::Count { count, last_offset_delta });
    }
    if producer.id < -1 || (producer.id >= 0 && (producer.epoch < 0 || producer.first_sequence < 0)) {
        return Err(WireBatchError::Producer(producer));
    }
    Ok(())
}

fn with_max_timestamp(bytes: &[u8], max_timestamp: i64) -> Bytes {
    let mut corrected = BytesMut::from(bytes);
    set_at(&mut corrected, 35, &max_timestamp.to_be_bytes());
    let crc = content_crc(&corrected);
    set_at(&mut corrected, 17, &crc.to_be_bytes());
    corrected.freeze()
}
