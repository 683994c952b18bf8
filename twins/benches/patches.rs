//! Twin writes against SQLite at one row a commit, and what the number of devices costs.
//!
//! ```text
//! cargo bench -p twins --bench patches [-- DEVICES]     # 100,000 devices unless given
//! ```

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::api::{BulkItem, TwinPatch, TwinProperties};
use model::{Clock, Identity};
use serde_json::json;
use twins::{Config, IfMatch, Twins};

const CLIENTS: usize = 200;
const RUN: Duration = Duration::from_secs(3);
const POINT_OPERATIONS: usize = 1_000;
const SMALL_FLEET: usize = 10_000;
const GROUP: u32 = 200;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let devices = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let directory = tempfile::tempdir_in(".")?;
    let baseline = one_row_a_commit(&directory.path().join("baseline.db"))?;
    println!("SQLite, WAL, FULL, one row a commit          {baseline:>9.0} rows/s");
    statement_costs(&directory.path().join("statements.db")).await?;
    group_commit(&directory.path().join("group.db"), baseline).await?;
    let small = point_operations(&directory.path().join("small.db"), SMALL_FLEET).await?;
    let large = point_operations(&directory.path().join("large.db"), devices).await?;
    println!(
        "{devices} devices cost, against {SMALL_FLEET}: read × {:.2}, write × {:.2}",
        large.read / small.read,
        large.write / small.write
    );
    Ok(())
}

/// What SQLite does when every patch is its own transaction: the row and the settings are ours.
fn one_row_a_commit(path: &Path) -> Outcome<f64> {
    let connection = rusqlite::Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute("CREATE TABLE twins (identity INTEGER PRIMARY KEY, version INTEGER, reported TEXT)", [])?;
    let mut upsert = connection.prepare(
        "INSERT INTO twins VALUES (?1, 1, ?2) ON CONFLICT (identity) DO UPDATE SET version = version + 1, reported = excluded.reported",
    )?;
    let (started, mut rows) = (Instant::now(), 0_u32);
    while started.elapsed() < RUN {
        upsert.execute(rusqlite::params![rows % 200, patch(u64::from(rows))])?;
        rows += 1;
    }
    Ok(f64::from(rows) / started.elapsed().as_secs_f64())
}

/// The same group of single statements through either library.
async fn statement_costs(path: &Path) -> Outcome<()> {
    use sqlx::ConnectOptions as _;
    const UPSERT: &str = "INSERT OR REPLACE INTO twins VALUES (?1, 1, ?2)";
    let mut connection = rusqlite::Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute("CREATE TABLE twins (identity INTEGER PRIMARY KEY, version INTEGER, reported TEXT)", [])?;
    let transaction = connection.transaction()?;
    let started = Instant::now();
    for row in 0..GROUP {
        transaction.prepare_cached(UPSERT)?.execute(rusqlite::params![row, patch(u64::from(row))])?;
    }
    let rusqlite = started.elapsed() / GROUP;
    transaction.commit()?;
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await?;
    sqlx::query("BEGIN").execute(&mut connection).await?;
    let started = Instant::now();
    for row in 0..GROUP {
        sqlx::query(UPSERT).bind(row).bind(patch(u64::from(row))).execute(&mut connection).await?;
    }
    let sqlx = started.elapsed() / GROUP;
    sqlx::query("COMMIT").execute(&mut connection).await?;
    println!("one upsert of {GROUP} in a transaction: rusqlite {rusqlite:.1?}, sqlx {sqlx:.1?}");
    Ok(())
}

