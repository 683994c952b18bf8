//! A server under one load, window after window, and the table of what was seen.

use std::time::Duration;

use super::{Bench, WARM_UP};
use crate::process::{processor_time, thread_times};
use crate::report::{Series, microseconds};
use crate::server::Server;
use crate::workload::{Window, Workload};

/// A server with its load.
pub(super) struct Contender<W> {
    pub(super) server: Server,
    load: W,
    /// Finished a second.
    rate: Series,
    /// Processor time of the server for each, µs.
    cost: Series,
    /// Latency, p50 and p99, µs.
    pub(super) middle: Series,
    tail: Series,
    /// Processor time of the load for each, µs.
    load_cost: Series,
    /// Each thread's part of `cost`, by the thread's name.
    threads: Vec<(String, Series)>,
}

type Sample = (Duration, Duration, Vec<(String, Duration)>);

impl<W: Workload> Contender<W> {
    /// `server` under `load`.
    pub(super) fn new(server: Server, load: W) -> Self {
        let empty = Series::default;
        Self { server, load, rate: empty(), cost: empty(), middle: empty(), tail: empty(), load_cost: empty(), threads: Vec::new() }
    }

    /// Measures one window.
    ///
    /// # Errors
    /// When the server ends, refuses or stops answering.
    pub(super) fn measure(&mut self, bench: &Bench) -> anyhow::Result<()> {
        let server = self.server.process.id();
        let seen: Window<Sample> = self.load.run(WARM_UP, bench.window, || {
            Ok((processor_time(server, None)?, processor_time(std::process::id(), None)?, thread_times(server)?))
        })?;
        let done = seen.done as f64;
        let (before, after) = (&seen.before, &seen.after);
        self.rate.push(done / seen.elapsed.as_secs_f64());
        self.cost.push(microseconds(after.0.saturating_sub(before.0)) / done);
        self.load_cost.push(microseconds(after.1.saturating_sub(before.1)) / done);
        self.middle.push(microseconds(seen.latencies.quantile(0.5)));
        self.tail.push(microseconds(seen.latencies.quantile(0.99)));
        let earlier = |name: &str| before.2.iter().find(|(known, _)| known == name).map_or(Duration::ZERO, |(_, time)| *time);
        for (name, time) in &after.2 {
            self.add_thread(name, microseconds(time.saturating_sub(earlier(name))) / done);
        }
        Ok(())
    }

    fn add_thread(&mut self, name: &str, cost: f64) {
        match self.threads.iter_mut().find(|(known, _)| known == name) {
            Some((_, costs)) => costs.push(cost),
            None => self.threads.push((name.to_owned(), Series::from_iter([cost]))),
        }
    }
}

/// Measures the contenders' windows in turn.
///
/// # Errors
/// As [`Contender::measure`].
pub(super) fn measure_all<W: Workload>(bench: &Bench, contenders: &mut [Contender<W>]) -> anyhow::Result<()> {
    for _ in 0..bench.windows {
        for contender in &mut *contenders {
            contender.measure(bench)?;
        }
    }
    Ok(())
}

/// Prints what was seen of `unit`s: a line for each, then the hub over each of the others.
pub(super) fn print_all<W>(contenders: &[Contender<W>], unit: &str) {
    let (rate, cost, load) = (format!("{unit}s/s"), format!("server CPU µs/{unit}"), format!("load CPU µs/{unit}"));
    println!("  {:<10} {rate:>28} {cost:>22} {:>24} {:>26} {load:>20}", "", "p50 µs", "p99 µs");
    for one in contenders {
        println!(
            "  {:<10} {:>28.0} {:>22.2} {:>24.0} {:>26.0} {:>20.2}",
            one.server.kind,
            one.rate,
            one.cost,
            one.middle,
            one.tail,
            one.load_cost.median()
        );
    }
    for hub in contenders.iter().filter(|contender| contender.server.is_hub()) {
        for other in contenders.iter().filter(|other| other.server.kind != hub.server.kind) {
            let (cost, rate) = (hub.cost.over(&other.cost), hub.rate.over(&other.rate));
            println!("  {} over {}: CPU a {unit} x {cost:.2}, throughput x {rate:.2}", hub.server.kind, other.server.kind);
        }
        let threads: Vec<_> =
            hub.threads.iter().filter(|(_, cost)| cost.median() > 0.0).map(|(name, cost)| format!("{name} {cost:.2}")).collect();
        println!("  {} threads, CPU µs/{unit}: {}", hub.server.kind, threads.join(", "));
    }
}
