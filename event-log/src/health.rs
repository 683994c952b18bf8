//! Whether the log keeps its promises.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::LostRange;

/// Lost ranges kept for reports; more are counted by readers meeting them, not listed.
const LOST_RANGES_MAX: usize = 1024;

/// Whether the log keeps its promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Everything acknowledged is readable, and the log takes events.
    Healthy,
    /// The log takes events, but damage on disk took some away.
    Degraded {
        /// What is lost, in order; at most 1,024 ranges.
        lost: Vec<LostRange>,
    },
    /// No further segment can be prepared, most likely because the disk is full. Events are
    /// refused until there is room again; reading goes on.
    Full {
        /// What failed.
        reason: Arc<str>,
    },
    /// A write or sync failed. Nothing is acknowledged any more; reading goes on. Opening the log
    /// again recovers.
    Failed {
        /// What failed.
        reason: Arc<str>,
    },
}

#[derive(Debug, Default)]
pub(crate) struct HealthState {
    failed: Option<Arc<str>>,
    full: Option<Arc<str>>,
    lost: BTreeSet<LostRange>,
}

impl HealthState {
    pub(crate) fn note_lost(&mut self, range: LostRange) {
        if self.lost.len() < LOST_RANGES_MAX {
            self.lost.insert(range);
        }
    }

    pub(crate) fn note_failed(&mut self, reason: Arc<str>) {
        self.failed.get_or_insert(reason);
    }

    /// Why there is no room, or that there is room again.
    pub(crate) fn note_full(&mut self, reason: Option<Arc<str>>) {
        self.full = reason;
    }

    /// Events that retention or the removal of their hub took anyway are not missed any more.
    pub(crate) fn forget_lost(&mut self, is_gone: impl Fn(&LostRange) -> bool) {
        self.lost.retain(|range| !is_gone(range));
    }

    pub(crate) fn health(&self) -> Health {
        match (&self.failed, &self.full) {
            (Some(reason), _) => Health::Failed { reason: Arc::clone(reason) },
            (None, Some(reason)) => Health::Full { reason: Arc::clone(reason) },
            (None, None) if self.lost.is_empty() => Health::Healthy,
            (None, None) => Health::Degraded { lost: self.lost.iter().copied().collect() },
        }
    }
}
