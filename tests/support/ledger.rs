//! The judge of durability: what was acknowledged, written down and synced by the test, on
//! another file than the hub's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;

use super::events::StoredEvents;

/// Acknowledged messages, in the order in which each device sent them.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    bodies: BTreeMap<String, Vec<String>>,
}

impl Ledger {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { file: tempfile::tempfile().expect("a file"), bodies: BTreeMap::new() }
    }

    /// Another one with the same content.
    pub(crate) fn copy(&self) -> Self {
        let mut copy = Self::new();
        for (device, bodies) in &self.bodies {
            bodies.iter().for_each(|body| copy.acknowledged(device, body));
        }
        copy
    }

    /// Writes down an acknowledgement that was seen.
    pub(crate) fn acknowledged(&mut self, device: &str, body: &str) {
        writeln!(self.file, "{device}\t{body}").expect("the ledger");
        self.file.sync_data().expect("the ledger");
        self.bodies.entry(device.to_owned()).or_default().push(body.to_owned());
    }

    /// How many acknowledgements there were.
    pub(crate) fn len(&self) -> usize {
        self.bodies.values().map(Vec::len).sum()
    }

    /// The same of the newest messages acknowledged; older ones may be gone once those that are
    /// there take `bytes` or more.
    ///
    /// # Panics
    /// When it is not so.
    pub(crate) fn assert_holds_tail(&self, events: &StoredEvents, bytes: usize, situation: &str) {
        assert_eq!(events.gaps, 0, "{situation}: the hub reports losses");
        for (device, acknowledged) in &self.bodies {
            let stored = events.bodies(device);
            let mut before = stored.iter().rev();
            let held = acknowledged.iter().rev().take_while(|body| before.any(|stored| stored == body));
            let (count, held_bytes) = held.fold((0, 0), |(count, sum), body| (count + 1, sum + body.len()));
            let is_kept = count == acknowledged.len() || held_bytes >= bytes;
            assert!(is_kept, "{situation}: of {} messages of {device} the last {count} are held, {held_bytes} bytes", acknowledged.len());
        }
    }

    /// Everything acknowledged is among `events`, unchanged, the first appearances in order.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) fn assert_holds(&self, events: &StoredEvents, situation: &str) {
        assert_eq!(events.gaps, 0, "{situation}: the hub reports losses");
        for (device, acknowledged) in &self.bodies {
            let stored = events.bodies(device);
            let mut after = stored.iter();
            for body in acknowledged {
                let found = after.any(|stored| stored == body);
                assert!(found, "{situation}: {device} was told that {body:?} is stored; stored are {stored:?}");
            }
        }
    }
}
