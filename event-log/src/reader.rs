//! Reading a partition: from memory at the tail, from sealed files and segments before it.

mod stored;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{SequenceNumber, Timestamp};

use crate::batch::StoredBatch;
use crate::error::{LostRange, ReadError};
use crate::partition::{DurablePart, Partition};
use crate::shared::Shared;
use crate::sync::lock;
use stored::{Place, Search};

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest event stored.
    Earliest,
    /// Behind the newest event.
    Latest,
    /// At this event; at the oldest one if it is stored no more, and if it is yet to come,
    /// waiting for it.
    Sequence(SequenceNumber),
    /// At the first event appended at this moment or later.
    EnqueuedAt(Timestamp),
}

/// Replays a partition and then follows it. Sees only what is durable; checks every checksum.
///
/// Dropping a call of [`Reader::next`] half-way loses nothing.
pub struct Reader {
    shared: Arc<Shared>,
    partition: Arc<Partition>,
    position: SequenceNumber,
    /// Events appended before this are passed over.
    not_before: Option<Timestamp>,
    /// Where on disk the position lies, once a read got there.
    place: Option<Place>,
}

/// What a look at the tail found.
enum Tail {
    Batches(Vec<StoredBatch>),
    /// The position is the end.
    End,
    /// The position lies before the tail; the partition ends at this number.
    Before(SequenceNumber),
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, partition: Arc<Partition>, start: Start) -> Self {
        let mut reader = Self { shared, partition, position: SequenceNumber::FIRST, not_before: None, place: None };
        reader.seek(start);
        reader
    }

    /// Goes to another place of the partition.
    pub fn seek(&mut self, start: Start) {
        let properties = lock(&self.partition.durable).properties;
        self.place = None;
        self.not_before = None;
        self.position = match start {
            Start::Earliest => properties.first,
            Start::Latest => properties.next,
            Start::Sequence(sequence) => sequence.max(properties.first),
            Start::EnqueuedAt(time) => {
                self.not_before = Some(time);
                stored::lower_bound(&self.shared, &self.partition, time).unwrap_or(properties.first)
            }
        };
    }

    /// The next event to be read. After a seek by time it is a lower bound until the first read.
    pub fn position(&self) -> SequenceNumber {
        self.position
    }

    /// The next batches, of about `bytes_max` bytes and at least one; waits at the end of the
    /// partition. The first batch may begin before the position, see [`StoredBatch::wanted`].
    ///
    /// Needs a tokio runtime: what lies on disk is read by its blocking threads.
    ///
    /// # Errors
    /// [`ReadError::Gap`] once where events are lost, then reading goes on behind them.
    /// [`ReadError::Removed`] when the event hub was removed.
    pub async fn next(&mut self, bytes_max: usize) -> Result<Vec<StoredBatch>, ReadError> {
        let partition = Arc::clone(&self.partition);
        loop {
            let grown = partition.grown.notified();
            let mut grown = std::pin::pin!(grown);
            // Listening before looking: what becomes durable in between wakes us.
            grown.as_mut().enable();
            let batches = match self.look_at_tail(bytes_max)? {
                Tail::Batches(batches) => self.pass(batches),
                Tail::End => {
                    grown.await;
                    continue;
                }
                Tail::Before(end) => {
                    let search = self.search(end, bytes_max);
                    let shared = Arc::clone(&self.shared);
                    let found = tokio::task::spawn_blocking(move || search.run(&shared)).await;
                    // The task cannot be cancelled, so it is only not there when the runtime ends.
                    let Ok(found) = found else { std::future::pending().await };
                    self.settle(found, end)?
                }
            };
            if !batches.is_empty() {
                return Ok(batches);
            }
        }
    }

    /// Like [`Reader::next`] but empty at the end of the partition. Blocks the thread when it
    /// reads from disk.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn try_next(&mut self, bytes_max: usize) -> Result<Vec<StoredBatch>, ReadError> {
        loop {
            let batches = match self.look_at_tail(bytes_max)? {
                Tail::Batches(batches) => self.pass(batches),
                Tail::End => return Ok(Vec::new()),
                Tail::Before(end) => {
                    let found = self.search(end, bytes_max).run(&self.shared);
                    self.settle(found, end)?
                }
            };
            if !batches.is_empty() {
                return Ok(batches);
            }
        }
    }

    /// What memory has at the position. Events that retention took are passed over.
    fn look_at_tail(&mut self, bytes_max: usize) -> Result<Tail, ReadError> {
        let durable = lock(&self.partition.durable);
        self.check_removed()?;
        self.position = self.position.max(durable.properties.first);
        if self.position >= durable.properties.next {
            return Ok(Tail::End);
        }
        Ok(match durable.tail.front() {
            Some(oldest) if oldest.base <= self.position => Tail::Batches(from_tail(&durable, self.position, bytes_max)),
            _ => Tail::Before(durable.tail.front().map_or(durable.properties.next, |oldest| oldest.base)),
        })
    }

    fn check_removed(&self) -> Result<(), ReadError> {
        let hub = self.partition.key.0;
        if self.partition.is_removed.load(Ordering::Acquire) { Err(ReadError::Removed { hub }) } else { Ok(()) }
    }

    fn search(&self, end: SequenceNumber, bytes_max: usize) -> Search {
        Search { key: self.partition.key, position: self.position, end, not_before: self.not_before, place: self.place, bytes_max }
    }

    /// Moves behind what a search found; what it did not find before `end` is lost.
    fn settle(&mut self, found: Result<stored::Found, ReadError>, end: SequenceNumber) -> Result<Vec<StoredBatch>, ReadError> {
        let found = found?;
        self.check_removed()?;
        self.place = found.place;
        if !found.batches.is_empty() {
            return Ok(self.pass(found.batches));
        }
        let behind = found.position.min(end);
        self.position = behind;
        // What retention took while the search ran is not lost.
        let first = lock(&self.partition.durable).properties.first;
        let Some(from) = found.lost_from.map(|from| from.max(first)).filter(|from| *from < behind) else {
            return Ok(Vec::new());
        };
        let (hub, partition) = self.partition.key;
        let lost = LostRange { hub, partition, from, to: SequenceNumber(behind.0 - 1) };
        lock(&self.shared.health).note_lost(lost);
        Err(ReadError::Gap(lost))
    }

    /// Moves behind `batches`, leaving out what was appended too early.
    fn pass(&mut self, mut batches: Vec<StoredBatch>) -> Vec<StoredBatch> {
        if let Some(first) = batches.first_mut() {
            first.wanted = self.position.max(first.base);
        }
        if let Some(last) = batches.last() {
            self.position = last.end();
        }
        if let Some(time) = self.not_before {
            batches.retain(|batch| batch.append_time >= time);
            if !batches.is_empty() {
                self.not_before = None;
            }
        }
        batches
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("partition", &self.partition.key).field("position", &self.position).finish_non_exhaustive()
    }
}

/// Batches from the one that holds `position` on; a tail has no gaps.
fn from_tail(durable: &DurablePart, position: SequenceNumber, bytes_max: usize) -> Vec<StoredBatch> {
    let first = durable.tail.partition_point(|batch| batch.end() <= position);
    let mut bytes = 0;
    let fits = |batch: &&StoredBatch| {
        let is_first = bytes == 0;
        bytes += batch.bytes.len();
        is_first || bytes <= bytes_max
    };
    durable.tail.range(first..).take_while(fits).cloned().collect()
}
