//! Killed at the first, second, third … system call of a kind, until a run comes through.
//!
//! Calls are counted for each thread by itself; what the database and the event log do is
//! therefore also looked at by itself, or the busiest thread would hide the others.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use super::promises::Promises;
use crate::support::hub::{HubProcess, signal_of};
use crate::support::machine::{injecting, missing_for_injection, offers};

const SIGKILL: i32 = 9;

/// Which files' calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Files {
    All,
    Database,
    Log,
    /// Sealed files, spares, and the directory they lie in.
    Sealed,
}

impl Files {
    /// As arguments of the tracer.
    fn arguments(self, data_dir: &Path) -> Vec<OsString> {
        let names: Vec<String> = match self {
            Self::All => Vec::new(),
            Self::Database => ["hub.db", "hub.db-wal", "hub.db-shm"].map(str::to_owned).into(),
            Self::Log => EPOCHS.map(|epoch| format!("log/{epoch:020}.log")).chain(["log".to_owned()]).collect(),
            Self::Sealed => EPOCHS.flat_map(sealed_names).chain(["log".to_owned()]).collect(),
        };
        names.iter().flat_map(|name| ["-P".into(), data_dir.join(name).into_os_string()]).collect()
    }
}

const EPOCHS: RangeInclusive<u64> = 1..=8;

/// What becomes of the segment of `epoch`; the hub's own event hub is 0, `events` is 1.
fn sealed_names(epoch: u64) -> Vec<String> {
    let files = [0, 1].map(|hub| format!("log/{epoch:020}-{hub:010}.sealed"));
    files.into_iter().chain([format!("log/{epoch:020}.spare")]).collect()
}

/// Where a run begins.
struct Origin {
    /// What an earlier hub left; a first start has nothing.
    left: Option<(TempDir, Promises)>,
}

impl Origin {
    /// An empty directory.
    fn nothing() -> Self {
        Self { left: None }
    }

    /// A hub that has done the job and stopped in order.
    async fn stopped() -> Self {
        Self::stopped_with("").await
    }

    /// The same with `more` in its configuration.
    async fn stopped_with(more: &str) -> Self {
        let (scratch, mut hub, promises) = Self::at_work(more).await;
        hub.terminate();
        assert!(hub.wait().success());
        Self { left: Some((scratch, promises)) }
    }

    /// A hub that was killed at work.
    async fn killed() -> Self {
        let (scratch, mut hub, promises) = Self::at_work("").await;
        hub.kill();
        Self { left: Some((scratch, promises)) }
    }

    async fn at_work(more: &str) -> (TempDir, HubProcess, Promises) {
        let scratch = tempfile::tempdir().expect("a directory");
        let data_dir = scratch.path().join("data");
        HubProcess::configure(&data_dir, more);
        let hub = HubProcess::at(&data_dir);
        let mut promises = Promises::none();
        promises.work(&hub).await.expect("the job");
        promises.gather_feedback(&hub).await;
        (scratch, hub, promises)
    }

    /// For runs that are about something else: their number grows with what a job does.
    fn without_settling(mut self) -> Self {
        if let Some((_, promises)) = &mut self.left {
            promises.settles = false;
        }
        self
    }

    /// A directory that a run may change, and what it promises.
    fn copy_to(&self, data_dir: &Path) -> Promises {
        let Some((template, promises)) = &self.left else { return Promises::none() };
        let copied = Command::new("cp").arg("-a").arg(template.path().join("data")).arg(data_dir).status().expect("cp");
        assert!(copied.success());
        promises.copy()
    }
}

/// Kills at every `step`-th of the calls, and checks each time what was promised.
async fn kill_at_each(what: &str, origin: &Origin, calls: &str, files: Files, step: usize) {
    let began = Instant::now();
    for number in (1..5000).step_by(step) {
        let situation = format!("{what}, killed at call {number} of {calls} on {files:?}");
        if !is_killed_at(origin, calls, files, number, &situation).await {
            println!("{what}: {calls} on {files:?}: {} runs, {:.1?}", number.div_ceil(step), began.elapsed());
            return;
        }
    }
    panic!("{what}: no run came through");
}

