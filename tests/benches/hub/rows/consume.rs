//! From a device's PUBLISH to a Kafka consumer: how long, at what cost, and how fast a consumer
//! catches up with what is stored.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use certs::issue::Issuer;
use model::Clock;
use rustls::{ClientConfig, ServerConfig, ServerConnection, Stream};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use super::{Bench, WARM_UP};
use crate::client::{Client, publish_packet};
use crate::consumer::{Appetite, Consumer, trust};
use crate::fleet;
use crate::histogram::Histogram;
use crate::load::Load;
use crate::process::processor_time;
use crate::raw_sync::ZeroWritten;
use crate::report::{Series, headline, microseconds};
use crate::server::{Kind, Server};
use crate::workload::Workload as _;

/// What `events` has when nobody says otherwise.
const PARTITIONS: i32 = 4;
const PUBACK_BYTES: usize = 4;
/// Waits for the next event, whatever its size.
const LIVE: Appetite = Appetite { wait_ms: 10_000, bytes_min: 1, bytes_max: 1024 * 1024 };
/// Takes as much as there is.
const GREEDY: Appetite = Appetite { wait_ms: 500, bytes_min: 1, bytes_max: 8 * 1024 * 1024 };
/// How long to fill the hub with what is then caught up with.
const FILLING: Duration = Duration::from_secs(6);

/// Measures and prints for every build of the hub.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    for kind in bench.kinds.iter().filter(|kind| matches!(kind, Kind::Isthmus { .. })) {
        let directory = Bench::directory()?;
        headline(&format!("PUBLISH to Kafka consumer: {kind}, TLS on both sides"));
        let server = Server::start(kind.clone(), &directory.path().join("hub"))?;
        latency(bench, &server, &directory)?;
        cost(bench, &server)?;
        catch_up(&server, &directory)?;
    }
    Ok(())
}

/// One device sends, waits until the consumer has it, and sends again.
fn latency(bench: &Bench, server: &Server, directory: &TempDir) -> anyhow::Result<()> {
    let mut raw = ZeroWritten::create(&directory.path().join("raw"))?;
    let sync = raw.append_and_sync(bench.window / 2)?.quantile(0.5);
    let login = fleet::enrol(server, 1)?.into_iter().next().context("a device")?;
    let mut device = Client::connect(server.address, &login)?;
    let (packet, _) = publish_packet(&login.topic)?;
    let mut consumer = Consumer::connect(server, &trust(server)?, 0..PARTITIONS)?;
    consumer.catch_up()?;
    let mut latencies = Histogram::default();
    let begun = Instant::now();
    while begun.elapsed() < bench.window {
        consumer.send_fetch(LIVE)?;
        let sent = Instant::now();
        let mut stream = Stream::new(&mut device.tls, &mut device.socket);
        stream.write_all(&packet)?;
        while consumer.receive_fetch()?.records == 0 {
            consumer.send_fetch(LIVE)?;
        }
        latencies.record(sent.elapsed());
        Stream::new(&mut device.tls, &mut device.socket).read_exact(&mut [0; PUBACK_BYTES])?;
    }
    let (middle, tail) = (microseconds(latencies.quantile(0.5)), microseconds(latencies.quantile(0.99)));
    println!(
        "  one device, one consumer in long poll: p50 {middle:.0} µs, p99 {tail:.0} µs; raw write and fdatasync p50 {:.0} µs",
        microseconds(sync)
    );
    Ok(())
}

/// The load of row 1 with and without a consumer that follows.
fn cost(bench: &Bench, server: &Server) -> anyhow::Result<()> {
    let logins = fleet::enrol(server, 20)?;
    let mut load = Load::connect(server, &logins, 64)?;
    let (mut alone, mut followed, mut lag) = (Series::default(), Series::default(), Series::default());
    for _ in 0..bench.windows {
        let sample = || processor_time(server.process.id(), None);
        let seen = load.run(WARM_UP, bench.window, sample)?;
        alone.push(microseconds(seen.after.saturating_sub(seen.before)) / seen.done as f64);
        let follower = Follower::start(server)?;
        let read = || Ok((processor_time(server.process.id(), None)?, follower.records.load(Ordering::Relaxed)));
        let seen = load.run(WARM_UP, bench.window, read)?;
        followed.push(microseconds(seen.after.0.saturating_sub(seen.before.0)) / seen.done as f64);
        lag.push((seen.after.1 - seen.before.1) as f64 / seen.done as f64);
        follower.stop()?;
    }
    println!("  20 x 64, server CPU µs/msg: {alone:.2} alone, {followed:.2} with a consumer that follows (it read {lag:.2} of what came)");
    Ok(())
}

