//! A hub that is killed at the first, second, third … system call of a kind, until a run comes
//! through.
//!
//! Calls are counted for each thread by itself; what the database and the event log do is
//! therefore also looked at by itself, or the busiest thread would hide the others.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::support::hub::{HubProcess, signal_of};
use crate::support::machine::injecting;

const SIGKILL: i32 = 9;

/// What makes durable.
pub(super) const SYNCS: &str = "fdatasync,fsync";

/// Work for a hub, and what it has promised on the way.
pub(super) trait Job {
    /// Does the work as far as the hub goes along; `None` when it went away.
    async fn work(&mut self, hub: &HubProcess) -> Option<()>;

    /// Everything promised is so.
    ///
    /// # Panics
    /// When something is not.
    async fn assert_kept(&mut self, hub: &HubProcess, situation: &str);

    /// The same promises, to be added to in another way.
    fn copy(&self) -> Self;
}

/// Which files' calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
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

/// Where a run begins: a directory that an earlier hub left, if there was one, and what that promised.
pub(super) struct Origin<J> {
    left: Option<TempDir>,
    pub(super) promised: J,
}

impl<J: Job> Origin<J> {
    /// An empty directory.
    pub(super) fn nothing(promised: J) -> Self {
        Self { left: None, promised }
    }

    /// What a hub left that has stopped in order.
    pub(super) fn stopped((scratch, mut hub): (TempDir, HubProcess), promised: J) -> Self {
        hub.terminate();
        assert!(hub.wait().success());
        Self { left: Some(scratch), promised }
    }

    /// What a hub left that was killed.
    pub(super) fn killed((scratch, mut hub): (TempDir, HubProcess), promised: J) -> Self {
        hub.kill();
        Self { left: Some(scratch), promised }
    }

    /// A directory that a run may change, and what it promises.
    fn copy_to(&self, data_dir: &Path) -> J {
        if let Some(template) = &self.left {
            let copied = Command::new("cp").arg("-a").arg(template.path().join("data")).arg(data_dir).status().expect("cp");
            assert!(copied.success());
        }
        self.promised.copy()
    }
}

/// A hub to make an [`Origin`] of, with `more` in its configuration.
pub(super) fn hub_with(more: &str) -> (TempDir, HubProcess) {
    let scratch = tempfile::tempdir().expect("a directory");
    let data_dir = scratch.path().join("data");
    HubProcess::configure(&data_dir, more);
    let hub = HubProcess::at(&data_dir);
    (scratch, hub)
}

/// Kills at every `step`-th of the calls, and checks each time what was promised.
pub(super) async fn kill_at_each<J: Job>(what: &str, origin: &Origin<J>, calls: &str, files: Files, step: usize) {
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
async fn is_killed_at<J: Job>(origin: &Origin<J>, calls: &str, files: Files, number: usize, situation: &str) -> bool {
    let scratch = tempfile::tempdir().expect("a directory");
    let data_dir = scratch.path().join("data");
    let mut job = origin.copy_to(&data_dir);
    let mut hub = HubProcess::not_started_at(&data_dir);
    let mut wrapper = injecting(&format!("{calls}:signal=SIGKILL:when={number}"));
    wrapper.extend(files.arguments(&data_dir));
    let killed = match hub.try_start(&wrapper) {
        Ok(()) if job.work(&hub).await.is_some() => None,
        Ok(()) => Some(hub.wait()),
        Err(ended) => Some(ended.status),
    };
    if let Some(status) = killed {
        assert_eq!(signal_of(status), Some(SIGKILL), "{situation}: {}", hub.log());
    }
    hub.kill();
    hub.restart_elsewhere();
    job.assert_kept(&hub, situation).await;
    killed.is_some()
}
