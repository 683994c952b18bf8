//! Commands from the service API to connected devices, completed by their PUBACKs.

use std::time::{Duration, Instant};

use anyhow::ensure;
use hubctl::{ConnectOptions, HubClient};
use model::{Clock, DeviceId, Identity};

use super::Bench;
use super::contender::{Contender, print_all};
use crate::fleet;
use crate::raw_sync::ZeroWritten;
use crate::report::{Series, headline, microseconds};
use crate::server::Server;
use crate::service_load::{Operation, ServiceLoad};

const DEVICES: usize = 1_000;
const SENDERS: usize = 64;
/// How long completions may lag behind the last delivery.
const COMPLETING: Duration = Duration::from_secs(20);

/// Measures and prints for every build of the hub.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    headline(&format!("Commands: 256 B at QoS 1 to {DEVICES} devices on MQTT, {SENDERS} connections to the service API x 1 under way"));
    let directory = Bench::directory()?;
    let mut raw = ZeroWritten::create(&directory.path().join("raw"))?;
    let mut contenders = Vec::new();
    for server in bench.start_hubs(&directory)? {
        let logins = fleet::enrol(&server, DEVICES)?;
        let load = ServiceLoad::connect(&server, &logins, Operation::Command, SENDERS)?;
        contenders.push(Contender::new(server, load));
    }
    let (mut syncs, mut rates) = (Series::default(), Series::default());
    for _ in 0..bench.windows {
        let (begun, seen) = (Instant::now(), raw.append_and_sync(bench.window / 4)?);
        syncs.push(microseconds(seen.quantile(0.5)));
        rates.push(seen.count() as f64 / begun.elapsed().as_secs_f64());
        for contender in &mut contenders {
            contender.measure(bench)?;
        }
    }
    print_all(&contenders, "command");
    println!("  raw loop of 256 B and fdatasync: {rates:.0} a second, p50 µs: {syncs:.0}");
    for contender in &contenders {
        ensure_completed(&contender.server)?;
    }
    Ok(())
}

/// Every queue becomes empty: what was delivered and acknowledged is completed.
fn ensure_completed(server: &Server) -> anyhow::Result<()> {
    let options = ConnectOptions { data_directory: Some(server.directory.clone()), ..ConnectOptions::default() };
    let hub = options.connect(Clock::system())?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        for number in 1..=DEVICES {
            let device: DeviceId = fleet::device_name(number).parse()?;
            let begun = Instant::now();
            while !is_empty(&hub, &Identity::device(device.clone())).await? {
                ensure!(begun.elapsed() < COMPLETING, "{}: {device} has commands that nobody completed", server.kind);
            }
        }
        Ok(())
    })
}

async fn is_empty(hub: &HubClient, device: &Identity) -> anyhow::Result<bool> {
    Ok(hub.commands(device).await?.is_empty())
}
