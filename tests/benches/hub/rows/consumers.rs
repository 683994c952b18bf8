//! What Kafka consumers hold of the hub's memory: many that wait, and some that never read what
//! they asked for.

use std::thread;
use std::time::Duration;

use super::idle::settled_kilobytes;
use super::{Bench, WARM_UP};
use crate::consumer::{Appetite, Consumer, trust};
use crate::fleet;
use crate::load::Load;
use crate::process::processor_time;
use crate::report::headline;
use crate::server::{Kind, Server};
use crate::workload::Workload as _;

const WAITING: usize = 1_000;
const STUCK: usize = 50;
const PARTITIONS: i32 = 4;
/// Longer than the row.
const PATIENT: Appetite = Appetite { wait_ms: 300_000, bytes_min: 1, bytes_max: 1024 * 1024 };
const HUGE: Appetite = Appetite { wait_ms: 500, bytes_min: 1, bytes_max: 64 * 1024 * 1024 };
/// How long nothing is sent while the hub's processor time is watched.
const STILL: Duration = Duration::from_secs(5);

/// Measures and prints for every build of the hub.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    for kind in bench.kinds.iter().filter(|kind| matches!(kind, Kind::Isthmus { .. })) {
        headline(&format!("Consumers' memory: {kind}, {WAITING} in long poll, {STUCK} that never read"));
        let directory = Bench::directory()?;
        let server = Server::start(kind.clone(), directory.path())?;
        waiting(&server)?;
        stuck(bench, &server)?;
    }
    Ok(())
}

fn waiting(server: &Server) -> anyhow::Result<()> {
    let tls = trust(server)?;
    // What the hub makes once is not counted.
    let mut first = Consumer::connect(server, &tls, 0..PARTITIONS)?;
    first.send_fetch(PATIENT)?;
    let before = settled_kilobytes(server)?;
    let mut consumers = Vec::with_capacity(WAITING);
    for _ in 0..WAITING {
        let mut consumer = Consumer::connect(server, &tls, 0..PARTITIONS)?;
        consumer.send_fetch(PATIENT)?;
        consumers.push(consumer);
    }
    let after = settled_kilobytes(server)?;
    let each = (after.saturating_sub(before) * 1024) as f64 / WAITING as f64;
    let used = processor_time(server.process.id(), None)?;
    thread::sleep(STILL);
    let used = processor_time(server.process.id(), None)?.saturating_sub(used);
    println!("  in long poll: {each:.0} bytes a consumer; {:.0} ms of CPU in {STILL:?} without events", used.as_secs_f64() * 1e3);
    Ok(())
}

/// Each asks for far more than its socket takes, again and again, and never reads.
fn stuck(bench: &Bench, server: &Server) -> anyhow::Result<()> {
    let logins = fleet::enrol(server, 20)?;
    let mut load = Load::connect(server, &logins, 64)?;
    let rate = |load: &mut Load| -> anyhow::Result<f64> {
        let seen = load.run(WARM_UP, bench.window, || Ok(()))?;
        Ok(seen.done as f64 / seen.elapsed.as_secs_f64())
    };
    let alone = rate(&mut load)?;
    let before = settled_kilobytes(server)?;
    let tls = trust(server)?;
    let mut consumers = Vec::with_capacity(STUCK);
    for _ in 0..STUCK {
        let mut consumer = Consumer::connect(server, &tls, 0..PARTITIONS)?;
        for _ in 0..4 {
            consumer.send_fetch(HUGE)?;
        }
        consumers.push(consumer);
    }
    let beside = rate(&mut load)?;
    let after = settled_kilobytes(server)?;
    println!(
        "  never reading: {:.1} MB in all for {STUCK}; ingest {beside:.0} messages/s beside them, {alone:.0} without",
        after.saturating_sub(before) as f64 / 1024.0
    );
    Ok(())
}
