//! Rows 1 to 3: telemetry that is acknowledged.

use std::time::Duration;

use super::{Bench, WARM_UP};
use crate::fleet;
use crate::load::{Load, Window};
use crate::process::{processor_time, thread_times};
use crate::raw_sync::ZeroWritten;
use crate::report::{Series, headline, microseconds};
use crate::server::{Kind, Server};

/// Row 1: many messages in flight.
pub(super) fn batched(bench: &Bench) -> anyhow::Result<()> {
    headline("Row 1: QoS 1, mutual TLS 1.3, 256 B, 20 connections x 64 in flight");
    print_all(&measure(bench, 20, 64)?);
    Ok(())
}

/// Row 2: many devices with one message in flight each.
pub(super) fn unbatched(bench: &Bench) -> anyhow::Result<()> {
    headline("Row 2: QoS 1, mutual TLS 1.3, 256 B, 100 connections x 1 in flight");
    print_all(&measure(bench, 100, 1)?);
    Ok(())
}

/// Row 3: one device that waits for each acknowledgement, beside a bare write and sync.
pub(super) fn single(bench: &Bench) -> anyhow::Result<()> {
    headline("Row 3: QoS 1, mutual TLS 1.3, 256 B, one device, one in flight");
    let directory = Bench::directory()?;
    let mut raw = ZeroWritten::create(&directory.path().join("raw"))?;
    let mut syncs = Series::default();
    let mut contenders = contenders(bench, &directory, 1, 1)?;
    for _ in 0..bench.windows {
        syncs.push(microseconds(raw.append_and_sync(bench.window / 2)?.quantile(0.5)));
        for contender in &mut contenders {
            contender.measure(bench.window)?;
        }
    }
    print_all(&contenders);
    println!("  raw write of 256 B and fdatasync, p50 µs: {syncs:.0}");
    for hub in contenders.iter().filter(|contender| contender.server.is_hub()) {
        let beyond = hub.middle.median() - syncs.median();
        println!("  {} p50 is one raw fdatasync + {beyond:.0} µs", hub.server.kind);
        for peer in contenders.iter().filter(|contender| contender.server.kind == Kind::Mosquitto) {
            println!("    which is {:.1} x mosquitto's p50", beyond / peer.middle.median());
        }
    }
    Ok(())
}

fn measure(bench: &Bench, connections: usize, in_flight: u16) -> anyhow::Result<Vec<Contender>> {
    let directory = Bench::directory()?;
    let mut contenders = contenders(bench, &directory, connections, in_flight)?;
    for _ in 0..bench.windows {
        for contender in &mut contenders {
            contender.measure(bench.window)?;
        }
    }
    Ok(contenders)
}

fn contenders(bench: &Bench, directory: &tempfile::TempDir, connections: usize, in_flight: u16) -> anyhow::Result<Vec<Contender>> {
    let servers = bench.start_all(directory)?;
    servers.into_iter().map(|server| Contender::new(server, connections, in_flight)).collect()
}

/// A server under load, and what was seen of it.
struct Contender {
    server: Server,
    load: Load,
    /// Acknowledged messages a second.
    rate: Series,
    /// Processor time of the server for each, µs.
    cost: Series,
    /// Latency, p50 and p99, µs.
    middle: Series,
    tail: Series,
    /// Processor time of the load for each message, µs.
    load_cost: Series,
    /// Each thread's part of `cost`, by the thread's name.
    threads: Vec<(String, Series)>,
}

type Sample = (Duration, Duration, Vec<(String, Duration)>);

impl Contender {
    fn new(server: Server, connections: usize, in_flight: u16) -> anyhow::Result<Self> {
        let logins = fleet::enrol(&server, connections)?;
        let load = Load::connect(&server, &logins, in_flight)?;
        let empty = Series::default;
        Ok(Self { server, load, rate: empty(), cost: empty(), middle: empty(), tail: empty(), load_cost: empty(), threads: Vec::new() })
    }

    fn measure(&mut self, window: Duration) -> anyhow::Result<()> {
        let server = self.server.process.id();
        let seen: Window<Sample> = self.load.run(WARM_UP, window, || {
            Ok((processor_time(server, None)?, processor_time(std::process::id(), None)?, thread_times(server)?))
        })?;
        let messages = seen.messages as f64;
        let (before, after) = (&seen.before, &seen.after);
        self.rate.push(messages / seen.elapsed.as_secs_f64());
        self.cost.push(microseconds(after.0.saturating_sub(before.0)) / messages);
        self.load_cost.push(microseconds(after.1.saturating_sub(before.1)) / messages);
        self.middle.push(microseconds(seen.latencies.quantile(0.5)));
        self.tail.push(microseconds(seen.latencies.quantile(0.99)));
        let earlier = |name: &str| before.2.iter().find(|(known, _)| known == name).map_or(Duration::ZERO, |(_, time)| *time);
        for (name, time) in &after.2 {
            self.add_thread(name, microseconds(time.saturating_sub(earlier(name))) / messages);
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

fn print_all(contenders: &[Contender]) {
    let (rate, cost, middle, tail, load) = ("messages/s", "server CPU µs/msg", "p50 µs", "p99 µs", "load CPU µs/msg");
    println!("  {:<10} {rate:>28} {cost:>22} {middle:>24} {tail:>26} {load:>16}", "");
    for one in contenders {
        println!(
            "  {:<10} {:>28.0} {:>22.2} {:>24.0} {:>26.0} {:>16.2}",
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
            println!("  {} over {}: CPU a message x {cost:.2}, throughput x {rate:.2}", hub.server.kind, other.server.kind);
        }
        let threads: Vec<_> =
            hub.threads.iter().filter(|(_, cost)| cost.median() > 0.0).map(|(name, cost)| format!("{name} {cost:.2}")).collect();
        println!("  {} threads, CPU µs/msg: {}", hub.server.kind, threads.join(", "));
    }
}
