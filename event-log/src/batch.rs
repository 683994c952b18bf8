//! Record batches in the format of Kafka, version 2 (event-buffer-wire.md §5.4), big-endian:
//!
//! ```text
//!  0 base offset i64        the sequence number of the first event; set when the batch is staged
//!  8 length i32             of what follows this field
//! 12 leader epoch i32       0
//! 16 magic i8               2
//! 17 CRC32C u32             of everything from byte 21 on
//! 21 attributes i16         bits 0-2 codec, 3 append time, 4 transactional, 5 control
//! 23 last offset delta i32
//! 27 base timestamp i64     milliseconds
//! 35 max timestamp i64
//! 43 producer id i64        -1
//! 51 producer epoch i16     -1
//! 53 base sequence i32      -1
//! 57 record count i32
//! 61 records
//! ```
//!
//! Producers other than the hub set base timestamp and producer fields as they like, see
//! [`Batch::from_wire`]; their batches are stored compressed as they came.
//!
//! A batch is whole, its CRC included, before it meets the log; staging touches only the base
//! offset and the leader epoch, which the CRC leaves out.

mod builder;
mod decode;
mod header;
mod records;
mod varint;
mod wire;

pub use builder::{BatchBuilder, HeaderBlock, Record};
pub(crate) use decode::verify;
pub use decode::{BatchError, EventHeader, Events, StoredEvent};
pub(crate) use header::BatchHeader;
pub use wire::{WireBatchError, WireLimits};

use bytes::Bytes;
use model::{SequenceNumber, Timestamp};

/// Bytes before the records.
pub(crate) const BATCH_HEADER_BYTES: usize = 61;
/// Bytes that the frame's CRC covers because the batch's own does not.
pub(crate) const BATCH_PREFIX_BYTES: usize = 21;
/// Bytes before those that the length field counts.
const LENGTH_PREFIX_BYTES: usize = 12;

/// A finished record batch without a position, ready to be staged.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) count: u32,
    pub(crate) producer: Option<ProducerStamp>,
    max_timestamp: Timestamp,
}

/// Where a batch stands in the sequence of an idempotent producer's batches to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProducerStamp {
    /// The producer, 0 or more; never given to another one.
    pub id: i64,
    /// Counts the producer's restarts, 0 or more.
    pub epoch: i16,
    /// The number of the batch's first record, 0 or more; goes on at 0 after [`i32::MAX`].
    pub first_sequence: i32,
}

impl Batch {
    /// Events in the batch.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The encoded batch; its base offset is not yet set.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The idempotent producer that made the batch; `None` for all others, the hub among them.
    pub fn producer(&self) -> Option<ProducerStamp> {
        self.producer
    }

    /// The largest timestamp of its events; 1 ms before 1970 if the producer gave none.
    pub fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }

    /// Bytes that staging the batch takes from the budget: what to pass to
    /// [`EventLog::reserve`](crate::EventLog::reserve).
    pub fn staged_bytes(&self) -> usize {
        crate::format::framed_bytes(self.bytes.len())
    }
}

fn set_at(buffer: &mut [u8], at: usize, value: &[u8]) {
    if let Some(slot) = buffer.get_mut(at..at + value.len()) {
        slot.copy_from_slice(value);
    }
}

/// The batch in `bytes` with the length and the checksum that its content has.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn with_true_checksum(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes::BytesMut::from(bytes);
    let length = bytes.len().saturating_sub(LENGTH_PREFIX_BYTES) as u32;
    set_at(&mut bytes, 8, &length.to_be_bytes());
    let crc = header::content_crc(&bytes);
    set_at(&mut bytes, 17, &crc.to_be_bytes());
    bytes.freeze()
}

/// Who appended a batch; decides how its records are shown to readers of other protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Origin {
    /// A device over MQTT.
    Mqtt = 1,
    /// A device over HTTPS.
    Https = 2,
    /// A device or an Event Hubs producer over AMQP.
    Amqp = 3,
    /// A Kafka producer.
    Kafka = 4,
    /// A device over CoAP.
    Coap = 5,
    /// The hub itself: twin changes, life-cycle events.
    Hub = 6,
}

impl Origin {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Mqtt),
            2 => Some(Self::Https),
            3 => Some(Self::Amqp),
            4 => Some(Self::Kafka),
            5 => Some(Self::Coap),
            6 => Some(Self::Hub),
            _ => None,
        }
    }
}

/// A batch as it lies in a partition.
#[derive(Debug, Clone)]
pub struct StoredBatch {
    /// The sequence number of its first event.
    pub base: SequenceNumber,
    /// Its events.
    pub count: u32,
    /// When it was appended; never less than that of the batch before.
    pub append_time: Timestamp,
    /// Who appended it.
    pub origin: Origin,
    /// The first event that the reader asked for: a read may start inside a batch.
    pub wanted: SequenceNumber,
    /// The record batch v2, base offset set: a Kafka fetch copies these bytes.
    pub bytes: Bytes,
}

impl StoredBatch {
    /// The position after its last event.
    pub fn end(&self) -> SequenceNumber {
        self.base.plus(self.count)
    }

    /// Its events in order, from [`wanted`](Self::wanted) on. A batch that does not decode yields
    /// one error and ends.
    pub fn events(&self) -> impl Iterator<Item = Result<StoredEvent, BatchError>> + use<> {
        let wanted = self.wanted;
        Events::new(&self.bytes).skip_while(move |event| event.as_ref().is_ok_and(|event| event.sequence < wanted))
    }

    /// The largest timestamp of its events, by its header.
    pub fn max_timestamp(&self) -> Timestamp {
        let header = BatchHeader::read(&self.bytes);
        header.map_or(Timestamp::NEVER, |header| Timestamp::from_milliseconds(header.max_timestamp))
    }

    /// The idempotent producer that made it.
    pub fn producer(&self) -> Option<ProducerStamp> {
        BatchHeader::read(&self.bytes)?.producer()
    }

    /// The first of all its events, [`wanted`](Self::wanted) or not, whose own timestamp is
    /// `moment` or later. Looks into the records only if the header promises one.
    pub fn first_at_or_after(&self, moment: Timestamp) -> Option<(SequenceNumber, Timestamp)> {
        if self.max_timestamp() < moment {
            return None;
        }
        Events::new(&self.bytes).timestamps().find(|(_, timestamp)| *timestamp >= moment)
    }

    /// The first of all its events that has the largest timestamp; `None` only of a batch that does
    /// not decode.
    pub fn max_timestamp_of_records(&self) -> Option<(SequenceNumber, Timestamp)> {
        Events::new(&self.bytes).timestamps().reduce(|latest, next| if next.1 > latest.1 { next } else { latest })
    }
}
