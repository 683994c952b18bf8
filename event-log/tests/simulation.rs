//! Seeded appends, faults, power cuts and reopenings against a model of what must be readable.
//! The seed of a failing run is in its message; `SIMULATION_SEEDS` sets how many are
//! run, `SIMULATION_FIRST_SEED` where they begin.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use event_log::{Disk, EventLog, Faults, FaultyDisk, Health, Ticket};
use model::{Clock, PartitionId};
use support::{Item, manual_clock, open_manual, read_all, stage};

const PARTITIONS: u32 = 3;
const SEEDS_DEFAULT: u64 = 300;

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

/// What was asked of a partition: bodies in order, and how many of them were acknowledged.
#[derive(Default, Clone)]
struct Expected {
    staged: Vec<String>,
    acknowledged: usize,
}

struct Simulation {
    seed: u64,
    random: Random,
    disk: FaultyDisk,
    clock: Clock,
    expected: BTreeMap<u32, Expected>,
    pending: Vec<(u32, usize, Ticket)>,
    bodies: u64,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let expected = (0..PARTITIONS).map(|partition| (partition, Expected::default())).collect();
        Self { seed, random: Random(seed), disk: FaultyDisk::new(seed), clock: manual_clock(), expected, pending: Vec::new(), bodies: 0 }
    }

    fn try_open(&self) -> Option<EventLog> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let hubs = [support::hub(1, PARTITIONS)];
        let opened = EventLog::open_manual(std::path::Path::new("log"), disk, support::small(), self.clock.clone(), &hubs);
        opened.ok().map(|(log, _)| log)
    }

    /// Appends in groups until `groups` are done or the log fails.
    fn append(&mut self, log: &EventLog, groups: u64) {
        for _ in 0..groups {
            for _ in 0..=self.random.below(4) {
                self.stage_one(log);
            }
            self.clock.advance(Duration::from_millis(self.random.below(50)));
            while log.commit_staged() {}
            self.collect();
            if matches!(log.health(), Health::Failed { .. }) {
                return;
            }
        }
    }

    fn stage_one(&mut self, log: &EventLog) {
        let partition = self.random.below(u64::from(PARTITIONS)) as u32;
        let count = 1 + self.random.below(3);
        let bodies: Vec<String> = (0..count).map(|_| self.body()).collect();
        let texts: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let ticket = stage(log, PartitionId(partition), &texts);
        if let Some(expected) = self.expected.get_mut(&partition) {
            assert_eq!(ticket.first().0 as usize, expected.staged.len(), "seed {}: numbers have no gap", self.seed);
            expected.staged.extend(bodies);
            self.pending.push((partition, expected.staged.len(), ticket));
        }
    }

    fn body(&mut self) -> String {
        self.bodies += 1;
        format!("{}-{}", self.bodies, "z".repeat(self.random.below(2500) as usize))
    }

    fn collect(&mut self) {
        for (partition, end, ticket) in std::mem::take(&mut self.pending) {
            if let (Some(Ok(_)), Some(expected)) = (ticket.try_get(), self.expected.get_mut(&partition)) {
                expected.acknowledged = end;
            }
        }
    }

    /// Everything acknowledged is there, in order, unchanged; beyond it only what was staged.
    fn check(&mut self, log: &EventLog) {
        let seed = self.seed;
        assert!(!matches!(log.health(), Health::Degraded { .. }), "seed {seed}: a power cut is not damage: {:?}", log.health());
        for (partition, expected) in &mut self.expected {
            let read = read_all(log, PartitionId(*partition));
            assert!(read.len() >= expected.acknowledged, "seed {seed}: {} of {} acknowledged", read.len(), expected.acknowledged);
            assert!(read.len() <= expected.staged.len(), "seed {seed}: more than was staged");
            for (index, (item, body)) in read.iter().zip(&expected.staged).enumerate() {
                let is_same = matches!(item, Item::Event(sequence, found) if sequence.0 == index as i64 && found == body);
                assert!(is_same, "seed {seed}: partition {partition}, event {index} of {}: {item:.60?}, not {body:.20}", read.len());
            }
            // What was served once stays.
            expected.staged.truncate(read.len());
            expected.acknowledged = read.len();
        }
    }

    fn restart(&mut self) -> EventLog {
        self.pending.clear();
        self.disk.restart();
        self.try_open().expect("a disk without faults opens")
    }

    fn run(&mut self) {
        for _ in 0..4 {
            let ahead = self.disk.calls() + 1 + self.random.below(40);
            let mut faults = Faults { short_writes: self.random.below(2) == 0, ..Faults::default() };
            match self.random.below(3) {
                0 => faults.fail_call = Some(ahead),
                _ => faults.cut_call = Some(ahead),
            }
            self.disk.set_faults(faults);
            let log = self.try_open();
            if let Some(log) = &log {
                self.append(log, 30);
                if matches!(log.health(), Health::Failed { .. }) && faults.fail_call.is_some() {
                    // Reading goes on after a failure.
                    read_all(log, PartitionId(0));
                }
            }
            self.disk.cut_power();
            drop(log);
            let log = self.restart();
            self.check(&log);
            self.append(&log, 3);
            self.check(&log);
        }
    }
}

