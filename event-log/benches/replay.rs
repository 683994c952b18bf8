//! Reading a log that lies on disk, beside bare reads of the same bytes: catching up one partition
//! of 32, and opening. `cargo bench -p event-log --bench replay`; `BENCH_DIR` names the directory
//! to use, `BENCH_LOG_BYTES` the size of the log.
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_log::{Batch, BatchBuilder, Config, EventHubDefinition, EventLog, HeaderBlock, Origin, RealDisk, Record, Retention, Start};
use model::partition::PartitionCount;
use model::{Clock, EventHubId, PartitionId};

const HUB: EventHubId = EventHubId(1);
const PARTITIONS: u32 = 32;
const BODY: [u8; 256] = [b'x'; 256];
const BATCH_RECORDS: usize = 64;
const READ_BYTES: usize = 1024 * 1024;
const LOG_BYTES_DEFAULT: u64 = 512 * 1024 * 1024;

fn main() {
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let bytes = std::env::var("BENCH_LOG_BYTES").map_or(LOG_BYTES_DEFAULT, |text| text.parse().expect("a number of bytes"));
    let directory = tempfile::tempdir_in(base).expect("a directory");
    let log = open(directory.path());
    fill(&log, bytes);
    log.close();
    let raw = read_files(directory.path());
    let begin = Instant::now();
    let log = open(directory.path());
    println!("opening {}: {:?} (bound 2 s at 10 GB); bare read of all files {raw:?}", mebibytes(bytes), begin.elapsed());
    for run in ["first", "second"] {
        catch_up(&log, directory.path(), run);
    }
    log.close();
}

fn open(directory: &Path) -> EventLog {
    let partitions = PartitionCount::try_from(PARTITIONS).expect("in bounds");
    let retention = Retention::Limits { time: Duration::MAX, bytes: None };
    let hubs = [EventHubDefinition { id: HUB, partitions, retention }];
    let opened = EventLog::open(directory, Arc::new(RealDisk), Config::default(), Clock::system(), &hubs);
    opened.expect("the log opens").0
}

/// Appends to all partitions in turn until the log has grown by `bytes`.
fn fill(log: &EventLog, bytes: u64) {
    let headers = HeaderBlock::new().with("iothub-connection-device-id", b"device-0001").with("iothub-connection-auth-method", &[b'a'; 80]);
    let mut builder = BatchBuilder::new(Clock::system().now());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        while log.statistics().bytes_written < bytes {
            let mut last = None;
            for partition in 0..PARTITIONS {
                let batch = build(&mut builder, &headers);
                let permit = log.reserve(batch.staged_bytes()).await.expect("open");
                last = Some(log.stage(permit, HUB, PartitionId(partition), batch, Origin::Mqtt).expect("staged"));
            }
            last.expect("staged").await.expect("durable");
        }
    });
}

fn build(builder: &mut BatchBuilder, headers: &HeaderBlock) -> Batch {
    let timestamp = Clock::system().now();
    for _ in 0..BATCH_RECORDS {
        builder.push(Record { timestamp, key: Some(b"device-0001"), value: Some(&BODY), headers: &[headers] });
    }
    builder.finish()
}

/// Reads one partition from its beginning, as a Kafka fetch does, and then its events too.
fn catch_up(log: &EventLog, directory: &Path, run: &str) {
    let (begin, mut bytes, mut events) = (Instant::now(), 0, 0);
    let mut reader = log.reader(HUB, PartitionId(7), Start::Earliest).expect("a reader");
    let mut decoding = Duration::ZERO;
    loop {
        let batches = reader.try_next(READ_BYTES).expect("reads");
        if batches.is_empty() {
            break;
        }
        let begin = Instant::now();
        events += batches.iter().flat_map(|batch| batch.events()).filter(Result::is_ok).count();
        decoding += begin.elapsed();
        bytes += batches.iter().map(|batch| batch.bytes.len() as u64).sum::<u64>();
    }
    let reading = begin.elapsed() - decoding;
    let raw = read_bytes(directory, bytes);
    println!(
        "catching up {} of one partition of {PARTITIONS}, {run} time: {:.0} MiB/s, bare sequential read of as many bytes {:.0} MiB/s, ratio {:.2}; decoding {:.2} us an event",
        mebibytes(bytes),
        rate(bytes, reading),
        rate(bytes, raw),
        raw.as_secs_f64() / reading.as_secs_f64(),
        decoding.as_secs_f64() * 1e6 / events as f64
    );
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / 1024 / 1024)
}

fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1024.0 / 1024.0 / time.as_secs_f64()
}

/// All files below `directory`.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        if entry.path().is_dir() { files.extend(self::files(&entry.path())) } else { files.push(entry.path()) }
    }
    files.sort();
    files
}

fn read_files(directory: &Path) -> Duration {
    read_bytes(directory, u64::MAX)
}

/// How long it takes to read `bytes` from the files of the log, one after the other.
fn read_bytes(directory: &Path, mut bytes: u64) -> Duration {
    let (begin, mut buffer) = (Instant::now(), vec![0; READ_BYTES]);
    for path in files(directory) {
        let (file, mut at) = (File::open(path).expect("a file"), 0);
        while bytes > 0 {
            let wanted = buffer.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            let read = file.read_at(&mut buffer[..wanted], at).expect("read") as u64;
            if read == 0 {
                break;
            }
            at += read;
            bytes -= read;
        }
    }
    begin.elapsed()
}
