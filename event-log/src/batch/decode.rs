//! Decoding stored batches into events. Bodies are slices of the batch, nothing is copied.

use bytes::{Buf, Bytes};
use model::{SequenceNumber, Timestamp};
use thiserror::Error;

use super::{BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, LENGTH_PREFIX_BYTES, varint};

/// Why bytes are not a batch whose events can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The bytes end inside the batch, or its length field disagrees with them.
    #[error("a record batch of {announced} bytes lies in {available} bytes")]
    Length {
        /// The length that the header announces, its own prefix included.
        announced: u64,
        /// The bytes there are.
        available: u64,
    },
    /// Another format of Kafka's.
    #[error("record batch of version {magic}; only version 2 is stored")]
    Magic {
        /// The version field.
        magic: i8,
    },
    /// The batch was changed after it was made.
    #[error("the record batch's checksum is {stored:08x}, its content has {computed:08x}")]
    Checksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the content.
        computed: u32,
    },
    /// The records are compressed; they can be copied, not looked into.
    #[error("the record batch is compressed with codec {codec}, which cannot be decoded here")]
    Compressed {
        /// Kafka's number of the codec: 1 gzip, 2 snappy, 3 lz4, 4 zstd.
        codec: u8,
    },
    /// The header counts differ, or leave no record.
    #[error("the record batch counts {count} records with a last offset delta of {last_offset_delta}")]
    Count {
        /// The record count.
        count: i32,
        /// The distance from the first to the last record.
        last_offset_delta: i32,
    },
    /// A record does not parse.
    #[error("record {index} of the batch is malformed")]
    Record {
        /// The record, counted from 0.
        index: u32,
    },
}

/// The header fields that the log and the decoder need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchHeader {
    pub(crate) base: i64,
    pub(crate) count: u32,
    codec: u8,
    base_timestamp: i64,
    max_timestamp: i64,
    append_time: bool,
}

/// Checks `bytes` to be exactly one batch, CRC included, and reads its header.
pub(crate) fn verify(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let available = bytes.len() as u64;
    let mut fields = bytes.get(..BATCH_HEADER_BYTES).ok_or(BatchError::Length { announced: BATCH_HEADER_BYTES as u64, available })?;
    let base = fields.get_i64();
    let announced = u64::from(fields.get_u32()) + LENGTH_PREFIX_BYTES as u64;
    if announced != available {
        return Err(BatchError::Length { announced, available });
    }
    fields.advance(4);
    let magic = fields.get_i8();
    if magic != 2 {
        return Err(BatchError::Magic { magic });
    }
    let stored = fields.get_u32();
    let computed = crc32c::crc32c(bytes.get(BATCH_PREFIX_BYTES..).unwrap_or_default());
    if stored != computed {
        return Err(BatchError::Checksum { stored, computed });
    }
    let attributes = fields.get_u16();
    let last_offset_delta = fields.get_i32();
    let (base_timestamp, max_timestamp) = (fields.get_i64(), fields.get_i64());
    fields.advance(14);
    let count = fields.get_i32();
    if count < 1 || last_offset_delta != count - 1 {
        return Err(BatchError::Count { count, last_offset_delta });
    }
    let (codec, append_time) = ((attributes & 7) as u8, attributes & 8 != 0);
    Ok(BatchHeader { base, count: count as u32, codec, base_timestamp, max_timestamp, append_time })
}

/// A header of an event: its name and its value, which may be null.
pub type EventHeader = (Bytes, Option<Bytes>);

/// An event with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The position.
    pub sequence: SequenceNumber,
    /// The record's own timestamp.
    pub timestamp: Timestamp,
    /// The partition key.
    pub key: Option<Bytes>,
    /// The body.
    pub value: Option<Bytes>,
    /// The headers in their order; names are what the producer sent, not checked to be UTF-8.
    pub headers: Vec<EventHeader>,
}

/// The events of a batch in order; after an error it ends.
#[derive(Debug)]
pub struct Events {
    bytes: Bytes,
    position: usize,
    next: u32,
    state: Result<BatchHeader, Option<BatchError>>,
}

impl Events {
    pub(super) fn new(bytes: &Bytes) -> Self {
        let state = match verify(bytes) {
            Ok(header) if header.codec != 0 => Err(Some(BatchError::Compressed { codec: header.codec })),
            Ok(header) => Ok(header),
            Err(error) => Err(Some(error)),
        };
        Self { bytes: bytes.clone(), position: BATCH_HEADER_BYTES, next: 0, state }
    }
}

impl Iterator for Events {
    type Item = Result<StoredEvent, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = match &mut self.state {
            Ok(header) => *header,
            Err(error) => return error.take().map(Err),
        };
        if self.next == header.count {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let event = self.take_record(&header, index);
        if event.is_none() {
            self.state = Err(None);
        }
        Some(event.ok_or(BatchError::Record { index }))
    }
}

impl Events {
    fn take_record(&mut self, header: &BatchHeader, index: u32) -> Option<StoredEvent> {
        let mut rest = self.bytes.get(self.position..)?;
        let length = usize::try_from(varint::take(&mut rest)?).ok()?;
        let start = self.bytes.len() - rest.len();
        let mut record = Slices { whole: &self.bytes, rest: rest.get(..length)? };
        self.position = start + length;
        let event = record.take_event(header)?;
        let in_order = event.sequence == SequenceNumber(header.base).plus(index);
        (in_order && record.rest.is_empty()).then_some(event)
    }
}

/// A record being taken apart, its pieces handed out as slices of the batch.
struct Slices<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
}

impl Slices<'_> {
    fn take_event(&mut self, header: &BatchHeader) -> Option<StoredEvent> {
        let (_attributes, rest) = self.rest.split_first()?;
        self.rest = rest;
        let delta = varint::take(&mut self.rest)?;
        let offset = u32::try_from(varint::take(&mut self.rest)?).ok()?;
        let milliseconds = if header.append_time { header.max_timestamp } else { header.base_timestamp.saturating_add(delta) };
        Some(StoredEvent {
            sequence: SequenceNumber(header.base).plus(offset),
            timestamp: Timestamp::from_milliseconds(milliseconds),
            key: self.take_nullable()?,
            value: self.take_nullable()?,
            headers: self.take_headers()?,
        })
    }

    /// `None` is malformed, `Some(None)` null.
    fn take_nullable(&mut self) -> Option<Option<Bytes>> {
        let length = varint::take(&mut self.rest)?;
        if length == -1 {
            return Some(None);
        }
        let length = usize::try_from(length).ok()?;
        let (value, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(self.whole.slice_ref(value)))
    }

    fn take_headers(&mut self) -> Option<Vec<EventHeader>> {
        let count = usize::try_from(varint::take(&mut self.rest)?).ok()?;
        // Two bytes are the least a header takes, so a lying count reserves nothing.
        if count > self.rest.len() / 2 {
            return None;
        }
        (0..count).map(|_| Some((self.take_nullable()??, self.take_nullable()?))).collect()
    }
}
