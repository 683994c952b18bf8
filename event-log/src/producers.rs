//! Idempotent producers: which of their batches each partition stored, so that a batch sent again
//! is not stored again. Pure; kept under the staging lock.
//!
//! A producer numbers its records for each partition. Of its last [`BATCHES_KEPT`] batches to a
//! partition the position is known: a repeat of one of them is answered with that position. A
//! producer keeps at most so many in flight, so an older one is never repeated.
//!
//! The table is bounded, see [`Bounds`]; the producer used least recently goes first. Its next
//! batch is taken like that of an unknown producer, whatever its sequence: a batch it repeats
//! after that is stored twice.
//!
//! A batch counts as stored while its commit group may still become durable. Once the group has
//! failed the batch is forgotten, and the producer must send it again before any later one.

mod snapshot;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::{EventHubId, SequenceNumber, Timestamp};
use thiserror::Error;

use crate::batch::{ProducerStamp, StoredBatch};
use crate::partition::PartitionKey;
use crate::ticket::GroupState;
#[cfg(test)]
use snapshot::MalformedSnapshot;
pub(crate) use snapshot::Snapshot;

/// Batches of a producer to a partition that are recognized when they come again; Kafka's number.
pub(crate) const BATCHES_KEPT: usize = 5;
/// A producer that sent nothing for so long is left out of snapshots.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_hours(24);

/// How many producers are remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) of_partition: usize,
    pub(crate) of_all: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { of_partition: 1_000, of_all: 100_000 }
    }
}

/// The producers of all partitions.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    bounds: Bounds,
    partitions: HashMap<PartitionKey, HashMap<i64, Producer>>,
    /// Every producer by its last use; uses are counted, so no two are alike.
    by_use: BTreeMap<u64, (PartitionKey, i64)>,
    uses: u64,
    /// The latest moment of a use.
    latest: Timestamp,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// The last batches in their order, all of this epoch.
    batches: VecDeque<StoredRun>,
    /// The first sequence whose commit group failed and that did not come again: it is next.
    missing: Option<i32>,
    last_used: Timestamp,
    last_use: u64,
}

/// The records of a batch that is stored, or staged.
#[derive(Debug, Clone)]
struct StoredRun {
    first: i32,
    last: i32,
    base: SequenceNumber,
    group: Arc<GroupState>,
}

/// What to do with a batch.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Store it.
    Append,
    /// It is stored from `base` on, or will be together with `group`.
    Repeat { base: SequenceNumber, group: Arc<GroupState> },
}

/// Why a batch may not be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum SequenceError {
    #[error("the producer's sequence {got} comes where {expected} is next")]
    OutOfOrder { expected: i32, got: i32 },
    #[error("the producer's epoch {got} is over, {current_epoch} has begun")]
    Fenced { current_epoch: i16, got: i16 },
}

