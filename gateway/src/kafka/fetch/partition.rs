//! One partition of a fetch.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use event_log::{ReadError, Start, StoredBatch};
use kafka_proto::wire::{FetchedPartition, RequestHeader};
use kafka_protocol::messages::fetch_request::FetchPartition;
use model::{EventHubId, PartitionId, SequenceNumber};
use twins::EventHub;

use crate::kafka::metadata::LEADER_EPOCH;
use crate::kafka::produce::partition_of;
use crate::kafka::reason::{self, TopicRefused};
use crate::kafka::session::Session;

/// A partition as it is asked for, and what was read of it.
#[derive(Debug)]
pub(super) struct Wanted {
    index: i32,
    place: Result<Place, i16>,
    bytes_max: usize,
    high_watermark: i64,
    log_start_offset: i64,
    batches: Vec<Bytes>,
}

/// Where to read.
#[derive(Debug, Clone, Copy)]
struct Place {
    hub: EventHubId,
    partition: PartitionId,
    offset: SequenceNumber,
    /// Behind what was read, and where growth is waited for.
    next: SequenceNumber,
}

impl Wanted {
    pub(super) fn new(header: &RequestHeader, hub: Result<&EventHub, &TopicRefused>, asked: &FetchPartition) -> Self {
        let bytes_max = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
        let place = place(header, hub, asked);
        Self { index: asked.partition, place, bytes_max, high_watermark: -1, log_start_offset: -1, batches: Vec::new() }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.place.is_err()
    }

    /// Lets go of what was read.
    pub(super) fn forget(&mut self) {
        self.batches.clear();
        if let Ok(place) = &mut self.place {
            place.next = place.offset;
        }
    }

    /// Reads at most `bytes_max` bytes, but one batch at least if it `is_first`; gives how many.
    pub(super) async fn read(&mut self, session: &Session, bytes_max: usize, is_first: bool) -> usize {
        let Ok(mut place) = self.place else { return 0 };
        let code = self.read_at(session, &mut place, bytes_max.min(self.bytes_max), is_first).await;
        self.place = if code == reason::NONE { Ok(place) } else { Err(code) };
        self.batches.iter().map(Bytes::len).sum()
    }

    async fn read_at(&mut self, session: &Session, place: &mut Place, bytes_max: usize, is_first: bool) -> i16 {
        let Ok(properties) = session.hub.log.partition(place.hub, place.partition) else { return TopicRefused::Unknown.code() };
        self.high_watermark = properties.next.0;
        self.log_start_offset = properties.first.0;
        if !(properties.first..=properties.next).contains(&place.offset) {
            return reason::OFFSET_OUT_OF_RANGE;
        }
        if place.offset == properties.next || (bytes_max == 0 && !is_first) {
            return reason::NONE;
        }
        let Ok(mut reader) = session.hub.log.reader(place.hub, place.partition, Start::Sequence(place.offset)) else {
            return TopicRefused::Unknown.code();
        };
        // Events up to the watermark are there, so this does not wait for others to come.
        while reader.position() < properties.next {
            match reader.next(bytes_max).await {
                Ok(batches) => {
                    self.take(&batches, bytes_max, is_first);
                    place.next = reader.position();
                    // Events may have come since the watermark was read.
                    self.high_watermark = self.high_watermark.max(place.next.0);
                    return reason::NONE;
                }
                Err(ReadError::Gap(gap)) if !session.must_tell(gap) => place.next = reader.position(),
                Err(error) => {
                    tracing::warn!(peer = %session.peer, hub = place.hub.0, partition = %place.partition, %error, "a consumer cannot read on");
                    return reason::read(&error);
                }
            }
        }
        reason::NONE
    }

    /// Copies batches while they fit. Slices of the log's buffers would keep whole commit groups in
    /// memory, for as long as the peer takes to read its part of them.
    fn take(&mut self, batches: &[StoredBatch], bytes_max: usize, is_first: bool) {
        let mut bytes = 0;
        let fits = |(index, batch): &(usize, &StoredBatch)| {
            bytes += batch.bytes.len();
            bytes <= bytes_max || (is_first && *index == 0)
        };
        let taken: Vec<&[u8]> = batches.iter().enumerate().take_while(fits).map(|(_, batch)| &*batch.bytes).collect();
        if !taken.is_empty() {
            self.batches.push(Bytes::from(taken.concat()));
        }
    }

    /// Resolves when there is more than was read; `None` where nothing can be waited for.
    pub(super) fn growth(&self, session: &Session) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let place = self.place.ok()?;
        let position = SequenceNumber(place.next.0.max(self.high_watermark));
        let grown = session.hub.log.grown_past(place.hub, place.partition, position).ok()?;
        Some(Box::pin(grown))
    }
}

fn place(header: &RequestHeader, hub: Result<&EventHub, &TopicRefused>, asked: &FetchPartition) -> Result<Place, i16> {
    let hub = hub.map_err(|refused| refused.code())?;
    let partition = partition_of(hub, asked.partition).ok_or(TopicRefused::Unknown.code())?;
    if header.version >= 9 && asked.current_leader_epoch > LEADER_EPOCH {
        return Err(reason::UNKNOWN_LEADER_EPOCH);
    }
    let offset = SequenceNumber(asked.fetch_offset);
    Ok(Place { hub: hub.id, partition, offset, next: offset })
}

impl From<Wanted> for FetchedPartition {
    fn from(wanted: Wanted) -> Self {
        let Wanted { index, place, high_watermark, log_start_offset, batches, .. } = wanted;
        Self { index, error_code: place.err().unwrap_or(reason::NONE), high_watermark, log_start_offset, batches }
    }
}
