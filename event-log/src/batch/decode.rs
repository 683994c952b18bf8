//! Decoding stored batches into events. Bodies are slices of the batch, nothing is copied; of a
//! compressed batch they are slices of its decompressed records.

use bytes::Bytes;
use model::{SequenceNumber, Timestamp};
use thiserror::Error;

use super::header::{BatchHeader, content_crc};
use super::wire::EXPANDED_BYTES_MAX;
use super::{BATCH_HEADER_BYTES, varint};
use crate::codec::{Codec, Expanded};

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
    /// The records are compressed and do not decompress.
    #[error("decompressing the record batch of codec {codec}: {reason}")]
    Compressed {
        /// Kafka's number of the codec: 1 gzip, 2 snappy, 3 lz4, 4 zstd.
        codec: u8,
        /// What the decompressor met.
        reason: String,
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

/// Checks `bytes` to be exactly one batch, CRC included, and reads its header.
pub(crate) fn verify(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let available = bytes.len() as u64;
    let header = BatchHeader::read(bytes).ok_or(BatchError::Length { announced: BATCH_HEADER_BYTES as u64, available })?;
    let BatchHeader { announced_bytes: announced, magic, crc: stored, count, last_offset_delta, .. } = header;
    if announced != available {
        return Err(BatchError::Length { announced, available });
    }
    if magic != 2 {
        return Err(BatchError::Magic { magic });
    }
    let computed = content_crc(bytes);
    if stored != computed {
        return Err(BatchError::Checksum { stored, computed });
    }
    if count < 1 || last_offset_delta != count - 1 {
        return Err(BatchError::Count { count, last_offset_delta });
    }
    Ok(header)
}

/// The records of a batch that verifies: a slice of it, or decompressed as a whole.
fn expand(bytes: &Bytes, header: &BatchHeader) -> Result<Bytes, BatchError> {
    let records = bytes.slice(BATCH_HEADER_BYTES..);
    let failed = |reason: String| BatchError::Compressed { codec: header.codec(), reason };
    match Codec::from_number(header.codec()) {
        Ok(None) => Ok(records),
        Ok(Some(codec)) => {
            let expanded = Expanded::new(codec, &records, EXPANDED_BYTES_MAX).and_then(Expanded::read_all);
            Ok(expanded.map_err(|error| failed(error.to_string()))?.into())
        }
        Err(_) => Err(failed("no such codec".to_owned())),
    }
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
///
/// Each is decoded when it is asked for. Compressed records are decompressed once, before the
/// first, into memory that the events share.
#[derive(Debug)]
pub struct Events {
    records: Bytes,
    position: usize,
    next: u32,
    state: Result<BatchHeader, Option<BatchError>>,
}

impl Events {
    pub(super) fn new(bytes: &Bytes) -> Self {
        let opened = verify(bytes).and_then(|header| Ok((header, expand(bytes, &header)?)));
        let (records, state) = match opened {
            Ok((header, records)) => (records, Ok(header)),
            Err(error) => (Bytes::new(), Err(Some(error))),
        };
        Self { records, position: 0, next: 0, state }
    }

    /// What `decode` makes of the next record; `None` from it is a malformed one, and the end.
    fn decode_next<T>(&mut self, decode: impl FnOnce(Slices<'_>, &BatchHeader, u32) -> Option<T>) -> Option<Result<T, BatchError>> {
        let header = match &mut self.state {
            Ok(header) => *header,
            Err(error) => return error.take().map(Err),
        };
        let index = self.next;
        if index == header.count as u32 {
            return None;
        }
        self.next += 1;
        let decoded = self.split_record().and_then(|record| decode(record, &header, index));
        if decoded.is_none() {
            self.state = Err(None);
        }
        Some(decoded.ok_or(BatchError::Record { index }))
    }

    fn split_record(&mut self) -> Option<Slices<'_>> {
        let mut rest = self.records.get(self.position..)?;
        let length = usize::try_from(varint::take(&mut rest)?).ok()?;
        self.position = self.records.len() - rest.len() + length;
        Some(Slices { whole: &self.records, rest: rest.get(..length)? })
    }

    /// The positions and timestamps alone; ends at what does not decode.
    pub(super) fn timestamps(mut self) -> impl Iterator<Item = (SequenceNumber, Timestamp)> {
        std::iter::from_fn(move || {
            let decoded = self.decode_next(|mut record, header, index| Some((header.sequence(index), record.take_timestamp(header)?)));
            decoded?.ok()
        })
    }
}

impl Iterator for Events {
    type Item = Result<StoredEvent, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.decode_next(|mut record, header, index| record.take_event(header, index).filter(|_| record.rest.is_empty()))
    }
}

/// A record being taken apart, its pieces handed out as slices of the records.
struct Slices<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
}

impl Slices<'_> {
    /// Takes the attributes, which mean nothing, and the timestamp.
    fn take_timestamp(&mut self, header: &BatchHeader) -> Option<Timestamp> {
        let (_attributes, rest) = self.rest.split_first()?;
        self.rest = rest;
        let delta = varint::take(&mut self.rest)?;
        let milliseconds = if header.has_append_time() { header.max_timestamp } else { header.base_timestamp.saturating_add(delta) };
        Some(Timestamp::from_milliseconds(milliseconds))
    }

    fn take_event(&mut self, header: &BatchHeader, index: u32) -> Option<StoredEvent> {
        let timestamp = self.take_timestamp(header)?;
        if varint::take(&mut self.rest)? != i64::from(index) {
            return None;
        }
        let (key, value, headers) = (self.take_nullable()?, self.take_nullable()?, self.take_headers()?);
        Some(StoredEvent { sequence: header.sequence(index), timestamp, key, value, headers })
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