/// About 90 bytes.
fn patch(number: u64) -> String {
    format!(r#"{{"interval":{number},"firmware":{{"version":"1.2.{}","state":"applied"}},"temperature":21.5}}"#, number % 100)
}

async fn group_commit(path: &Path, baseline: f64) -> Outcome<()> {
    let twins = Twins::open(path, Clock::system(), Config::default()).await?;
    create(&twins, CLIENTS).await?;
    for (name, kind) in [("reported", Kind::Reported), ("desired ", Kind::Desired)] {
        let cpu = cpu_seconds()?;
        let patches = patch_from_all(&twins, kind).await?;
        let (rate, cpu) = (patches as f64 / RUN.as_secs_f64(), (cpu_seconds()? - cpu) * 1e6 / patches as f64);
        println!("{CLIENTS} clients, {name} patches                {rate:>9.0} patches/s, × {:.1}, {cpu:.1} µs CPU each", rate / baseline);
    }
    twins.close().await;
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Reported,
    Desired,
}

/// Every client patches its own device, one patch at a time.
async fn patch_from_all(twins: &Twins, kind: Kind) -> Outcome<u64> {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (twins, stop, count) = (twins.clone(), Arc::clone(&stop), Arc::clone(&count));
            tokio::spawn(async move {
                let identity: Identity = name(number).parse()?;
                while !stop.load(Ordering::Relaxed) {
                    write(&twins, &identity, kind, patch(count.load(Ordering::Relaxed))).await?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Outcome::Ok(())
            })
        })
        .collect();
    tokio::time::sleep(RUN).await;
    let patches = count.load(Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await??;
    }
    Ok(patches)
}

async fn write(twins: &Twins, identity: &Identity, kind: Kind, body: String) -> Outcome<()> {
    match kind {
        Kind::Reported => twins.patch_reported(identity, Bytes::from(body), None).await.map(drop)?,
        Kind::Desired => {
            let desired = Some(serde_json::from_str(&body)?);
            let patch = TwinPatch { tags: None, properties: Some(TwinProperties { desired, reported: None }) };
            twins.patch_twin(identity, patch, IfMatch::Any).await.map(drop)?;
        }
    }
    Ok(())
}

/// Mean seconds of one operation.
struct Costs {
    read: f64,
    write: f64,
}

/// Reads and writes spread over all devices, then the time to open.
async fn point_operations(path: &Path, devices: usize) -> Outcome<Costs> {
    let twins = Twins::open(path, Clock::system(), Config::default()).await?;
    let started = Instant::now();
    create(&twins, devices).await?;
    println!("{devices} devices created in {:.1?}", started.elapsed());
    let spread = |step: usize| name(step * 7919 % devices).parse::<Identity>();
    // Once over the same devices, so that the caches are as warm for many as for few.
    for step in 0..POINT_OPERATIONS {
        twins.twin(&spread(step)?).await?;
    }
    let started = Instant::now();
    for step in 0..POINT_OPERATIONS {
        twins.twin(&spread(step)?).await?;
    }
    let read = started.elapsed().as_secs_f64() / POINT_OPERATIONS as f64;
    let started = Instant::now();
    for step in 0..POINT_OPERATIONS {
        twins.patch_reported(&spread(step)?, Bytes::from(patch(step as u64)), None).await?;
    }
    let write = started.elapsed().as_secs_f64() / POINT_OPERATIONS as f64;
    twins.close().await;
    let started = Instant::now();
    Twins::open(path, Clock::system(), Config::default()).await?.close().await;
    println!(
        "{devices} devices: twin read {:.0} µs, reported patch {:.0} µs alone, opened and closed in {:.0?}",
        read * 1e6,
        write * 1e6,
        started.elapsed()
    );
    Ok(Costs { read, write })
}

fn name(number: usize) -> String {
    format!("device-{number:07}")
}

async fn create(twins: &Twins, devices: usize) -> Outcome<()> {
    let numbers: Vec<usize> = (0..devices).collect();
    for hundred in numbers.chunks(100) {
        let item = |number: &usize| {
            let json = json!({"id": name(*number), "importMode": "create", "authentication": {"type": "certificateAuthority"}});
            serde_json::from_value::<BulkItem>(json)
        };
        let result = twins.bulk(hundred.iter().map(item).collect::<Result<_, _>>()?).await?;
        if !result.is_successful {
            return Err(format!("{:?}", result.errors).into());
        }
    }
    Ok(())
}

/// CPU time of this process so far, user and system.
fn cpu_seconds() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    // A tick is a hundredth of a second on every Linux that Rust supports.
    Ok(ticks.iter().sum::<f64>() / 100.0)
}
