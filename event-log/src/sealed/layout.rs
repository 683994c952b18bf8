//! Before a segment is sealed: what it has of each partition, and how long that is at most.

use std::collections::{BTreeMap, HashMap};
use std::io;

use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};

use super::WINDOW_BYTES;
use crate::disk::Holes;
use crate::format::Position;
use crate::partition::PartitionKey;
use crate::scan::{self, Window};
use crate::segment::Segment;

/// What a part is to hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartPlan {
    pub(super) partition: PartitionId,
    pub(super) first: SequenceNumber,
    pub(super) end: SequenceNumber,
    /// The most that its frames take.
    pub(super) bytes_max: u64,
    /// Append time of the last event, as far as the next segment knows it.
    pub(super) last_time: Timestamp,
}

/// What the segment's frames tell of a partition.
#[derive(Debug, Clone, Copy)]
struct Seen {
    end: SequenceNumber,
    bytes: u64,
}

/// What a segment's sealed files are to be.
pub(super) struct Layout {
    /// The parts of each hub's file, hubs and partitions in order. Each hub has at least one.
    pub(super) files: BTreeMap<EventHubId, Vec<PartPlan>>,
    /// What the disk could not read of the segment meanwhile: the frames there are not measured.
    pub(super) holes: Holes,
}

/// Looks through the segment.
pub(super) fn plan(segment: &Segment, starts: &[Position], ends: &[Position], keep: &dyn Fn(EventHubId) -> bool) -> io::Result<Layout> {
    let (seen, holes) = measure(segment)?;
    let by_key = |positions: &[Position]| -> HashMap<PartitionKey, Position> {
        positions.iter().map(|position| ((position.hub, position.partition), *position)).collect()
    };
    let (starts, ends) = (by_key(starts), by_key(ends));
    let mut keys: Vec<PartitionKey> = seen.keys().chain(ends.keys()).copied().filter(|(hub, _)| keep(*hub)).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut files: BTreeMap<EventHubId, Vec<PartPlan>> = BTreeMap::new();
    for key in keys {
        let (seen, end) = (seen.get(&key), ends.get(&key));
        // A head leaves out who had no event yet. The first one seen may not be the first there was.
        let first = starts.get(&key).map_or(SequenceNumber::FIRST, |start| start.next);
        let plan = PartPlan {
            partition: key.1,
            first,
            end: end.map(|end| end.next).or(seen.map(|seen| seen.end)).unwrap_or(first),
            bytes_max: seen.map_or(0, |seen| seen.bytes),
            last_time: end.map_or(Timestamp::NEVER, |end| end.last_time),
        };
        if plan.first < plan.end {
            files.entry(key.0).or_default().push(plan);
        }
    }
    Ok(Layout { files, holes })
}

/// Adds up the frames whose headers verify. Their batches are looked into when they are copied:
/// what is then left out leaves its room unused.
fn measure(segment: &Segment) -> io::Result<(HashMap<PartitionKey, Seen>, Holes)> {
    let mut all: HashMap<PartitionKey, Seen> = HashMap::new();
    let mut window = Window::new(&*segment.file, WINDOW_BYTES);
    let mut at = segment.groups_at;
    while let Some(stretch) = scan::next_stretch(&mut window, segment.identity, at, segment.end())? {
        for frame in stretch.frames() {
            let header = frame.header;
            let end = header.base.plus(header.count);
            let seen = all.entry((header.hub, header.partition)).or_insert(Seen { end, bytes: 0 });
            seen.end = seen.end.max(end);
            seen.bytes += header.frame_bytes() as u64;
        }
        at = stretch.end;
    }
    Ok((all, window.holes().clone()))
}
