//! Sizes and ages of a log, and what an event hub is to it.

use std::time::Duration;

use model::EventHubId;
use model::limits::{SEGMENT_BYTES, STAGED_BYTES_MAX, TAIL_BYTES_MAX};
use model::partition::PartitionCount;

use crate::error::OpenError;
use crate::format::{HEAD_ALIGNMENT, HEAD_BYTES, POSITION_BYTES};
use crate::retention::Retention;

/// The largest commit group: bounds what one write carries and one read must hold.
pub(crate) const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bounds of [`Config::segment_bytes`].
const SEGMENT_BYTES_RANGE: std::ops::RangeInclusive<u64> = 32 * 1024..=1024 * 1024 * 1024;
/// The smallest staging budget.
const STAGED_BYTES_MIN: usize = 32 * 1024;
/// See [`Config::segment_age_max`].
const SEGMENT_AGE_MAX: Duration = Duration::from_secs(3600);

/// Sizes and ages of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Size of a segment's file, 32 KiB to 1 GiB, rounded down to a multiple of 4 KiB.
    pub segment_bytes: u64,
    /// A segment counts as full so long after its first commit group, also when nothing more
    /// comes: what is sealed can be removed by retention.
    pub segment_age_max: Duration,
    /// Bytes reserved or staged and not yet durable, at least 32 KiB. More wait in
    /// [`EventLog::reserve`](crate::EventLog::reserve).
    pub staged_bytes_max: usize,
    /// Recent events kept in memory for readers; 0 sends every reader to the disk.
    pub tail_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            segment_age_max: SEGMENT_AGE_MAX,
            staged_bytes_max: STAGED_BYTES_MAX,
            tail_bytes_max: TAIL_BYTES_MAX,
        }
    }
}

impl Config {
    /// The largest group, its header and padding included: it must fit behind a segment's head.
    pub(crate) fn group_bytes_max(&self) -> usize {
        GROUP_BYTES_MAX.min(self.segment_bytes as usize / 2).min(self.staged_bytes_max)
    }

    /// Partitions whose positions fit into half a segment.
    pub(crate) fn partitions_max(&self) -> usize {
        (self.segment_bytes as usize / 2 - HEAD_BYTES - HEAD_ALIGNMENT) / POSITION_BYTES
    }

    pub(crate) fn checked(mut self) -> Result<Self, OpenError> {
        self.segment_bytes -= self.segment_bytes % HEAD_ALIGNMENT as u64;
        let (min, max) = (*SEGMENT_BYTES_RANGE.start(), *SEGMENT_BYTES_RANGE.end());
        if !SEGMENT_BYTES_RANGE.contains(&self.segment_bytes) {
            return Err(OpenError::Config { setting: "segment_bytes", value: self.segment_bytes, min, max });
        }
        let (min, max) = (STAGED_BYTES_MIN, u32::MAX as usize);
        if !(min..=max).contains(&self.staged_bytes_max) {
            let value = self.staged_bytes_max as u64;
            return Err(OpenError::Config { setting: "staged_bytes_max", value, min: min as u64, max: max as u64 });
        }
        Ok(self)
    }
}

/// An event hub as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHubDefinition {
    /// Its number, never given to another hub.
    pub id: EventHubId,
    /// How many partitions it has.
    pub partitions: PartitionCount,
    /// How long its events are kept.
    pub retention: Retention,
}
