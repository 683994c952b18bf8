//! Simulated devices in a process of their own, with the ledger of what the hub acknowledged.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::deadline::{SOON, wait_for};
use super::hub::{HubProcess, binary};

/// A fleet that sends for as long as it lives, and writes down each acknowledgement.
pub(crate) struct Fleet {
    process: Child,
    ledger: PathBuf,
}

impl Fleet {
    /// Runs `device-sim` with `options` on `hub`; what it writes lies in `scratch`.
    pub(crate) fn start(hub: &HubProcess, scratch: &Path, options: &[&str]) -> Self {
        let ledger = scratch.join("ledger");
        let mut command = Command::new(binary("device-sim"));
        command.arg("run").args(options).args(["--grace", "10s", "--output", "json"]);
        command.arg("--data-dir").arg(hub.data_dir()).arg("--ledger").arg(&ledger);
        let log = File::create(scratch.join("fleet")).expect("a log");
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("device-sim");
        Self { process, ledger }
    }

    /// Whole lines of the ledger.
    pub(crate) fn acknowledged(&self) -> String {
        let text = fs::read_to_string(&self.ledger).unwrap_or_default();
        let end = text.rfind('\n').map_or(0, |last| last + 1);
        text[..end].to_owned()
    }

    /// Waits until `more` messages beyond those of now are acknowledged.
    pub(crate) fn wait_for_load(&self, more: usize) {
        let loaded = self.acknowledged().lines().count() + more;
        wait_for("load", 2 * SOON, || (self.acknowledged().lines().count() >= loaded).then_some(()));
    }

    /// Lets it finish what it has sent; gives the whole ledger and its report.
    pub(crate) fn stop(mut self) -> (String, Value) {
        let asked = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().expect("kill");
        assert!(asked.success());
        let status = wait_for("the fleet's end", 2 * SOON, || self.process.try_wait().expect("a child of ours"));
        assert!(status.success(), "messages stayed unacknowledged: {status}");
        let mut report = String::new();
        self.process.stdout.take().expect("a pipe").read_to_string(&mut report).expect("a report");
        (fs::read_to_string(&self.ledger).expect("the ledger"), serde_json::from_str(&report).expect("JSON"))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `device-sim verify` says of a ledger and the events that are stored now.
pub(crate) async fn verify(hub: &HubProcess, scratch: &Path, ledger: &str, situation: &str) {
    let path = scratch.join("ledger-before");
    fs::write(&path, ledger).expect("a copy of the ledger");
    let events = hub.service().event_text().await;
    let mut command = Command::new(binary("device-sim"));
    command.args(["verify", "--output", "json", "--ledger"]).arg(&path);
    let mut verifying = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("device-sim");
    verifying.stdin.take().expect("a pipe").write_all(events.as_bytes()).expect("the events");
    let output = verifying.wait_with_output().expect("a verdict");
    let verdict: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(output.status.success(), "{situation}: {verdict:#}");
    assert_eq!(verdict["gaps"], 0, "{situation}: {verdict:#}");
}