/// A consumer on a thread of its own.
struct Follower {
    records: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    thread: thread::JoinHandle<anyhow::Result<()>>,
}

impl Follower {
    fn start(server: &Server) -> anyhow::Result<Self> {
        let mut consumer = Consumer::connect(server, &trust(server)?, 0..PARTITIONS)?;
        consumer.catch_up()?;
        let (records, stopped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stop) = (Arc::clone(&records), Arc::clone(&stopped));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                count.fetch_add(consumer.fetch(GREEDY)?.records, Ordering::Relaxed);
            }
            Ok(())
        });
        Ok(Self { records, stopped, thread })
    }

    fn stop(self) -> anyhow::Result<()> {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the consumer panicked"))?
    }
}

/// Reads everything that is stored, beside a plain read of as many bytes and bare TLS.
fn catch_up(server: &Server, directory: &TempDir) -> anyhow::Result<()> {
    let logins = fleet::enrol(server, 20)?;
    let mut load = Load::connect(server, &logins, 64)?;
    load.run(Duration::ZERO, FILLING, || Ok(()))?;
    let mut consumer = Consumer::connect(server, &trust(server)?, 0..PARTITIONS)?;
    let before = processor_time(server.process.id(), None)?;
    let begun = Instant::now();
    let all = consumer.catch_up()?;
    let elapsed = begun.elapsed().as_secs_f64();
    let used = processor_time(server.process.id(), None)?.saturating_sub(before);
    let (megabytes, records) = (all.bytes as f64 / 1e6, all.records as f64);
    println!(
        "  catching up: {records:.0} records, {megabytes:.0} MB: {:.0} MB/s, {:.0} records/s, server CPU {:.2} µs a record, {:.2} ms a MB",
        megabytes / elapsed,
        records / elapsed,
        microseconds(used) / records,
        used.as_secs_f64() * 1e3 / megabytes,
    );
    let (read, bare) = (raw_read(directory, all.bytes)?, bare_tls(all.bytes)?);
    println!("  beside it: plain read of as many bytes {:.0} MB/s, bare rustls on loopback {:.0} MB/s", megabytes / read, megabytes / bare);
    Ok(())
}

/// Seconds that reading `bytes` of a file takes that was just written.
fn raw_read(directory: &TempDir, bytes: u64) -> anyhow::Result<f64> {
    let path = directory.path().join("plain");
    let mut file = File::create_new(&path)?;
    let mut piece = vec![b'x'; 1024 * 1024];
    for _ in 0..bytes.div_ceil(piece.len() as u64) {
        file.write_all(&piece)?;
    }
    let mut file = File::open(&path)?;
    let begun = Instant::now();
    while file.read(&mut piece)? > 0 {}
    Ok(begun.elapsed().as_secs_f64())
}

/// Seconds that `bytes` take from one thread to another over TLS.
fn bare_tls(bytes: u64) -> anyhow::Result<f64> {
    let (of_client, of_server) = bare_configurations()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let sender = thread::spawn(move || -> anyhow::Result<()> {
        let (mut socket, _) = listener.accept()?;
        send_all(&mut socket, ServerConnection::new(of_server)?, bytes)
    });
    let mut client = Client::secure(address, &of_client)?;
    let mut piece = vec![0; 1024 * 1024];
    let (begun, mut received) = (Instant::now(), 0);
    while received < bytes {
        let read = Stream::new(&mut client.tls, &mut client.socket).read(&mut piece)?;
        ensure!(read > 0, "the sender ended early");
        received += read as u64;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    sender.join().map_err(|_| anyhow!("the sender panicked"))??;
    Ok(elapsed)
}

/// A client and a server that trust each other, and nobody else.
fn bare_configurations() -> anyhow::Result<(Arc<ClientConfig>, Arc<ServerConfig>)> {
    let now = Clock::system().now();
    let issuer = Issuer::create("bare", now, Duration::from_secs(24 * 3600))?;
    let pair = issuer.issue_server(&["localhost"], now)?;
    let chain = CertificateDer::pem_slice_iter(pair.chain_pem.as_bytes()).collect::<Result<_, _>>()?;
    let of_server = ServerConfig::builder_with_provider(certs::tls::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes())?)?;
    let of_client = certs::tls::client_config(&issuer.certificate_pem(), None)?;
    Ok((Arc::new(of_client), Arc::new(of_server)))
}

fn send_all(socket: &mut TcpStream, mut tls: ServerConnection, bytes: u64) -> anyhow::Result<()> {
    let piece = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    while sent < bytes {
        Stream::new(&mut tls, socket).write_all(&piece)?;
        sent += piece.len() as u64;
    }
    tls.send_close_notify();
    tls.write_tls(socket)?;
    Ok(())
}