impl Producers {
    #[cfg(test)]
    fn with_bounds(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// What is to be done with a batch of `count` records. After [`Decision::Append`] the caller
    /// stages it and calls [`Producers::note_staged`].
    pub(crate) fn decide(&mut self, key: PartitionKey, stamp: ProducerStamp, count: u32) -> Result<Decision, SequenceError> {
        let Some(producer) = self.partitions.get_mut(&key).and_then(|producers| producers.get_mut(&stamp.id)) else {
            return Ok(Decision::Append);
        };
        producer.forget_failed();
        producer.decide(stamp, count)
    }

    /// Takes down a batch that was staged at `base` with `group`.
    pub(crate) fn note_staged(
        &mut self,
        key: PartitionKey,
        stamp: ProducerStamp,
        count: u32,
        base: SequenceNumber,
        group: Arc<GroupState>,
        now: Timestamp,
    ) {
        let run = StoredRun { first: stamp.first_sequence, last: advance(stamp.first_sequence, count.saturating_sub(1)), base, group };
        self.note_run(key, (stamp.id, stamp.epoch), run, now);
    }

    /// Takes down a batch found in the log, if an idempotent producer made it. Batches of a
    /// partition come in their order; one that is known already changes nothing.
    pub(crate) fn note(&mut self, key: PartitionKey, batch: &StoredBatch) {
        if let Some(stamp) = batch.producer() {
            self.note_staged(key, stamp, batch.count, batch.base, GroupState::durable(), batch.append_time);
        }
    }

    /// Forgets the producers of a hub that was removed.
    pub(crate) fn forget(&mut self, hub: EventHubId) {
        self.partitions.retain(|key, _| key.0 != hub);
        self.by_use.retain(|_, (key, _)| key.0 != hub);
    }

    fn note_run(&mut self, key: PartitionKey, (id, epoch): (i64, i16), run: StoredRun, now: Timestamp) {
        self.uses += 1;
        self.latest = self.latest.max(now);
        let producers = self.partitions.entry(key).or_default();
        match producers.entry(id) {
            Entry::Occupied(found) => {
                let producer = found.into_mut();
                self.by_use.remove(&producer.last_use);
                producer.last_use = self.uses;
                producer.last_used = producer.last_used.max(now);
                producer.push(epoch, run);
            }
            Entry::Vacant(place) => {
                place.insert(Producer { epoch, batches: VecDeque::from([run]), missing: None, last_used: now, last_use: self.uses });
            }
        }
        let is_full = producers.len() > self.bounds.of_partition;
        let oldest = is_full.then(|| producers.values().map(|producer| producer.last_use).min()).flatten();
        self.by_use.insert(self.uses, (key, id));
        oldest.into_iter().for_each(|last_use| self.evict(last_use));
        while self.by_use.len() > self.bounds.of_all
            && let Some((&last_use, _)) = self.by_use.first_key_value()
        {
            self.evict(last_use);
        }
    }

    fn evict(&mut self, last_use: u64) {
        let Some((key, id)) = self.by_use.remove(&last_use) else { return };
        if let Entry::Occupied(mut partition) = self.partitions.entry(key) {
            partition.get_mut().remove(&id);
            if partition.get().is_empty() {
                partition.remove();
            }
        }
    }
}

impl Producer {
    fn decide(&self, stamp: ProducerStamp, count: u32) -> Result<Decision, SequenceError> {
        let ProducerStamp { epoch, first_sequence: got, .. } = stamp;
        if epoch < self.epoch {
            return Err(SequenceError::Fenced { current_epoch: self.epoch, got: epoch });
        }
        let last = advance(got, count.saturating_sub(1));
        let is_same = |run: &&StoredRun| epoch == self.epoch && run.first == got && run.last == last;
        if let Some(run) = self.batches.iter().find(is_same) {
            return Ok(Decision::Repeat { base: run.base, group: Arc::clone(&run.group) });
        }
        // A restarted producer begins again.
        let next = if epoch > self.epoch { Some(0) } else { self.next() };
        let expected = next.unwrap_or(got);
        if got == expected { Ok(Decision::Append) } else { Err(SequenceError::OutOfOrder { expected, got }) }
    }

    /// The sequence that is next; `None` where any is.
    fn next(&self) -> Option<i32> {
        self.missing.or_else(|| self.batches.back().map(|newest| advance(newest.last, 1)))
    }

    fn push(&mut self, epoch: i16, run: StoredRun) {
        let is_known = epoch == self.epoch && self.batches.back().is_some_and(|newest| run.base <= newest.base);
        if epoch < self.epoch || is_known {
            return;
        }
        if epoch > self.epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
        if self.batches.len() == BATCHES_KEPT {
            self.batches.pop_front();
        }
        self.batches.push_back(run);
        self.missing = None;
    }

    /// Batches are committed in their order, so with one that failed all later ones did.
    fn forget_failed(&mut self) {
        if let Some(failed) = self.batches.iter().find(|run| run.group.has_failed()) {
            self.missing = Some(failed.first);
        }
        self.batches.retain(|run| !run.group.has_failed());
    }
}

/// The sequence `count` records after `sequence`: [`i32::MAX`] is followed by 0.
fn advance(sequence: i32, count: u32) -> i32 {
    let sum = i64::from(sequence) + i64::from(count);
    (sum % (i64::from(i32::MAX) + 1)) as i32
}

#[cfg(test)]
mod tests;
