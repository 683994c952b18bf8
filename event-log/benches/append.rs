//! The log beside a raw loop of writes and syncs, in one run on one disk: ratios mean more than
//! absolutes. `cargo bench -p event-log`; `BENCH_DIR` names the directory to use.
//!
//! Each log is first brought into its stride: its first segments are new files of zeros, written
//! beside the events, and only then are sealed ones used again. What the log wrote besides events
//! is told with each ratio: the raw loop has none of it, and large batches meet the disk's
//! bandwidth, which sealing shares.
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use event_log::{
    Batch, BatchBuilder, Config, EventHubDefinition, EventLog, HeaderBlock, Origin, RealDisk, Record, Retention, Start, Statistics,
};
use model::partition::PartitionCount;
use model::{Clock, EventHubId, PartitionId, SequenceNumber};

const HUB: EventHubId = EventHubId(1);
const BODY: [u8; 256] = [b'x'; 256];
const RUN: Duration = Duration::from_secs(2);
/// Segments that a log may take to come into its stride.
const WARM_UP_SEGMENTS: u64 = 8;

fn main() {
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(base).expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    println!("one caller, one batch a sync: log beside raw write + fdatasync of the same bytes");
    for records in [1, 16, 64, 256, 1024] {
        one_caller(&runtime, directory.path(), records);
    }
    println!("64 callers, batches of 64 records of 256 B");
    let one = many_callers(&runtime, directory.path(), 1);
    let many = many_callers(&runtime, directory.path(), 1024);
    println!(
        "  1,024 partitions beside one: {:.2} x the CPU a record (bound 1.25), {:.2} x the syncs a second (unchanged: 1)",
        many.cpu_nanoseconds / one.cpu_nanoseconds,
        many.syncs / one.syncs
    );
    seeks(&runtime, directory.path());
}

fn builder() -> (BatchBuilder, HeaderBlock) {
    let headers = HeaderBlock::new().with("iothub-connection-device-id", b"device-0001").with("iothub-connection-auth-method", &[b'a'; 80]);
    (BatchBuilder::new(Clock::system().now()), headers)
}

fn build(builder: &mut BatchBuilder, headers: &HeaderBlock, records: usize) -> Batch {
    let timestamp = Clock::system().now();
    for _ in 0..records {
        builder.push(Record { timestamp, key: Some(b"device-0001"), value: Some(&BODY), headers: &[headers] });
    }
    builder.finish()
}

fn open(directory: &Path, partitions: u32) -> EventLog {
    let partitions = PartitionCount::try_from(partitions).expect("in bounds");
    let retention = Retention::Limits { time: Duration::MAX, bytes: None };
    let hubs = [EventHubDefinition { id: HUB, partitions, retention }];
    let opened = EventLog::open(directory, Arc::new(RealDisk), Config::default(), Clock::system(), &hubs);
    opened.expect("the log opens").0
}

/// Fills segments until one is used again.
fn warm_up(runtime: &tokio::runtime::Runtime, log: &EventLog) {
    let (mut builder, headers) = builder();
    runtime.block_on(async {
        while log.statistics().segments_recycled == 0 && log.statistics().segments < WARM_UP_SEGMENTS {
            append(log, 0, build(&mut builder, &headers, 1024)).await;
        }
    });
}

/// What the log wrote besides commit groups.
fn upkeep(before: &Statistics, after: &Statistics) -> String {
    format!(
        "{} segments zeroed, {} used again, {} sealed with {} MiB",
        after.segments_zeroed - before.segments_zeroed,
        after.segments_recycled - before.segments_recycled,
        after.segments_sealed - before.segments_sealed,
        (after.sealed_bytes - before.sealed_bytes) / 1024 / 1024
    )
}

async fn append(log: &EventLog, partition: u32, batch: Batch) {
    let permit = log.reserve(batch.staged_bytes()).await.expect("open");
    let ticket = log.stage(permit, HUB, PartitionId(partition), batch, Origin::Mqtt).expect("staged");
    ticket.await.expect("durable");
}

/// Syncs a second of a bare loop into a prewritten file.
fn raw_syncs(directory: &Path, bytes: usize) -> f64 {
    let path = directory.join("raw");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).expect("a file");
    let size = 64 * 1024 * 1024;
    file.write_all_at(&vec![0; size], 0).expect("written");
    file.sync_all().expect("synced");
    let bytes = bytes.next_multiple_of(512);
    let group = vec![7; bytes];
    let (mut at, mut syncs, begin) = (0, 0_u32, Instant::now());
    while begin.elapsed() < RUN {
        file.write_all_at(&group, at as u64).expect("written");
        file.sync_data().expect("synced");
        syncs += 1;
        at = if at + 2 * bytes > size { 0 } else { at + bytes };
    }
    f64::from(syncs) / begin.elapsed().as_secs_f64()
}

/// How long single reads take all over the file that [`raw_syncs`] wrote, in order of time.
fn raw_reads(directory: &Path) -> Vec<Duration> {
    let file = File::open(directory.join("raw")).expect("a file");
    let (blocks, mut block) = (file.metadata().expect("a length").len() / 4096, [0; 4096]);
    let mut read = |number: u64| {
        let begin = Instant::now();
        file.read_exact_at(&mut block, number * 7919 % blocks * 4096).expect("read");
        begin.elapsed()
    };
    let mut times: Vec<Duration> = (0..500).map(&mut read).collect();
    times.sort_unstable();
    times
}