/// Starts and does the job under the threat of a kill at call `number`; what was promised until
/// then is kept by the next hub. False when the call was never made.
async fn is_killed_at(origin: &Origin, calls: &str, files: Files, number: usize, situation: &str) -> bool {
    let scratch = tempfile::tempdir().expect("a directory");
    let data_dir = scratch.path().join("data");
    let mut promises = origin.copy_to(&data_dir);
    let mut hub = HubProcess::not_started_at(&data_dir);
    let mut wrapper = injecting(&format!("{calls}:signal=SIGKILL:when={number}"));
    wrapper.extend(files.arguments(&data_dir));
    let killed = match hub.try_start(&wrapper) {
        Ok(()) if promises.work(&hub).await.is_some() => None,
        Ok(()) => Some(hub.wait()),
        Err(ended) => Some(ended.status),
    };
    if let Some(status) = killed {
        assert_eq!(signal_of(status), Some(SIGKILL), "{situation}: {}", hub.log());
    }
    hub.kill();
    hub.restart();
    promises.assert_kept(&hub, situation).await;
    killed.is_some()
}

/// What `events` keeps at least in the test of retention.
const RETAINED_BYTES: usize = 4 << 20;

const SYNCS: &str = "fdatasync,fsync";

#[tokio::test]
async fn at_any_sync_of_a_first_start() {
    if offers(missing_for_injection()) {
        for files in [Files::All, Files::Database, Files::Log] {
            kill_at_each("a first start", &Origin::nothing(), SYNCS, files, 1).await;
        }
    }
}

#[tokio::test]
async fn at_any_sync_of_the_database_at_work() {
    if offers(missing_for_injection()) {
        kill_at_each("at work", &Origin::stopped().await, SYNCS, Files::Database, 1).await;
    }
}

#[tokio::test]
async fn at_any_sync_of_the_event_log_at_work() {
    if offers(missing_for_injection()) {
        kill_at_each("at work", &Origin::stopped().await.without_settling(), SYNCS, Files::Log, 1).await;
    }
}

/// The job writes more than a segment holds: the next one is made meanwhile.
#[tokio::test]
async fn at_any_call_that_makes_a_segment() {
    if offers(missing_for_injection()) {
        let mut origin = Origin::stopped().await.without_settling();
        if let Some((_, promises)) = &mut origin.left {
            promises.large = 24;
        }
        kill_at_each("over a segment's end", &origin, SYNCS, Files::All, 1).await;
        kill_at_each("over a segment's end", &origin, "rename,ftruncate,fallocate,unlink", Files::All, 1).await;
    }
}

/// A full segment becomes sealed files, then a spare, then a segment again.
#[tokio::test]
async fn at_any_call_that_seals_a_segment() {
    if offers(missing_for_injection()) {
        let mut origin = Origin::stopped().await.without_settling();
        if let Some((_, promises)) = &mut origin.left {
            promises.large = 24;
        }
        for calls in [SYNCS, "rename,unlink", "pwrite64"] {
            kill_at_each("sealing", &origin, calls, Files::Sealed, 1).await;
        }
    }
}

/// Four segments are filled while the event hub keeps little more than one.
#[tokio::test]
async fn at_any_call_that_retention_makes() {
    if offers(missing_for_injection()) {
        let kept = format!("[[event_hub]]\nname = \"events\"\nretention_bytes = \"{} MiB\"\n", RETAINED_BYTES >> 20);
        let mut origin = Origin::stopped_with(&kept).await.without_settling();
        if let Some((_, promises)) = &mut origin.left {
            promises.large = 84;
            promises.retained_bytes = Some(RETAINED_BYTES);
        }
        for calls in [SYNCS, "rename,unlink"] {
            kill_at_each("retention", &origin, calls, Files::Sealed, 1).await;
        }
    }
}

#[tokio::test]
async fn at_any_sync_of_a_recovery() {
    if offers(missing_for_injection()) {
        let origin = Origin::killed().await;
        for files in [Files::All, Files::Database, Files::Log] {
            kill_at_each("a recovery", &origin, SYNCS, files, 1).await;
        }
    }
}

#[tokio::test]
async fn at_any_change_of_a_directory_or_a_length() {
    if offers(missing_for_injection()) {
        kill_at_each("a first start", &Origin::nothing(), "rename,unlink,ftruncate,fallocate,mkdir", Files::All, 1).await;
        kill_at_each("a recovery", &Origin::killed().await, "rename,unlink,ftruncate,fallocate", Files::All, 1).await;
    }
}

#[tokio::test]
async fn at_any_write() {
    if offers(missing_for_injection()) {
        let origin = Origin::killed().await.without_settling();
        kill_at_each("a recovery", &origin, "pwrite64", Files::Log, 1).await;
        kill_at_each("a recovery", &origin, "pwrite64", Files::Database, 1).await;
    }
}
