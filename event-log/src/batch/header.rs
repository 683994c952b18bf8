//! The fixed part of a batch, as numbers.

use bytes::Buf;
use model::SequenceNumber;

use super::{BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, LENGTH_PREFIX_BYTES, ProducerStamp};

/// Attribute bits.
const CODEC: u16 = 7;
const APPEND_TIME: u16 = 1 << 3;
const TRANSACTIONAL: u16 = 1 << 4;
const CONTROL: u16 = 1 << 5;

/// What a batch says about itself, nothing of it checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchHeader {
    pub(crate) base: i64,
    /// Bytes of the whole batch.
    pub(crate) announced_bytes: u64,
    pub(crate) magic: i8,
    pub(crate) crc: u32,
    attributes: u16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer: ProducerStamp,
    pub(crate) count: i32,
}

impl BatchHeader {
    /// The version of a batch or of the messages before there were batches: all have it in the
    /// same place.
    pub(crate) fn magic_of(bytes: &[u8]) -> Option<i8> {
        bytes.get(16).map(|byte| *byte as i8)
    }

    /// `None` if there are fewer bytes than a header has.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.get(..BATCH_HEADER_BYTES)?;
        let base = fields.get_i64();
        let announced_bytes = u64::from(fields.get_u32()) + LENGTH_PREFIX_BYTES as u64;
        fields.advance(4);
        Some(Self {
            base,
            announced_bytes,
            magic: fields.get_i8(),
            crc: fields.get_u32(),
            attributes: fields.get_u16(),
            last_offset_delta: fields.get_i32(),
            base_timestamp: fields.get_i64(),
            max_timestamp: fields.get_i64(),
            producer: ProducerStamp { id: fields.get_i64(), epoch: fields.get_i16(), first_sequence: fields.get_i32() },
            count: fields.get_i32(),
        })
    }

    /// The sequence number of the record with this offset delta.
    pub(super) fn sequence(&self, index: u32) -> SequenceNumber {
        SequenceNumber(self.base).plus(index)
    }

    /// Kafka's number of the codec.
    pub(crate) fn codec(&self) -> u8 {
        (self.attributes & CODEC) as u8
    }

    /// Whether all records have the time of their appending, which is then the maximum.
    pub(crate) fn has_append_time(&self) -> bool {
        self.attributes & APPEND_TIME != 0
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Attribute bits that have no meaning in a batch from a producer.
    pub(crate) fn reserved_attributes(&self) -> u16 {
        self.attributes & !(CODEC | APPEND_TIME | TRANSACTIONAL | CONTROL)
    }

    /// The producer, if the batch is one of a numbered sequence. Without an id the other two
    /// fields mean nothing: clients leave 0 or -1 in them.
    pub(crate) fn producer(&self) -> Option<ProducerStamp> {
        (self.producer.id >= 0).then_some(self.producer)
    }
}

/// The checksum that the content of a batch has.
pub(crate) fn content_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes.get(BATCH_PREFIX_BYTES..).unwrap_or_default())
}
