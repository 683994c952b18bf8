//! Encoding batches: one scratch buffer per connection, nothing allocated per record.

use bytes::{BufMut, BytesMut};
use model::Timestamp;

use super::header::content_crc;
use super::{BATCH_HEADER_BYTES, Batch, LENGTH_PREFIX_BYTES, set_at, varint};

/// Record headers encoded once and copied into many records: what all messages of a connection
/// have in common.
#[derive(Debug, Clone, Default)]
pub struct HeaderBlock {
    count: usize,
    bytes: Vec<u8>,
}

impl HeaderBlock {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same block with one header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &[u8]) -> Self {
        self.push(name, Some(value));
        self
    }

    /// Adds a header; `None` is Kafka's null, which differs from an empty value.
    pub fn push(&mut self, name: &str, value: Option<&[u8]>) {
        self.bytes.reserve(2 * varint::INT_BYTES_MAX + name.len() + value.map_or(0, <[u8]>::len));
        varint::put(&mut self.bytes, name.len() as i64);
        self.bytes.put_slice(name.as_bytes());
        match value {
            None => varint::put(&mut self.bytes, -1),
            Some(value) => {
                varint::put(&mut self.bytes, value.len() as i64);
                self.bytes.put_slice(value);
            }
        }
        self.count += 1;
    }

    /// Empties the block and keeps its memory, for the headers of the next message.
    pub fn clear(&mut self) {
        self.count = 0;
        self.bytes.clear();
    }

    /// Headers in the block.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the block has no headers.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// An event to be appended.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// When the event happened or was received; need not be monotonic.
    pub timestamp: Timestamp,
    /// The partition key, for device messages the device id.
    pub key: Option<&'a [u8]>,
    /// The body.
    pub value: Option<&'a [u8]>,
    /// The headers, block after block.
    pub headers: &'a [&'a HeaderBlock],
}

/// Builds one batch after the other in the same memory.
///
/// The memory is used again once the batches made from it are gone, so a connection that stages
/// what it builds allocates nothing in a steady state.
#[derive(Debug)]
pub struct BatchBuilder {
    buffer: BytesMut,
    base_timestamp: i64,
    max_timestamp: i64,
    count: u32,
}

impl BatchBuilder {
    /// An empty batch whose record timestamps are stored as distances from `timestamp_base`.
    pub fn new(timestamp_base: Timestamp) -> Self {
        let base_timestamp = timestamp_base.as_milliseconds();
        Self { buffer: BytesMut::new(), base_timestamp, max_timestamp: i64::MIN, count: 0 }
    }

    /// Changes the base for the next batch; without effect while this one has records.
    pub fn set_timestamp_base(&mut self, timestamp_base: Timestamp) {
        if self.count == 0 {
            self.base_timestamp = timestamp_base.as_milliseconds();
        }
    }

    /// Adds an event at the end.
    pub fn push(&mut self, record: Record<'_>) {
        let timestamp = record.timestamp.as_milliseconds();
        let delta = timestamp - self.base_timestamp;
        let length = record_length(&record, delta, self.count);
        if self.count == 0 {
            self.buffer.reserve(BATCH_HEADER_BYTES + length);
            self.buffer.put_bytes(0, BATCH_HEADER_BYTES);
        }
        varint::put(&mut self.buffer, length as i64);
        self.buffer.put_u8(0);
        varint::put(&mut self.buffer, delta);
        varint::put(&mut self.buffer, i64::from(self.count));
        put_nullable(&mut self.buffer, record.key);
        put_nullable(&mut self.buffer, record.value);
        varint::put(&mut self.buffer, header_count(&record));
        for block in record.headers {
            self.buffer.put_slice(&block.bytes);
        }
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }

    /// Whether nothing was pushed since the last [`BatchBuilder::finish`].
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Events pushed.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes the batch has by now.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The batch, its CRC computed, and an empty builder with the same base.
    ///
    /// Without records the batch has a count of 0 and staging refuses it.
    pub fn finish(&mut self) -> Batch {
        let count = std::mem::take(&mut self.count);
        let max_timestamp = std::mem::replace(&mut self.max_timestamp, i64::MIN);
        let mut buffer = self.buffer.split();
        if let Some((header, _)) = buffer.split_first_chunk_mut::<BATCH_HEADER_BYTES>() {
            header.copy_from_slice(&encode_header(count, self.base_timestamp, max_timestamp));
        }
        let total = buffer.len();
        set_at(&mut buffer, 8, &(total.saturating_sub(LENGTH_PREFIX_BYTES) as u32).to_be_bytes());
        let crc = content_crc(&buffer);
        set_at(&mut buffer, 17, &crc.to_be_bytes());
        Batch { bytes: buffer.freeze(), count, producer: None, max_timestamp: Timestamp::from_milliseconds(max_timestamp) }
    }
}

/// Everything but length and CRC.
fn encode_header(count: u32, base_timestamp: i64, max_timestamp: i64) -> [u8; BATCH_HEADER_BYTES] {
    let mut header = [0_u8; BATCH_HEADER_BYTES];
    let mut out = header.as_mut_slice();
    out.put_bytes(0, 16);
    out.put_i8(2);
    out.put_u32(0);
    out.put_i16(0);
    out.put_u32(count.saturating_sub(1));
    out.put_i64(base_timestamp);
    out.put_i64(max_timestamp);
    out.put_i64(-1);
    out.put_i16(-1);
    out.put_i32(-1);
    out.put_u32(count);
    header
}

fn header_count(record: &Record<'_>) -> i64 {
    record.headers.iter().map(|block| block.count).sum::<usize>() as i64
}

fn record_length(record: &Record<'_>, delta: i64, offset: u32) -> usize {
    let headers: usize = record.headers.iter().map(|block| block.bytes.len()).sum();
    1 + varint::len(delta)
        + varint::len(i64::from(offset))
        + nullable_length(record.key)
        + nullable_length(record.value)
        + varint::len(header_count(record))
        + headers
}

fn nullable_length(value: Option<&[u8]>) -> usize {
    value.map_or(1, |value| varint::len(value.len() as i64) + value.len())
}

fn put_nullable(out: &mut BytesMut, value: Option<&[u8]>) {
    match value {
        None => varint::put(out, -1),
        Some(value) => {
            varint::put(out, value.len() as i64);
            out.put_slice(value);
        }
    }
}
