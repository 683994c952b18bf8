//! The answer to a fetch, written without touching the record batches: its frame is a list of
//! pieces, of which those with events are the very bytes the log keeps.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::header::RequestHeader;
use super::{begin, finish};

/// A topic in the answer to a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Its name as asked for.
    pub name: Bytes,
    /// Its partitions, in the order asked for.
    pub partitions: Vec<FetchedPartition>,
}

/// A partition in the answer to a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Its number.
    pub index: i32,
    /// 0, or why there is nothing.
    pub error_code: i16,
    /// Behind the last durable event, or -1 where the partition is not known.
    pub high_watermark: i64,
    /// The oldest event stored, or -1.
    pub log_start_offset: i64,
    /// Record batches, one after the other.
    pub batches: Vec<Bytes>,
}

impl FetchedPartition {
    /// Bytes of all batches.
    pub fn batch_bytes(&self) -> usize {
        self.batches.iter().map(Bytes::len).sum()
    }
}

/// The pieces of the frame that answers a fetch of version 4 to 12. The session id is 0, so that
/// clients send every partition each time; the last stable offset is the high watermark, as there
/// are no transactions.
pub fn fetch_response(header: &RequestHeader, error_code: i16, topics: &[FetchedTopic]) -> Vec<Bytes> {
    let mut out = Pieces::new(header);
    out.text.put_i32(0);
    if header.version >= 7 {
        out.text.put_i16(error_code);
        out.text.put_i32(0);
    }
    out.length(topics.len());
    for topic in topics {
        out.name(&topic.name);
        out.length(topic.partitions.len());
        topic.partitions.iter().for_each(|partition| out.partition(partition));
        out.no_tagged_fields();
    }
    out.no_tagged_fields();
    out.finish(header)
}

/// What follows the header, under construction.
struct Pieces {
    version: i16,
    flexible: bool,
    /// What was written since the last batch.
    text: BytesMut,
    /// Everything before.
    done: Vec<Bytes>,
}

impl Pieces {
    fn new(header: &RequestHeader) -> Self {
        let flexible = header.api.is_flexible(header.version);
        Self { version: header.version, flexible, text: BytesMut::new(), done: Vec::new() }
    }

    fn partition(&mut self, partition: &FetchedPartition) {
        self.text.put_i32(partition.index);
        self.text.put_i16(partition.error_code);
        self.text.put_i64(partition.high_watermark);
        self.text.put_i64(partition.high_watermark);
        if self.version >= 5 {
            self.text.put_i64(partition.log_start_offset);
        }
        // No list of aborted transactions, and no preferred replica.
        if self.flexible {
            self.text.put_u8(0);
        } else {
            self.text.put_i32(-1);
        }
        if self.version >= 11 {
            self.text.put_i32(-1);
        }
        self.length(partition.batch_bytes());
        for batch in &partition.batches {
            self.done.push(self.text.split().freeze());
            self.done.push(batch.clone());
        }
        self.no_tagged_fields();
    }

    fn name(&mut self, name: &[u8]) {
        if self.flexible {
            self.length(name.len());
        } else {
            self.text.put_u16(name.len() as u16);
        }
        self.text.put_slice(name);
    }

    /// The length of an array or of bytes.
    fn length(&mut self, length: usize) {
        if !self.flexible {
            return self.text.put_u32(length as u32);
        }
        let mut rest = length as u32 + 1;
        while rest >= 0x80 {
            self.text.put_u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.text.put_u8(rest as u8);
    }

    fn no_tagged_fields(&mut self) {
        if self.flexible {
            self.text.put_u8(0);
        }
    }

    fn finish(mut self, header: &RequestHeader) -> Vec<Bytes> {
        self.done.push(self.text.freeze());
        let bytes = self.done.iter().map(Bytes::len).sum();
        let mut head = BytesMut::new();
        begin(&mut head, header.correlation_id, header.api.has_tagged_response_header(header.version));
        std::iter::once(finish(head, bytes)).chain(self.done.into_iter().filter(|piece| !piece.is_empty())).collect()
    }
}
