//! Seeded appends, sealing, retention, removals, faults, full disks, power cuts and reopenings
//! against a model of what must be readable. The seed of a failing run is in its message;
//! `SIMULATION_SEEDS` sets how many are run, `SIMULATION_FIRST_SEED` where they begin.
#![allow(missing_docs, unreachable_pub)]

#[path = "support/simulated.rs"]
mod simulated;
mod support;

use std::sync::Arc;

use event_log::{Disk, Faults, FaultyDisk};
use simulated::{Reached, Simulation};
use support::{manual_clock, open_manual, read_all, stage};

const SEEDS_DEFAULT: u64 = 2000;

#[test]
fn what_was_acknowledged_survives_every_seed() {
    let seeds = std::env::var("SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS_DEFAULT);
    let first = std::env::var("SIMULATION_FIRST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut reached = Reached::default();
    for seed in first..first + seeds {
        let mut simulation = Simulation::new(seed);
        simulation.run();
        reached.add(&simulation.reached);
    }
    // A simulation that stays in calm waters proves nothing.
    let Reached { sealed, files_removed, recycled, refused, removals } = reached;
    let least = sealed.min(files_removed).min(recycled).min(refused).min(removals);
    assert!(least >= seeds / 10, "{reached:?} in {seeds} seeds");
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
            simulation.live(log, 25);
        }
        let calls = simulation.disk.calls();
        simulation.disk.cut_power();
        drop(log);
        crash_in_recovery(&mut simulation, &faults);
        let log = simulation.restart();
        simulation.check(&log);
        simulation.live(&log, 2);
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
        simulation.forget_pending();
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
