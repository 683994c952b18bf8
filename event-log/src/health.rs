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

    pub(crate) fn health(&self) -> Health {
        match &self.failed {
            Some(reason) => Health::Failed { reason: Arc::clone(reason) },
            None if self.lost.is_empty() => Health::Healthy,
            None => Health::Degraded { lost: self.lost.iter().copied().collect() },
        }
    }
}
