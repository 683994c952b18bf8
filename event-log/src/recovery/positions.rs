//! Where every partition stands after a scan, and which events are lost. Pure.

use std::collections::{HashMap, HashSet};

use model::{EventHubId, SequenceNumber, Timestamp};

use crate::batch::StoredBatch;
use crate::error::LostRange;
use crate::format::{FrameHeader, HEAD_ALIGNMENT, Position};
use crate::partition::{PartitionKey, PartitionProperties};
use crate::sealed::Part;

/// The most events that a byte can hold: a record takes 7 bytes, compressed to a 64th.
const EVENTS_PER_BYTE_MAX: u64 = 10;

/// Where every partition stands.
///
/// Numbers of a partition have no gaps, so a frame that begins further on than the last one ended
/// proves what is lost. Where no later frame tells, the partition's numbers go on behind the most
/// events that the damaged bytes could have held: a number is never given twice.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    partitions: HashMap<PartitionKey, Standing>,
    /// Bytes that did not verify so far.
    damaged_bytes: u64,
    /// … when a head was last read, which proves where every partition stood.
    damage_before_head: u64,
    /// Hubs with sealed files that cannot be read.
    damaged_hubs: HashSet<EventHubId>,
    lost: Vec<LostRange>,
    knowledge: Knowledge,
    /// Where partitions began that no head names, as far as damage can tell.
    guessed_starts: Vec<Position>,
    last_time: Option<Timestamp>,
}

/// What is known of a partition that nothing has named so far.
#[derive(Debug, Clone, Copy, Default)]
enum Knowledge {
    /// No head was read: retention may have taken its first events.
    #[default]
    None,
    /// The first segment's head is damaged: retention may have taken them, or the damage of groups
    /// since.
    HeadDamaged {
        /// Damaged bytes before the segment's groups.
        damage_before: u64,
        /// Bytes of all segments before it, those included that are gone.
        log_before: u64,
    },
    /// A head was read that leaves it out: it began at 0.
    Head,
}

#[derive(Debug)]
struct Standing {
    properties: PartitionProperties,
    /// The damage seen when the partition's position was last proved.
    damage_seen: u64,
}

impl Positions {
    /// Some bytes of the log do not verify. What is noted later proves where its partition stood
    /// behind them, so they are to be noted in the order in which they lie.
    pub(super) fn note_damage(&mut self, bytes: u64) {
        self.damaged_bytes += bytes;
    }

    /// The head of a segment is damaged before which the log had `log_before` bytes of segments.
    pub(super) fn note_damaged_head(&mut self, log_before: u64) {
        self.note_damage(HEAD_ALIGNMENT as u64);
        if matches!(self.knowledge, Knowledge::None) {
            self.knowledge = Knowledge::HeadDamaged { damage_before: self.damaged_bytes, log_before };
        }
    }

    /// A sealed file of the hub cannot be read, so its partitions may have begun earlier than the
    /// other files tell.
    pub(super) fn note_damaged_hub(&mut self, hub: EventHubId) {
        self.damaged_hubs.insert(hub);
    }

    /// What a sealed file has of a partition.
    pub(super) fn note_part(&mut self, hub: EventHubId, part: &Part) {
        let standing = self.prove((hub, part.partition), part.first);
        let properties = &mut standing.properties;
        properties.next = part.end.max(properties.next);
        properties.bytes += part.batch_bytes;
        properties.last_enqueued_time = properties.last_enqueued_time.max(Some(part.append_time_max));
        self.last_time = self.last_time.max(Some(part.append_time_max));
    }

    /// Events that were lost before their segment was sealed.
    pub(super) fn note_lost(&mut self, lost: &[LostRange]) {
        self.lost.extend_from_slice(lost);
    }

    /// Where every partition stands so far.
    pub(super) fn standing(&self) -> Vec<Position> {
        let position = |((hub, partition), standing): (&PartitionKey, &Standing)| Position {
            hub: *hub,
            partition: *partition,
            next: standing.properties.next,
            last_time: standing.properties.last_enqueued_time.unwrap_or(Timestamp::NEVER),
        };
        let mut positions: Vec<Position> = self.partitions.iter().map(position).collect();
        positions.sort_unstable_by_key(|position| (position.hub, position.partition));
        positions
    }

    /// A segment's head proves positions.
    pub(super) fn note_head(&mut self, positions: &[Position]) {
        for position in positions {
            let key = (position.hub, position.partition);
            let standing = self.prove(key, position.next);
            standing.properties.next = position.next.max(standing.properties.next);
            standing.properties.last_enqueued_time = standing.properties.last_enqueued_time.max(Some(position.last_time));
            self.last_time = self.last_time.max(Some(position.last_time));
        }
        self.knowledge = Knowledge::Head;
        self.damage_before_head = self.damaged_bytes;
    }

