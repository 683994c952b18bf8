//! The partitions of an event hub as one sequence of lines. Each partition keeps its order;
//! between partitions there is none.

use std::fmt;

use bytes::Bytes;
use event_log::{EventLog, LostRange, ReadError, Start, StoredBatch};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use model::api::{EventGap, EventItem, EventLine};
use model::{DeviceId, EventHubName, PartitionId, SequenceNumber};
use twins::EventHub;

use super::query::EventQuery;
use super::source::{Reading, Source, SourceFailed};
use crate::event_codec::event_item;
use crate::https::Refusal;

/// Bytes read at once from all partitions together, and from one of them.
const READ_BYTES: usize = 1024 * 1024;
const READ_BYTES_MIN: usize = 4 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;

/// What comes next in the stream.
#[derive(Debug)]
pub(super) enum Next {
    /// Lines, each with its line feed.
    Lines(Bytes),
    /// Nothing more.
    End,
    /// The log cannot be read any further.
    Broken(SourceFailed),
}

/// Every partition asked for, read as it is ready.
pub(super) struct Merge {
    hub: EventHub,
    device: Option<DeviceId>,
    /// Events left to show, if they were counted.
    left: Option<u64>,
    readings: FuturesUnordered<BoxFuture<'static, Reading>>,
}

impl fmt::Debug for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("hub", &self.hub.name).field("readings", &self.readings.len()).finish_non_exhaustive()
    }
}

impl Merge {
    /// Opens a reader on every partition that `query` asks for.
    ///
    /// # Errors
    /// A [`Refusal`] when the event log does not know the event hub.
    pub(super) fn open(log: &EventLog, hub: &EventHub, query: &EventQuery) -> Result<Self, Refusal> {
        let partitions: Vec<PartitionId> = match query.partition {
            Some(partition) => vec![partition],
            None => hub.partitions.partitions().collect(),
        };
        let read_bytes = (READ_BYTES / partitions.len().max(1)).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        let merge = Self { hub: hub.clone(), device: query.device.clone(), left: query.count, readings: FuturesUnordered::new() };
        for partition in partitions {
            merge.go_on(source(log, hub, query, partition, read_bytes)?);
        }
        Ok(merge)
    }

    /// The next lines of whichever partition has some. May be dropped while it waits; then
    /// nothing is lost.
    pub(super) async fn next(&mut self) -> Next {
        while self.left != Some(0) {
            let Some(reading) = self.readings.next().await else { break };
            let (mut source, read) = match reading {
                Ok(reading) => reading,
                Err(failed) => return Next::Broken(failed),
            };
            let mut lines = Vec::new();
            match read {
                Ok(batches) => batches.iter().for_each(|batch| self.write_batch(&mut source, batch, &mut lines)),
                Err(ReadError::Gap(lost)) => self.write_gap(&mut source, lost, &mut lines),
                // The event hub was deleted, and all its partitions with it.
                Err(ReadError::Removed { .. }) => return Next::End,
                Err(error @ (ReadError::Disk { .. } | ReadError::UnknownPartition(_))) => return Next::Broken(error.into()),
            }
            self.go_on(source);
            if !lines.is_empty() {
                return Next::Lines(lines.into());
            }
            // A long search for one device's events leaves room for others.
            tokio::task::yield_now().await;
        }
        Next::End
    }

    fn go_on(&self, source: Source) {
        if !source.is_at_end() {
            self.readings.push(Box::pin(source.read()));
        }
    }

    fn write_batch(&mut self, source: &mut Source, batch: &StoredBatch, lines: &mut Vec<u8>) {
        for event in batch.events() {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    tracing::error!(hub = %self.hub.name, partition = %source.partition, base = %batch.base, %error, "a stored batch cannot be shown");
                    let (from, to) = (source.next.max(batch.base), SequenceNumber(batch.end().0 - 1));
                    return self.write_gap(source, LostRange { hub: self.hub.id, partition: source.partition, from, to }, lines);
                }
            };
            if self.left == Some(0) {
                return;
            }
            if !source.take(event.sequence) {
                continue;
            }
            let item = event_item(&self.hub.name, source.partition, batch, &event);
            if self.is_asked_for(&item) {
                self.left = self.left.map(|left| left - 1);
                write_line(&EventLine::Event(Box::new(item)), lines);
            }
        }
    }

    /// Lost events are shown whatever device is asked for: they may have been its.
    fn write_gap(&self, source: &mut Source, lost: LostRange, lines: &mut Vec<u8>) {
        source.skip_to(lost.to.plus(1));
        let gap = EventGap { hub: name(&self.hub.name), partition: source.partition, gap: [lost.from, lost.to] };
        write_line(&EventLine::Gap(gap), lines);
    }

    fn is_asked_for(&self, item: &EventItem) -> bool {
        self.device.as_ref().is_none_or(|device| item.device_id.as_deref() == Some(device.as_str()))
    }
}

fn name(name: &EventHubName) -> String {
    name.as_str().to_owned()
}

fn source(log: &EventLog, hub: &EventHub, query: &EventQuery, partition: PartitionId, read_bytes: usize) -> Result<Source, Refusal> {
    let start = query.positions.get(&partition).map_or(query.start, |sequence| Start::Sequence(*sequence));
    let reader = log.reader(hub.id, partition, start)?;
    let stored = log.partition(hub.id, partition)?;
    let end = (!query.follow).then_some(stored.next);
    Ok(Source { partition, next: reader.position(), end, read_bytes, reader })
}

/// Lines hold text, numbers and maps of them, which always can be written.
fn write_line(line: &EventLine, lines: &mut Vec<u8>) {
    let before = lines.len();
    match serde_json::to_writer(&mut *lines, line) {
        Ok(()) => lines.push(b'\n'),
        Err(error) => {
            lines.truncate(before);
            tracing::error!(%error, "an event cannot be written as JSON");
        }
    }
}
