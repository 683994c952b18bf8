//! A hub's producers as bytes, for the sealed files of the log: what rebuilds the table without
//! reading all batches again. Big-endian; whoever stores them adds a checksum.
//!
//! ```text
//!  0 version u8       1
//!  1 producers u32
//!  5 …                partition u32, id i64, epoch i16, last use i64 (ms since 1970), batches u8,
//!                     then of each batch: first sequence i32, last sequence i32, position i64
//! ```

use bytes::{Buf, BufMut};
use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};
use thiserror::Error;

use super::{BATCHES_KEPT, Producer, Producers, SNAPSHOT_AGE_MAX, StoredRun};
use crate::ticket::GroupState;

const VERSION: u8 = 1;
const PRODUCER_BYTES: usize = 23;
const RUN_BYTES: usize = 16;

/// Bytes that are no snapshot, or one of a later version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the snapshot of idempotent producers is malformed")]
pub(crate) struct MalformedSnapshot;

/// Producers looked at in one piece of a snapshot: some 0.1 ms.
const PIECE: usize = 512;

/// A snapshot in the making, see [`Snapshot::take_piece`].
///
/// It has the producers of a hub that were used within a day of the latest use of any, and their
/// batches that are durable, in order of use, so that restoring keeps the order. One that is used
/// while the pieces are taken may be in it twice: restoring takes over what the second has more.
pub(crate) struct Snapshot {
    hub: EventHubId,
    out: Vec<u8>,
    count: u32,
    /// The first use that was not looked at.
    next_use: u64,
}

impl Snapshot {
    pub(crate) fn begin(hub: EventHubId) -> Self {
        let mut out = vec![VERSION];
        out.put_u32(0);
        Self { hub, out, count: 0, next_use: 0 }
    }

    /// Takes the next producers, so few that what waits for the table does not notice; `false` when
    /// all of them are taken. Whoever is used between two pieces comes after all others, so nobody
    /// is missed.
    pub(crate) fn take_piece(&mut self, producers: &Producers) -> bool {
        if !producers.partitions.keys().any(|key| key.0 == self.hub) {
            return false;
        }
        let mut looked_at = 0;
        for (last_use, (key, id)) in producers.by_use.range(self.next_use..).take(PIECE) {
            looked_at += 1;
            self.next_use = last_use + 1;
            let found = producers.partitions.get(key).filter(|_| key.0 == self.hub).and_then(|producers| producers.get(id));
            let Some(producer) = found else { continue };
            if producers.latest.saturating_since(producer.last_used) <= SNAPSHOT_AGE_MAX && producer.put(&mut self.out, key.1, *id) {
                self.count += 1;
            }
        }
        looked_at == PIECE
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        if let Some(slot) = self.out.get_mut(1..5) {
            slot.copy_from_slice(&self.count.to_be_bytes());
        }
        self.out
    }
}

impl Producers {
    /// All pieces at once.
    #[cfg(test)]
    pub(super) fn snapshot(&self, hub: EventHubId) -> Vec<u8> {
        let mut snapshot = Snapshot::begin(hub);
        while snapshot.take_piece(self) {}
        snapshot.finish()
    }

    /// Takes over a snapshot. What is known to be newer stays.
    pub(crate) fn restore(&mut self, hub: EventHubId, mut snapshot: &[u8]) -> Result<(), MalformedSnapshot> {
        let input = &mut snapshot;
        if input.try_get_u8() != Ok(VERSION) {
            return Err(MalformedSnapshot);
        }
        for _ in 0..input.try_get_u32().map_err(|_| MalformedSnapshot)? {
            self.restore_producer(hub, input).ok_or(MalformedSnapshot)?;
        }
        if input.is_empty() { Ok(()) } else { Err(MalformedSnapshot) }
    }

    fn restore_producer(&mut self, hub: EventHubId, input: &mut &[u8]) -> Option<()> {
        let (mut fields, rest) = input.split_at_checked(PRODUCER_BYTES)?;
        let key = (hub, PartitionId(fields.get_u32()));
        let producer = (fields.get_i64(), fields.get_i16());
        let last_used = Timestamp::from_milliseconds(fields.get_i64());
        let count = usize::from(fields.get_u8());
        if producer.0 < 0 || producer.1 < 0 || !(1..=BATCHES_KEPT).contains(&count) {
            return None;
        }
        let (mut runs, rest) = rest.split_at_checked(count * RUN_BYTES)?;
        *input = rest;
        for _ in 0..count {
            let (first, last) = (runs.get_i32(), runs.get_i32());
            let run = StoredRun { first, last, base: SequenceNumber(runs.get_i64()), group: GroupState::durable() };
            if first < 0 || last < 0 || run.base < SequenceNumber::FIRST {
                return None;
            }
            self.note_run(key, producer, run, last_used);
        }
        Some(())
    }
}

impl Producer {
    /// Appends the producer; false if none of its batches is durable.
    fn put(&self, out: &mut Vec<u8>, partition: PartitionId, id: i64) -> bool {
        let durable: Vec<&StoredRun> = self.batches.iter().filter(|run| run.group.is_durable()).collect();
        if durable.is_empty() {
            return false;
        }
        out.put_u32(partition.0);
        out.put_i64(id);
        out.put_i16(self.epoch);
        out.put_i64(self.last_used.as_milliseconds());
        out.put_u8(durable.len() as u8);
        for run in durable {
            out.put_i32(run.first);
            out.put_i32(run.last);
            out.put_i64(run.base.0);
        }
        true
    }
}