#[test]
fn what_was_acknowledged_survives_every_seed() {
    let seeds = std::env::var("SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS_DEFAULT);
    let first = std::env::var("SIMULATION_FIRST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        Simulation::new(seed).run();
    }
}

#[test]
fn the_simulation_is_deterministic() {
    for seed in [1, 7, 4711] {
        let [mut one, mut other] = [Simulation::new(seed), Simulation::new(seed)];
        one.run();
        other.run();
        assert_eq!((one.disk.calls(), one.disk.trace()), (other.disk.calls(), other.disk.trace()), "seed {seed}");
        assert!(one.disk.calls() > 100);
    }
    let [mut one, mut other] = [Simulation::new(1), Simulation::new(2)];
    one.run();
    other.run();
    assert_ne!(one.disk.trace(), other.disk.trace());
}

/// Runs one workload again and again, with `faults` at each of its calls in turn; then once more
/// through the recovery after it.
fn at_every_call(faults: impl Fn(u64) -> Faults) {
    let mut call = 1;
    loop {
        let mut simulation = Simulation::new(99);
        simulation.disk.set_faults(faults(call));
        let log = simulation.try_open();
        if let Some(log) = &log {
            simulation.append(log, 25);
        }
        let calls = simulation.disk.calls();
        simulation.disk.cut_power();
        drop(log);
        crash_in_recovery(&mut simulation, &faults);
        let log = simulation.restart();
        simulation.check(&log);
        simulation.append(&log, 2);
        simulation.check(&log);
        if calls < call {
            return;
        }
        call += 1;
    }
}

/// Recovery meets the fault at each of its own calls in turn.
fn crash_in_recovery(simulation: &mut Simulation, faults: &impl Fn(u64) -> Faults) {
    for call in 1.. {
        simulation.pending.clear();
        simulation.disk.restart();
        let target = simulation.disk.calls() + call;
        simulation.disk.set_faults(faults(target));
        let log = simulation.try_open();
        let is_through = simulation.disk.calls() < target;
        simulation.disk.cut_power();
        drop(log);
        if is_through {
            return;
        }
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_every_call() {
    at_every_call(|call| Faults { cut_call: Some(call), ..Faults::default() });
}

#[test]
fn what_was_acknowledged_survives_a_failure_of_every_call() {
    at_every_call(|call| Faults { fail_call: Some(call), short_writes: true, ..Faults::default() });
}

#[test]
fn a_full_disk_stops_acknowledging_goes_on_reading_and_reopening_recovers() {
    let mut simulation = Simulation::new(5);
    simulation.disk.set_faults(Faults { capacity: Some(150 * 1024), ..Faults::default() });
    let log = simulation.try_open().expect("room for one segment");
    simulation.append(&log, 100);
    assert!(matches!(log.health(), Health::Failed { .. }));
    let acknowledged = simulation.expected.get(&0).map_or(0, |expected| expected.acknowledged);
    assert!(acknowledged > 0);
    assert_eq!(read_all(&log, PartitionId(0)).len(), acknowledged);
    assert!(log.try_reserve(1).is_err(), "nothing more is taken");
    drop(log);
    let log = simulation.restart();
    simulation.check(&log);
    simulation.append(&log, 20);
    simulation.check(&log);
}

#[test]
fn a_failed_sync_resolves_the_waiting_tickets_with_the_reason_and_is_final() {
    let disk = FaultyDisk::new(3);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = open_manual(&shared, &manual_clock(), 1);
    let good = stage(&log, support::P0, &["good"]);
    log.commit_staged();
    assert!(matches!(good.try_get(), Some(Ok(_))));
    // The group's write is one call, its sync the next.
    disk.set_faults(Faults { fail_call: Some(disk.calls() + 2), ..Faults::default() });
    let bad = stage(&log, support::P0, &["bad"]);
    log.commit_staged();
    assert!(matches!(bad.try_get(), Some(Err(event_log::LogFailed::Poisoned { .. }))));
    assert!(log.try_reserve(1).is_err());
    assert_eq!(read_all(&log, support::P0), vec![support::event(0, "good")]);
}

#[test]
fn what_recovery_serves_after_a_failed_sync_survives_a_power_cut() {
    let disk = FaultyDisk::new(3);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = open_manual(&shared, &manual_clock(), 1);
    disk.set_faults(Faults { fail_call: Some(disk.calls() + 2), ..Faults::default() });
    stage(&log, support::P0, &["written, not synced"]);
    log.commit_staged();
    drop(log);
    disk.set_faults(Faults::default());
    let log = open_manual(&shared, &manual_clock(), 1);
    let served = read_all(&log, support::P0);
    assert_eq!(served.len(), 1, "the page cache still has it");
    disk.cut_power();
    drop(log);
    disk.restart();
    assert_eq!(read_all(&open_manual(&shared, &manual_clock(), 1), support::P0), served);
}
