//! One partition of a fetch.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use event_log::{EventLog, ReadError, Reader, Start, StoredBatch};
use kafka_proto::wire::{FetchedPartition, RequestHeader};
use kafka_protocol::messages::fetch_request::FetchPartition;
use model::{EventHubId, PartitionId, SequenceNumber};
use tokio::time::timeout;
use twins::EventHub;

use crate::kafka::metadata::LEADER_EPOCH;
use crate::kafka::produce::partition_of;
use crate::kafka::reason::{self, TopicRefused};
use crate::kafka::session::Session;

/// A read that takes so long may have been overtaken by retention.
const OVERTAKEN_AFTER: Duration = Duration::from_millis(100);

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

    /// Learns where the partition begins and ends, and whether what is asked for lies in between.
    pub(super) fn look(&mut self, session: &Session) {
        if let Ok(place) = self.place
            && let Err(code) = self.end(session, place)
        {
            self.place = Err(code);
        }
    }

    /// Reads at most `bytes_max` bytes, but one batch at least if it `is_first`; gives how many.
    pub(super) async fn read(&mut self, session: &Session, bytes_max: usize, is_first: bool) -> usize {
        let Ok(place) = self.place else { return 0 };
        self.place = self.read_at(session, place, bytes_max.min(self.bytes_max), is_first).await;
        self.batches.iter().map(Bytes::len).sum()
    }

    /// Gives where to go on.
    async fn read_at(&mut self, session: &Session, mut place: Place, bytes_max: usize, is_first: bool) -> Result<Place, i16> {
        let end = self.end(session, place)?;
        if place.offset == end || (bytes_max == 0 && !is_first) {
            return Ok(place);
        }
        let reader = session.hub.log.reader(place.hub, place.partition, Start::Sequence(place.offset));
        let mut reader = reader.map_err(|_| TopicRefused::Unknown.code())?;
        while reader.position() < end {
            match next(&session.hub.log, place, &mut reader, end, bytes_max).await.ok_or(reason::OFFSET_OUT_OF_RANGE)? {
                Ok(batches) => {
                    self.take(&batches, bytes_max, is_first);
                    place.next = reader.position();
                    // Events may have come since the watermark was read.
                    self.high_watermark = self.high_watermark.max(place.next.0);
                    return Ok(place);
                }
                Err(ReadError::Gap(gap)) if !session.must_tell(gap) => place.next = reader.position(),
                Err(error) => {
                    tracing::warn!(peer = %session.peer, hub = place.hub.0, partition = %place.partition, %error, "a consumer cannot read on");
                    return Err(reason::read(&error));
                }
            }
        }
        Ok(place)
    }

    /// Where the partition ends, if what is asked for is not outside of it.
    fn end(&mut self, session: &Session, place: Place) -> Result<SequenceNumber, i16> {
        let properties = session.hub.log.partition(place.hub, place.partition).map_err(|_| TopicRefused::Unknown.code())?;
        self.high_watermark = properties.next.0;
        self.log_start_offset = properties.first.0;
        if (properties.first..=properties.next).contains(&place.offset) { Ok(properties.next) } else { Err(reason::OFFSET_OUT_OF_RANGE) }
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

/// Reads on. Events before `end` were there, so this does not wait for others to come; `None` if
/// retention took them all meanwhile.
async fn next(
    log: &EventLog,
    place: Place,
    reader: &mut Reader,
    end: SequenceNumber,
    bytes_max: usize,
) -> Option<Result<Vec<StoredBatch>, ReadError>> {
    let mut reading = pin!(reader.next(bytes_max));
    loop {
        if let Ok(read) = timeout(OVERTAKEN_AFTER, reading.as_mut()).await {
            return Some(read);
        }
        // An event hub that is not there any more is the reader's to say.
        let now = log.partition(place.hub, place.partition);
        if now.is_ok_and(|properties| properties.first >= end) {
            return None;
        }
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use event_log::{BatchBuilder, Config, EventHubDefinition, FaultyDisk, Origin, Record, Retention};
    use model::partition::PartitionCount;
    use model::{Clock, Timestamp};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_read_that_retention_overtakes_does_not_wait_for_other_events() {
        let hub = EventHubDefinition { id: EventHubId(1), partitions: PartitionCount::ONE, retention: Retention::Released };
        let clock = Clock::manual(Timestamp::from_milliseconds(0));
        let config = Config { segment_bytes: 64 * 1024, staged_bytes_max: 64 * 1024, ..Config::default() };
        let disk = Arc::new(FaultyDisk::new(1));
        let (log, _) = EventLog::open_manual(Path::new("log"), disk, config, clock.clone(), &[hub]).expect("opens");
        let place = Place { hub: hub.id, partition: PartitionId(0), offset: SequenceNumber::FIRST, next: SequenceNumber::FIRST };
        let mut batch = BatchBuilder::new(clock.now());
        batch.push(Record { timestamp: clock.now(), key: None, value: Some(b"gone"), headers: &[] });
        let batch = batch.finish();
        let permit = log.try_reserve(batch.staged_bytes()).expect("open").expect("room");
        log.stage(permit, hub.id, place.partition, batch, Origin::Kafka).expect("staged");
        log.commit_staged();
        let mut reader = log.reader(hub.id, place.partition, Start::Earliest).expect("a reader");
        let end = log.partition(hub.id, place.partition).expect("a partition").next;

        clock.advance(Duration::from_secs(3600));
        log.commit_staged();
        assert!(log.seal_oldest().expect("sealed"));
        log.release(hub.id, place.partition, end).expect("released");
        assert_eq!(log.keep_retention().expect("kept"), 1);
        assert!(next(&log, place, &mut reader, end, 1000).await.is_none());
    }
}