    /// A batch that verifies.
    pub(super) fn note_batch(&mut self, key: PartitionKey, batch: &StoredBatch) {
        let standing = self.prove(key, batch.base);
        let properties = &mut standing.properties;
        properties.next = batch.end().max(properties.next);
        properties.bytes += batch.bytes.len() as u64;
        properties.last_enqueued_time = properties.last_enqueued_time.max(Some(batch.append_time));
        self.last_time = self.last_time.max(Some(batch.append_time));
    }

    /// A batch that does not verify, of a frame whose header does: its events alone are lost.
    pub(super) fn note_lost_batch(&mut self, frame: &FrameHeader) {
        let key = (frame.hub, frame.partition);
        let end = frame.base.plus(frame.count);
        let properties = &mut self.prove(key, frame.base).properties;
        if properties.next < end {
            properties.next = end;
            properties.last_enqueued_time = properties.last_enqueued_time.max(Some(frame.append_time));
            self.lost.push(lost_range(key, frame.base, end));
        }
        self.last_time = self.last_time.max(Some(frame.append_time));
    }

    /// Notes that `key` had reached `sequence`; what lies between is lost.
    fn prove(&mut self, key: PartitionKey, sequence: SequenceNumber) -> &mut Standing {
        let start = self.start(key, sequence);
        let standing = self.partitions.entry(key).or_insert_with(|| {
            if matches!(self.knowledge, Knowledge::HeadDamaged { .. }) {
                let (hub, partition) = key;
                self.guessed_starts.push(Position { hub, partition, next: start, last_time: Timestamp::NEVER });
            }
            Standing { properties: PartitionProperties::empty(start), damage_seen: 0 }
        });
        if standing.properties.next < sequence {
            self.lost.push(lost_range(key, standing.properties.next, sequence));
        }
        standing.damage_seen = self.damaged_bytes;
        standing
    }

    /// Where a partition began that nothing has named so far and that had reached `sequence`.
    fn start(&self, (hub, _): PartitionKey, sequence: SequenceNumber) -> SequenceNumber {
        if self.damaged_hubs.contains(&hub) {
            return SequenceNumber::FIRST;
        }
        match self.knowledge {
            Knowledge::None => sequence,
            Knowledge::HeadDamaged { damage_before, .. } => {
                let hidden = events_max(self.damaged_bytes - damage_before);
                SequenceNumber(sequence.0.saturating_sub_unsigned(hidden)).max(SequenceNumber::FIRST)
            }
            Knowledge::Head => SequenceNumber::FIRST,
        }
    }

    /// Where those partitions began that the damaged heads of the first segments may have named.
    pub(super) fn guessed_starts(&self) -> &[Position] {
        &self.guessed_starts
    }

    /// Skips the numbers that damage may have taken at the end of partitions; everything lost.
    pub(super) fn close(&mut self) -> Vec<LostRange> {
        for (key, standing) in &mut self.partitions {
            let unproved = events_max(self.damaged_bytes - standing.damage_seen);
            if unproved > 0 {
                let from = standing.properties.next;
                standing.properties.next = SequenceNumber(from.0.saturating_add_unsigned(unproved));
                self.lost.push(lost_range(*key, from, standing.properties.next));
            }
        }
        self.lost.sort_unstable();
        self.lost.dedup();
        self.lost.clone()
    }

    /// Takes out all partitions.
    pub(crate) fn take(&mut self) -> HashMap<PartitionKey, PartitionProperties> {
        self.partitions.drain().map(|(key, standing)| (key, standing.properties)).collect()
    }

    /// Where a partition stands that left no trace: behind everything that damage may hide, and, if
    /// no head tells that it had no events before, behind all that the log can ever have held. What
    /// lies before counts as lost.
    pub(crate) fn untraced(&self) -> PartitionProperties {
        let log_before = match self.knowledge {
            Knowledge::HeadDamaged { log_before, .. } => log_before,
            Knowledge::None | Knowledge::Head => 0,
        };
        let unproved = events_max((self.damaged_bytes - self.damage_before_head).saturating_add(log_before));
        let next = SequenceNumber(i64::try_from(unproved).unwrap_or(i64::MAX));
        PartitionProperties { first: SequenceNumber::FIRST, ..PartitionProperties::empty(next) }
    }

    /// The latest append time.
    pub(crate) fn last_time(&self) -> Option<Timestamp> {
        self.last_time
    }
}

/// The most events that so many bytes can have held.
fn events_max(bytes: u64) -> u64 {
    bytes.saturating_mul(EVENTS_PER_BYTE_MAX)
}

fn lost_range((hub, partition): PartitionKey, from: SequenceNumber, end: SequenceNumber) -> LostRange {
    LostRange { hub, partition, from, to: SequenceNumber(end.0 - 1) }
}
