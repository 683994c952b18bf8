//! Rows 1 to 3: telemetry that is acknowledged.

use super::Bench;
use super::contender::{Contender, measure_all, print_all};
use crate::fleet;
use crate::load::Load;
use crate::raw_sync::ZeroWritten;
use crate::report::{Series, headline, microseconds};
use crate::server::Kind;

/// Row 1: many messages in flight.
pub(super) fn batched(bench: &Bench) -> anyhow::Result<()> {
    headline("Row 1: QoS 1, mutual TLS 1.3, 256 B, 20 connections x 64 in flight");
    measure(bench, 20, 64)
}

/// Row 2: many devices with one message in flight each.
pub(super) fn unbatched(bench: &Bench) -> anyhow::Result<()> {
    headline("Row 2: QoS 1, mutual TLS 1.3, 256 B, 100 connections x 1 in flight");
    measure(bench, 100, 1)
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
            contender.measure(bench)?;
        }
    }
    print_all(&contenders, "message");
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

fn measure(bench: &Bench, connections: usize, in_flight: u16) -> anyhow::Result<()> {
    let directory = Bench::directory()?;
    let mut contenders = contenders(bench, &directory, connections, in_flight)?;
    measure_all(bench, &mut contenders)?;
    print_all(&contenders, "message");
    Ok(())
}

fn contenders(bench: &Bench, directory: &tempfile::TempDir, connections: usize, in_flight: u16) -> anyhow::Result<Vec<Contender<Load>>> {
    let loaded = |server| {
        let logins = fleet::enrol(&server, connections)?;
        let load = Load::connect(&server, &logins, in_flight)?;
        Ok(Contender::new(server, load))
    };
    bench.start_all(directory)?.into_iter().map(loaded).collect()
}
