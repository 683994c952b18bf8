//! The table as the last staged record leaves it, and what it was before those not yet durable.

use std::collections::{HashMap, VecDeque};

use event_log::Ticket;

use crate::groups::record::{Change, Committed, OffsetKey};
use crate::groups::table::{Before, Table};

/// Below this the log is not worth shortening.
const COMPACTED_BYTES_MIN: usize = 1024 * 1024;
/// Where damage may have taken the record of a block along, ids go on far behind any that it can
/// have allowed.
const PRODUCER_IDS_SKIPPED: i64 = 1 << 32;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) table: Table,
    /// Staged and perhaps not durable, in order.
    pub(super) pending: VecDeque<Pending>,
    /// Bytes staged since the last copy of the table was begun.
    pub(super) written: usize,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    /// Of each change, in order.
    pub(super) before: Vec<Before>,
}

impl State {
    /// Damage may have taken along which ids were given out.
    pub(super) fn skip_producer_ids(&mut self) {
        let skipped = self.table.next_producer_id().saturating_add(PRODUCER_IDS_SKIPPED);
        self.table.apply(Change::ProducerIds(skipped));
    }

    pub(super) fn is_compaction_due(&self) -> bool {
        self.written > COMPACTED_BYTES_MIN.max(4 * self.table.bytes())
    }

    /// What became durable by now is visible, what was refused is taken back.
    pub(super) fn settle(&mut self) {
        while let Some(outcome) = self.pending.front().and_then(|front| front.ticket.try_get()) {
            if outcome.is_err() {
                return self.take_back();
            }
            self.pending.pop_front();
        }
    }

    /// The log refuses everything that is not durable at once, so all that is pending was refused.
    fn take_back(&mut self) {
        while let Some(refused) = self.pending.pop_back() {
            refused.before.into_iter().rev().for_each(|before| self.table.take_back(before));
        }
    }

    /// Offsets that pending changes touched, as each was before, in order.
    pub(super) fn touched(&self) -> impl Iterator<Item = &(OffsetKey, Option<Committed>)> {
        self.pending.iter().flat_map(|pending| &pending.before).flat_map(|before| &before.offsets)
    }

    /// Offsets that are about to change, as they are for now.
    pub(super) fn replaced(&self) -> HashMap<&OffsetKey, Option<&Committed>> {
        let mut replaced = HashMap::new();
        for (key, before) in self.touched() {
            replaced.entry(key).or_insert(before.as_ref());
        }
        replaced
    }
}
