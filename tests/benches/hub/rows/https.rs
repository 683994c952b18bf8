//! Telemetry over HTTPS, durable before its 204, beside nginx that answers 204 and keeps nothing.

use super::Bench;
use super::contender::{Contender, print_all};
use crate::fleet;
use crate::raw_sync::ZeroWritten;
use crate::report::{Series, headline, microseconds};
use crate::web_load::{Http, WebLoad};

const CONNECTIONS: usize = 64;

/// Measures and prints for both versions of HTTP.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    for version in [Http::One, Http::Two] {
        headline(&format!("HTTPS telemetry: {version}, mutual TLS 1.3, 256 B, {CONNECTIONS} keep-alive connections x 1 in flight"));
        measure(bench, version)?;
    }
    Ok(())
}

fn measure(bench: &Bench, version: Http) -> anyhow::Result<()> {
    let directory = Bench::directory()?;
    let mut raw = ZeroWritten::create(&directory.path().join("raw"))?;
    let mut contenders = Vec::new();
    for server in bench.start_web(&directory)? {
        let logins = fleet::enrol(&server, CONNECTIONS)?;
        let load = WebLoad::connect(&server, &logins, version)?;
        contenders.push(Contender::new(server, load));
    }
    let mut syncs = Series::default();
    for _ in 0..bench.windows {
        syncs.push(microseconds(raw.append_and_sync(bench.window / 4)?.quantile(0.5)));
        for contender in &mut contenders {
            contender.measure(bench)?;
        }
    }
    print_all(&contenders, "request");
    println!("  raw write of 256 B and fdatasync, p50 µs: {syncs:.0}");
    Ok(())
}
