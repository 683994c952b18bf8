//! A partition in memory: where it stands, its recent batches, who waits for more.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64};

use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};
use tokio::sync::Notify;

use crate::batch::StoredBatch;

/// Where a partition stands, as far as it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionProperties {
    /// The oldest event still stored, or [`next`](Self::next) if there is none.
    pub first: SequenceNumber,
    /// The number that the next event gets.
    pub next: SequenceNumber,
    /// Append time of the last event.
    pub last_enqueued_time: Option<Timestamp>,
    /// Bytes of the stored batches.
    pub bytes: u64,
}

/// Names a partition among all event hubs.
pub(crate) type PartitionKey = (EventHubId, PartitionId);

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) key: PartitionKey,
    /// The number that the next staged event gets; changed under the staging lock only.
    pub(crate) staged_next: AtomicI64,
    pub(crate) durable: Mutex<DurablePart>,
    /// Notified when the durable part grows, the hub is removed or the log closes.
    pub(crate) grown: Notify,
    /// Events below this number were released by their owner.
    pub(crate) released: AtomicI64,
    /// The event hub was removed.
    pub(crate) is_removed: AtomicBool,
}

/// What readers may see.
#[derive(Debug)]
pub(crate) struct DurablePart {
    pub(crate) properties: PartitionProperties,
    /// The most recent batches, the newest last; evicted from the front.
    pub(crate) tail: VecDeque<StoredBatch>,
}

impl Partition {
    pub(crate) fn new(key: PartitionKey, properties: PartitionProperties) -> Self {
        Self {
            key,
            staged_next: AtomicI64::new(properties.next.0),
            durable: Mutex::new(DurablePart { properties, tail: VecDeque::new() }),
            grown: Notify::new(),
            released: AtomicI64::new(0),
            is_removed: AtomicBool::new(false),
        }
    }
}

impl PartitionProperties {
    /// A partition without events whose first one gets `next`.
    pub(crate) fn empty(next: SequenceNumber) -> Self {
        Self { first: next, next, last_enqueued_time: None, bytes: 0 }
    }
}

impl DurablePart {
    pub(crate) fn append(&mut self, batch: StoredBatch) {
        self.properties.next = batch.end();
        self.properties.last_enqueued_time = Some(batch.append_time);
        self.properties.bytes += batch.bytes.len() as u64;
        self.tail.push_back(batch);
    }
}
