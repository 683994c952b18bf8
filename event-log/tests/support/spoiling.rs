//! A log that lives while blocks of its disk become unreadable, and what of it may be lost.

use std::collections::BTreeMap;
use std::path::PathBuf;

use event_log::{EventLog, FaultyDisk, Start};
use model::PartitionId;

use super::frames::{Stored, stored};
use super::open;
use super::support::{HUB, Item, P0, P1, drain, seal_oldest, stage};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What was acknowledged, by partition and number, and whether it may be damaged.
pub struct Model {
    seed: u64,
    random: Random,
    disk: FaultyDisk,
    events: BTreeMap<(PartitionId, i64), (String, bool)>,
    bodies: u64,
    /// How often blocks were made unreadable.
    pub spoiled: u64,
    /// Events met as lost.
    pub lost: u64,
}

impl Model {
    pub fn new(seed: u64) -> Self {
        Self { seed, random: Random(seed), disk: FaultyDisk::new(seed), events: BTreeMap::new(), bodies: 0, spoiled: 0, lost: 0 }
    }

    fn live(&mut self, log: &EventLog, groups: u64) {
        for _ in 0..groups {
            let mut tickets = Vec::new();
            for _ in 0..=self.random.below(3) {
                let partition = PartitionId(self.random.below(2) as u32);
                self.bodies += 1;
                let body = format!("{}-{}", self.bodies, "z".repeat(self.random.below(2500) as usize));
                tickets.push((partition, stage(log, partition, &[&body]), body));
            }
            log.commit_staged();
            for (partition, ticket, body) in tickets {
                assert!(matches!(ticket.try_get(), Some(Ok(_))), "seed {}", self.seed);
                let before = self.events.insert((partition, ticket.first().0), (body, false));
                assert!(before.is_none(), "seed {}: number {:?} was given twice", self.seed, ticket.first());
            }
            if self.random.below(4) == 0 {
                seal_oldest(log);
            }
        }
    }

    /// Makes one or two blocks of a file unreadable, and takes down what lies in them. A group's
    /// first block has its header, so all of the group may go.
    fn spoil(&mut self) {
        let is_in_use = |path: &PathBuf| path.extension().is_some_and(|name| name == "log" || name == "sealed");
        let paths: Vec<_> = self.disk.paths().into_iter().filter(is_in_use).collect();
        let path = paths[self.random.below(paths.len() as u64) as usize].clone();
        let content = self.disk.content(&path);
        let frames = stored(&content);
        // Mostly where something is.
        let end = frames.iter().map(|frame| frame.bytes.end).max().unwrap_or(0).max(1024) + 512;
        let at = self.random.below(end.min(content.len() as u64)) / 512 * 512;
        let bytes = at..(at + 512 * (1 + self.random.below(2))).min(content.len() as u64);
        let is_sealed = path.extension().is_some_and(|name| name == "sealed");
        for Stored { partition, base, bytes: frame, group_at } in frames {
            let is_hit = frame.start < bytes.end && bytes.start < frame.end;
            let is_header_hit = !is_sealed && group_at < bytes.end && bytes.start < group_at + 512;
            if (is_hit || is_header_hit)
                && let Some(event) = self.events.get_mut(&(partition, base))
            {
                event.1 = true;
            }
        }
        self.disk.make_unreadable(&path, bytes);
        self.spoiled += 1;
    }

    /// Every event is read back or lies in a gap, and only what was spoiled lies in one.
    fn check(&mut self, log: &EventLog) {
        let seed = self.seed;
        for partition in [P0, P1] {
            let items = drain(&mut log.reader(HUB, partition, Start::Earliest).expect("a reader"), 4096);
            let mut next = 0;
            for item in items {
                match item {
                    Item::Event(sequence, body) => {
                        assert_eq!(sequence.0, next, "seed {seed}: silence in {partition}");
                        assert_eq!(self.events.get(&(partition, next)).map(|event| &event.0), Some(&body), "seed {seed}");
                        next += 1;
                    }
                    Item::Gap(from, to) => {
                        assert_eq!(from.0, next, "seed {seed}: silence in {partition}");
                        for ((_, number), (_, may_be_lost)) in self.events.range((partition, from.0)..=(partition, to.0)) {
                            assert!(may_be_lost, "seed {seed}: {number} of {partition} is told to be lost");
                            self.lost += 1;
                        }
                        next = to.0 + 1;
                    }
                }
            }
            assert_eq!(next, log.partition(HUB, partition).expect("known").next.0, "seed {seed}");
        }
    }

    /// Lives and opens the log again some times, blocks being spoiled in between.
    pub fn run(&mut self) {
        for _ in 0..4 {
            let log = open(&self.disk);
            self.check(&log);
            let groups = 5 + self.random.below(40);
            self.live(&log, groups);
            if self.random.below(2) == 0 {
                self.spoil();
                self.check(&log);
            }
            self.live(&log, 3);
            log.close();
            drop(log);
            if self.random.below(2) == 0 {
                self.spoil();
            }
        }
        let log = open(&self.disk);
        while seal_oldest(&log) {}
        self.check(&log);
    }
}
