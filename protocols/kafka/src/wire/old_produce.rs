//! Produce requests before version 3, whose records have formats of long ago. They are advertised
//! (see [`Api::advertised`](super::Api::advertised)) and refused: read only as far as a refusal of
//! each partition needs.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::header::RequestHeader;
use super::shape::Walk;
use super::{InvalidRequest, UNSUPPORTED_VERSION, begin, finish};

/// A produce request of version 0, 1 or 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldProduce {
    /// 0 where no answer is expected.
    pub acks: i16,
    /// The topics written to.
    pub topics: Vec<OldProduceTopic>,
}

/// A topic of an [`OldProduce`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldProduceTopic {
    /// Its name, as sent.
    pub name: Bytes,
    /// The partitions written to.
    pub partitions: Vec<i32>,
}

impl OldProduce {
    /// Reads a request's body.
    ///
    /// # Errors
    /// [`InvalidRequest::Body`]
    pub fn decode(header: &RequestHeader, body: &Bytes) -> Result<Self, InvalidRequest> {
        read(body).ok_or(InvalidRequest::Body { api: header.api, version: header.version })
    }

    /// The frame that tells every partition that the version is not served.
    pub fn refusal(&self, header: &RequestHeader) -> Bytes {
        let mut out = BytesMut::new();
        begin(&mut out, header.correlation_id, false);
        out.put_u32(self.topics.len() as u32);
        for topic in &self.topics {
            out.put_u16(topic.name.len() as u16);
            out.put_slice(&topic.name);
            out.put_u32(topic.partitions.len() as u32);
            for partition in &topic.partitions {
                out.put_i32(*partition);
                out.put_i16(UNSUPPORTED_VERSION);
                out.put_i64(-1);
                if header.version >= 2 {
                    out.put_i64(-1);
                }
            }
        }
        if header.version >= 1 {
            out.put_i32(0);
        }
        finish(out, 0)
    }
}

fn read(body: &Bytes) -> Option<OldProduce> {
    let mut fields = body.as_ref();
    let acks = fields.try_get_i16().ok()?;
    let mut walk = Walk::new(fields);
    walk.skip(4)?;
    // Collected one by one: nothing is reserved for what is only announced.
    let mut topics = Vec::new();
    for _ in 0..walk.count(false)? {
        let name = body.slice_ref(walk.text(false)??);
        let mut partitions = Vec::new();
        for _ in 0..walk.count(false)? {
            let mut index = walk.rest();
            partitions.push(index.try_get_i32().ok()?);
            walk.skip(4)?;
            walk.blob(false)?;
        }
        topics.push(OldProduceTopic { name, partitions });
    }
    Some(OldProduce { acks, topics })
}