fn one_caller(runtime: &tokio::runtime::Runtime, directory: &Path, records: usize) {
    let (mut builder, headers) = builder();
    let bytes = 64 + build(&mut builder, &headers, records).staged_bytes();
    let before = raw_syncs(directory, bytes);
    let log = open(&directory.join(format!("one-{records}")), 4);
    warm_up(runtime, &log);
    let (begin, mut batches, mut building, statistics) = (Instant::now(), 0_u32, Duration::ZERO, log.statistics());
    runtime.block_on(async {
        while begin.elapsed() < RUN {
            // The raw loop builds nothing, so neither counts here.
            let begin = Instant::now();
            let batch = build(&mut builder, &headers, records);
            building += begin.elapsed();
            append(&log, 0, batch).await;
            batches += 1;
        }
    });
    let rate = f64::from(batches) / (begin.elapsed() - building).as_secs_f64();
    let upkeep = upkeep(&statistics, &log.statistics());
    let raw = f64::midpoint(before, raw_syncs(directory, bytes));
    println!(
        "  {records:>5} records, {bytes:>7} B: log {rate:>7.0}/s, raw {raw:>7.0}/s, ratio {:.2} (bound 0.6); {upkeep}; building {:.0} us a batch, not counted",
        rate / raw,
        building.as_secs_f64() * 1e6 / f64::from(batches)
    );
    remove(directory, &format!("one-{records}"), log);
}

fn remove(directory: &Path, name: &str, log: EventLog) {
    drop(log);
    std::fs::remove_dir_all(directory.join(name)).expect("removed");
}

/// What many callers cost.
struct Costs {
    /// A record, over all threads of the process.
    cpu_nanoseconds: f64,
    /// A second.
    syncs: f64,
}

fn many_callers(runtime: &tokio::runtime::Runtime, directory: &Path, partitions: u32) -> Costs {
    let name = format!("many-{partitions}");
    let log = open(&directory.join(&name), partitions);
    warm_up(runtime, &log);
    let records = Arc::new(AtomicU64::new(0));
    let (cpu, before, begin) = (cpu_nanoseconds(), log.statistics(), Instant::now());
    runtime.block_on(async {
        let callers = (0..64_u32).map(|caller| {
            let (log, records) = (log.clone(), Arc::clone(&records));
            tokio::spawn(async move {
                let (mut builder, headers) = builder();
                let mut partition = caller;
                while begin.elapsed() < RUN {
                    append(&log, partition % partitions, build(&mut builder, &headers, 64)).await;
                    partition += 64;
                    records.fetch_add(64, Ordering::Relaxed);
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.expect("no panic");
        }
    });
    let elapsed = begin.elapsed().as_secs_f64();
    let records = records.load(Ordering::Relaxed) as f64;
    let each = (cpu_nanoseconds() - cpu) as f64 / records;
    let after = log.statistics();
    let groups = (after.groups - before.groups) as f64;
    let bytes = (after.bytes_written - before.bytes_written) as f64;
    println!(
        "  {partitions:>5} partitions: {:>8.0} records/s, {:>5.0} syncs/s, {:.0} records a sync, {:.0} B written a record, {:.2} us CPU a record (bound 1.5)",
        records / elapsed,
        (after.syncs - before.syncs) as f64 / elapsed,
        records / groups,
        bytes / records,
        each / 1000.0
    );
    println!("        beside it {}", upkeep(&before, &after));
    remove(directory, &name, log);
    let raw = raw_syncs(directory, (bytes / groups) as usize) * records / groups;
    println!("        raw write + fdatasync of groups as large: {raw:>8.0} records/s, ratio {:.2} (bound 0.6)", records / elapsed / raw);
    Costs { cpu_nanoseconds: each, syncs: (after.syncs - before.syncs) as f64 / elapsed }
}

fn cpu_nanoseconds() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a process has threads");
    let of_task = |path: PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.flatten().map(|task| of_task(task.path())).sum()
}

fn seeks(runtime: &tokio::runtime::Runtime, directory: &Path) {
    const ROUNDS: u32 = 300;
    let log = open(&directory.join("seek"), 1024);
    let (mut builder, headers) = builder();
    runtime.block_on(async {
        for _ in 0..ROUNDS {
            let mut last = None;
            for partition in 0..1024 {
                let batch = build(&mut builder, &headers, 2);
                let permit = log.reserve(batch.staged_bytes()).await.expect("open");
                last = Some(log.stage(permit, HUB, PartitionId(partition), batch, Origin::Mqtt).expect("staged"));
            }
            last.expect("staged").await.expect("durable");
        }
    });
    let mut times: Vec<Duration> = (0..500_u32)
        .map(|number| {
            let (partition, sequence) = (PartitionId(number * 37 % 1024), SequenceNumber(i64::from(number * 7919 % (2 * ROUNDS))));
            let begin = Instant::now();
            let mut reader = log.reader(HUB, partition, Start::Sequence(sequence)).expect("a reader");
            let batches = reader.try_next(1).expect("reads");
            assert!(batches.first().is_some_and(|batch| batch.wanted == sequence));
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    let mebibytes = log.statistics().bytes_written / 1024 / 1024;
    println!("seek in {mebibytes} MiB of 1,024 partitions: p50 {:?}, p99 {:?}, max {:?} (bound 5 ms)", times[250], times[495], times[499]);
    let raw = raw_reads(directory);
    println!("  raw read of 4 KiB somewhere: p50 {:?}, p99 {:?}, max {:?}", raw[250], raw[495], raw[499]);
    log.close();
    let begin = Instant::now();
    let log = open(&directory.join("seek"), 1024);
    println!("opening {mebibytes} MiB: {:?}", begin.elapsed());
    remove(directory, "seek", log);
}
