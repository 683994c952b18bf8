//! Commands sent to, taken by and completed for 1,000 devices at once, with and without feedback.
//!
//! ```text
//! cargo bench -p twins --bench commands [-- DEVICES]
//! ```

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::api::BulkItem;
use model::{Clock, Identity, Message};
use serde_json::json;
use twins::{Ack, Config, LockOwner, NewCommand, Twins};

const DEVICES: usize = 1_000;
const RUN: Duration = Duration::from_secs(4);

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let devices = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(DEVICES);
    let directory = tempfile::tempdir_in(".")?;
    for (ack, waiting) in [(Ack::None, 0), (Ack::Full, 0), (Ack::None, 40), (Ack::Full, 40)] {
        let database = directory.path().join(format!("{ack}-{waiting}.db"));
        let Measured { rate, cpu } = send_lock_complete(&database, devices, ack, waiting).await?;
        println!("{devices} devices, ack {ack:<4}, {waiting:>2} more waiting in each queue  {rate:>8.0} commands/s, {cpu:.1} µs CPU each");
    }
    Ok(())
}

struct Measured {
    rate: f64,
    cpu: f64,
}

/// Each device's task sends a command, takes the first that waits and completes it, over and over.
async fn send_lock_complete(path: &Path, devices: usize, ack: Ack, waiting: usize) -> Outcome<Measured> {
    let twins = Twins::open(path, Clock::system(), Config::default()).await?;
    create(&twins, devices).await?;
    let identities = (0..devices).map(|number| name(number).parse()).collect::<Result<Vec<Identity>, _>>()?;
    for identity in &identities {
        fill(&twins, identity, ack, waiting).await?;
    }
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (started, cpu) = (Instant::now(), cpu_seconds()?);
    let tasks: Vec<_> = identities
        .into_iter()
        .zip(0..)
        .map(|(identity, owner)| {
            let (twins, stop, count) = (twins.clone(), Arc::clone(&stop), Arc::clone(&count));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    twins.enqueue_command(&identity, command(ack)).await?;
                    for command in twins.lock_commands(&identity, LockOwner(owner), 1).await? {
                        twins.complete_command(&identity, command.lock).await?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Outcome::Ok(())
            })
        })
        .collect();
    tokio::time::sleep(RUN).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    let completed = count.load(Ordering::Relaxed) as f64;
    let measured = Measured { rate: completed / started.elapsed().as_secs_f64(), cpu: (cpu_seconds()? - cpu) * 1e6 / completed };
    twins.close().await;
    Ok(measured)
}

async fn fill(twins: &Twins, identity: &Identity, ack: Ack, commands: usize) -> Outcome<()> {
    let mut sent = Vec::new();
    for _ in 0..commands {
        let (twins, identity) = (twins.clone(), identity.clone());
        sent.push(tokio::spawn(async move { twins.enqueue_command(&identity, command(ack)).await }));
    }
    for enqueued in sent {
        enqueued.await??;
    }
    Ok(())
}

fn command(ack: Ack) -> NewCommand {
    NewCommand { message: Message { body: Bytes::from_static(&[b'x'; 64]), ..Message::default() }, ack, ..NewCommand::default() }
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
