//! Row 5: what an idle connection holds of the server's memory.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Bench;
use crate::client::{Client, connect_all};
use crate::fleet;
use crate::process::field;
use crate::report::headline;
use crate::server::Server;

const CONNECTIONS: usize = 2_000;
/// Connect and go before the first look, so that what a server makes once is not counted.
const PRELUDE: usize = 16;
/// A server that did not give back or take memory for so long has settled.
const STEADY: Duration = Duration::from_secs(1);
const SETTLING_MAX: Duration = Duration::from_secs(10);

/// Measures and prints row 5.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    headline("Row 5: resident memory of 2,000 idle mutual TLS connections, keep-alive on");
    let directory = Bench::directory()?;
    let mut seen = Vec::new();
    for kind in &bench.kinds {
        // One at a time: each has the machine for itself while it settles.
        let server = Server::start(kind.clone(), &directory.path().join(kind.to_string()))?;
        let bytes = bytes_each(&server).with_context(|| kind.to_string())?;
        println!("  {kind:<10} {bytes:>8.0} bytes a connection");
        seen.push((server.is_hub(), kind, bytes));
    }
    for (_, hub, ours) in seen.iter().filter(|(is_hub, ..)| *is_hub) {
        for (_, other, theirs) in seen.iter().filter(|(_, other, _)| other != hub) {
            println!("  {hub} over {other}: x {:.2}", ours / theirs);
        }
    }
    Ok(())
}

fn bytes_each(server: &Server) -> anyhow::Result<f64> {
    let logins = fleet::enrol(server, CONNECTIONS)?;
    let prelude = connect_all(server.address, logins.get(..PRELUDE).unwrap_or_default())?;
    prelude.into_iter().for_each(Client::disconnect);
    let before = settled_kilobytes(server)?;
    let connections = connect_all(server.address, &logins)?;
    let after = settled_kilobytes(server)?;
    Ok((after.saturating_sub(before) * 1024) as f64 / connections.len() as f64)
}

/// Resident memory once it no longer changes.
///
/// # Errors
/// When the server is gone.
pub(super) fn settled_kilobytes(server: &Server) -> anyhow::Result<u64> {
    let resident = || field(server.process.id(), "status", "VmRSS");
    let begun = Instant::now();
    let (mut last, mut since) = (resident()?, Instant::now());
    while since.elapsed() < STEADY && begun.elapsed() < SETTLING_MAX {
        thread::sleep(Duration::from_millis(100));
        let now = resident()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}
