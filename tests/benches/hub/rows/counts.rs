//! What a message costs in system calls, syncs, bytes and wake-ups: counts, which other work on
//! the machine changes little.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::linux::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::{Bench, WARM_UP};
use crate::fleet;
use crate::load::Load;
use crate::process::Process;
use crate::report::headline;
use crate::server::Server;
use crate::workload::Workload as _;

const STRACE: &str = "/usr/bin/strace";
/// System calls shown, the most frequent first.
const SHOWN: usize = 10;
/// strace needs this long to get hold of every thread.
const ATTACHING: Duration = Duration::from_millis(500);

/// Counts and prints, for the loads of rows 1 and 2 and the hub alone.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    for kind in bench.kinds.iter().filter(|kind| matches!(kind, crate::server::Kind::Isthmus { .. })) {
        for (connections, in_flight) in [(20, 64), (100, 1)] {
            headline(&format!("Counts: {kind}, {connections} connections x {in_flight} in flight"));
            let directory = Bench::directory()?;
            let server = Server::start(kind.clone(), directory.path())?;
            let logins = fleet::enrol(&server, connections)?;
            let mut load = Load::connect(&server, &logins, in_flight)?;
            count(&server, &mut load, bench.window)?;
            trace(&server, &mut load, directory.path())?;
        }
    }
    Ok(())
}

/// What the hub and the system count by themselves.
#[derive(Debug)]
struct Counters {
    syncs: f64,
    log_bytes: f64,
    /// Of the whole disk; 0 where the system does not tell.
    disk_writes: f64,
    disk_bytes: f64,
    switches: f64,
}

impl Counters {
    fn read(server: &Server) -> anyhow::Result<Self> {
        let metrics = metrics(server)?;
        let metric = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(f64::NAN);
        let disk = disk_writes(&server.directory).unwrap_or_default();
        Ok(Self {
            syncs: metric("isthmus_log_syncs_total "),
            log_bytes: metric("isthmus_log_written_bytes_total "),
            disk_writes: disk.0,
            disk_bytes: disk.1,
            switches: voluntary_switches(server.process.id())? as f64,
        })
    }
}

fn count(server: &Server, load: &mut Load, window: Duration) -> anyhow::Result<()> {
    let seen = load.run(WARM_UP, window, || Counters::read(server))?;
    let messages = seen.done as f64;
    let each = |count: fn(&Counters) -> f64| (count(&seen.after) - count(&seen.before)) / messages;
    println!("  messages a second        {:>10.0}", messages / seen.elapsed.as_secs_f64());
    println!("  messages a sync          {:>10.1}", 1.0 / each(|counters| counters.syncs));
    println!("  syncs a second           {:>10.0}", each(|counters| counters.syncs) * messages / seen.elapsed.as_secs_f64());
    println!("  log bytes a message      {:>10.0}", each(|counters| counters.log_bytes));
    println!(
        "  disk writes a sync       {:>10.1}  (of the whole disk)",
        each(|counters| counters.disk_writes) / each(|counters| counters.syncs)
    );
    println!(
        "  disk bytes a message     {:>10.0}  (of the whole disk, segments written full of zeros ahead included)",
        each(|counters| counters.disk_bytes)
    );
    println!("  wake-ups a message       {:>10.3}  (voluntary context switches)", each(|counters| counters.switches));
    Ok(())
}

/// System calls while strace looks on; they are slow then, so only their number is of use.
fn trace(server: &Server, load: &mut Load, directory: &Path) -> anyhow::Result<()> {
    if !Path::new(STRACE).exists() {
        println!("  no system calls are counted: apt install strace");
        return Ok(());
    }
    let (summary, id) = (directory.join("strace"), server.process.id().to_string());
    let mut tracer: Option<Process> = None;
    // It is attached in the one sample and taken off in the other.
    let seen = load.run(WARM_UP, Duration::from_secs(2), || {
        match tracer.as_mut() {
            Some(tracer) => tracer.end(Signal::INT),
            None => {
                let output = summary.to_string_lossy().into_owned();
                let arguments = ["-f", "-c", "-o", &output, "-p", &id];
                tracer = Some(Process::start(Path::new(STRACE), &arguments, &directory.join("strace.log"))?);
                thread::sleep(ATTACHING);
            }
        }
        Ok(())
    })?;
    let text = fs::read_to_string(&summary)?;
    let mut calls: Vec<(f64, &str)> = text.lines().filter_map(call).collect();
    calls.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let all: f64 = calls.iter().map(|(count, _)| count).sum();
    println!("  system calls a message   {:>10.3}", all / seen.done as f64);
    for (count, name) in calls.into_iter().take(SHOWN) {
        println!("    {name:<22} {:>10.4}", count / seen.done as f64);
    }
    Ok(())
}

/// A line of the summary: share, seconds, µs a call, calls, sometimes errors, name.
fn call(line: &str) -> Option<(f64, &str)> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (name, count) = (columns.last()?, columns.get(3)?.parse().ok()?);
    (*name != "total" && name.starts_with(char::is_alphabetic)).then_some((count, *name))
}

fn metrics(server: &Server) -> anyhow::Result<String> {
    let mut socket = TcpStream::connect(server.metrics_address()?)?;
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    Ok(text)
}

/// Writes to the disk that holds `directory`, and their bytes.
fn disk_writes(directory: &Path) -> Option<(f64, f64)> {
    const SECTOR_BYTES: f64 = 512.0;
    let device = fs::metadata(directory).ok()?.st_dev();
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    let text = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let fields: Vec<f64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    Some((*fields.get(4)?, fields.get(6)? * SECTOR_BYTES))
}

fn voluntary_switches(id: u32) -> anyhow::Result<u64> {
    let mut all = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let text = fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok());
        all += count.unwrap_or(0);
    }
    Ok(all)
}
