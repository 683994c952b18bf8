//! Going on in the next segment: when the present one is full or old, and what happens while no
//! next one can be had.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::LogFailed;
use crate::format::{SegmentHead, SegmentIdentity};
use crate::keeper;
use crate::segment::Segment;
use crate::staging::Group;
use crate::sync::{lock, read, write};
use crate::writer::Writer;

/// Full segments that may wait to be sealed. With more of them the writer itself waits for the
/// sealing, so ingest is no faster than what the disk can seal, and opening scans no more.
pub(crate) const UNSEALED_MAX: usize = 8;
/// How soon a next segment is tried for again.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl Writer {
    /// Goes on in the next segment. Its head is durable before its first group is written. On an
    /// error the log stands where it stood: nothing depends on the new file yet.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        while read(&self.shared.catalogue).full_segments() >= UNSEALED_MAX {
            keeper::seal_oldest(&self.shared)?;
        }
        let SegmentIdentity { log_id, epoch } = self.segment.identity;
        let identity = SegmentIdentity { log_id, epoch: epoch + 1 };
        let file = self.spares.take(identity.epoch)?;
        let head = SegmentHead { identity, base_group: self.next_group, positions: self.shared.positions() };
        self.segment = Arc::new(Segment::begin(file, head)?);
        write(&self.shared.catalogue).push(Arc::clone(&self.segment));
        self.shared.counters.note_segment();
        self.shared.keeper_bell.ring();
        Ok(())
    }

    /// Whether the present segment has no room for a group of so many bytes.
    pub(crate) fn is_full_for(&self, group_bytes: u64) -> bool {
        self.segment.end() + group_bytes > self.shared.config.segment_bytes
    }

    /// How long until the segment is too old; `None` while it has no group.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let end = self.segment.began.get()?.saturating_add(self.shared.config.segment_age_max);
        let end = end.max(self.patient_until);
        Some(end.saturating_since(self.shared.clock.now()))
    }

    /// Rolls a segment that is too old. Nobody waits for it, so a failure is just tried again.
    pub(crate) fn roll_if_old(&mut self) {
        if self.time_left().is_some_and(|left| left.is_zero())
            && let Err(error) = self.roll()
        {
            self.patient_until = self.shared.clock.now().saturating_add(RETRY_INTERVAL);
            tracing::warn!(%error, "a segment of the event log is old, but there is no next one yet");
        }
    }

    /// There is no next segment: what waits is refused, its numbers are given again later.
    pub(crate) fn refuse(&mut self, group: Group, error: &io::Error) {
        let reason: Arc<str> = format!("preparing segment {}: {error}", self.segment.identity.epoch + 1).into();
        tracing::error!(%reason, "the event log refuses events until there is room");
        let full = LogFailed::Full { reason: Arc::clone(&reason) };
        lock(&self.shared.health).note_full(Some(reason));
        let mut staging = lock(&self.shared.staging);
        staging.ended.get_or_insert(full.clone());
        self.shared.refuses.store(true, Ordering::Release);
        let groups: Vec<Group> = std::iter::once(group).chain(std::iter::from_fn(|| staging.take())).collect();
        for frame in groups.iter().flat_map(|group| &group.frames) {
            let next = lock(&frame.partition.durable).properties.next;
            frame.partition.staged_next.store(next.0, Ordering::Relaxed);
        }
        drop(staging);
        for group in groups {
            self.shared.budget.add_permits(group.budget_bytes);
            group.state.resolve(Err(full.clone()));
        }
    }

    /// Whether events are refused for want of a next segment.
    #[cfg(feature = "testkit")]
    pub(crate) fn is_refusing(&self) -> bool {
        matches!(lock(&self.shared.staging).ended, Some(LogFailed::Full { .. }))
    }

    /// Tries for the next segment; with it events are taken again.
    pub(crate) fn try_again(&mut self) {
        if let Err(error) = self.roll() {
            tracing::debug!(%error, "the event log still has no room");
            return;
        }
        let mut staging = lock(&self.shared.staging);
        if matches!(staging.ended, Some(LogFailed::Full { .. })) {
            staging.ended = None;
            self.shared.refuses.store(false, Ordering::Release);
        }
        drop(staging);
        lock(&self.shared.health).note_full(None);
        tracing::info!("the event log has room again");
    }
}
