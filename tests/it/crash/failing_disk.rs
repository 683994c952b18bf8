//! A disk that fails or is full: nothing more is acknowledged, health turns red, what is stored
//! can be read, and the process lives.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use mqtt_proto::wire::{Packet, QoS};
use reqwest::Method;
use serde_json::json;

use super::kill::Job;
use super::promises::{DEVICE, Promises};
use crate::support::deadline::{SOON, wait_for};
use crate::support::device::Device;
use crate::support::hub::HubProcess;
use crate::support::machine::{SmallDisk, missing_for_attaching, offers};
use crate::support::packets::{publish, telemetry_topic};
use crate::support::service::twin_path;

/// System calls of a running process that fail as long as this lives.
struct Fault {
    tracer: Child,
    traced: u32,
}

impl Fault {
    /// Makes `calls` of every thread fail with EIO.
    fn inject(hub: &HubProcess, calls: &str) -> Self {
        let traced = hub.pid();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:error=EIO"), "-p", &traced.to_string()]);
        let tracer = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace");
        wait_for("a tracer of every thread", SOON, || every_thread(traced, |tracer| tracer != 0).then_some(()));
        Self { tracer, traced }
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        // Asked to end, strace lets go of the process first.
        let _ = Command::new("kill").args(["-TERM", &self.tracer.id().to_string()]).status();
        let _ = self.tracer.wait();
        if !std::thread::panicking() {
            wait_for("the tracer gone", SOON, || every_thread(self.traced, |tracer| tracer == 0).then_some(()));
        }
    }
}

fn every_thread(pid: u32, is: impl Fn(u32) -> bool) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok());
        tracer.is_none_or(&is)
    })
}

/// Connects with a clean session, which ends the one of the job.
async fn clean_device(hub: &HubProcess, promises: &mut Promises) -> Device {
    promises.session_was_cleared();
    Device::connected(hub, DEVICE).await
}

/// Publishes at QoS 1: no acknowledgement comes, the connection ends.
async fn expect_unacknowledged(device: &mut Device, body: &str) {
    device.send(&Packet::Publish(publish(&telemetry_topic(DEVICE), Some(999), body))).await;
    device.expect_closed().await;
}

/// Telemetry stored before can be read, and so can twins.
async fn expect_readable(hub: &HubProcess, promises: &Promises, situation: &str) {
    let service = hub.service();
    promises.ledger.assert_holds(&service.events().await, situation);
    assert_eq!(service.twin(DEVICE).await["properties"]["reported"]["value"], 2, "{situation}");
}

async fn fails_with(calls: &str) {
    let mut hub = HubProcess::start();
    let mut promises = Promises::none();
    promises.work(&hub).await.expect("the job");
    let mut device = clean_device(&hub, &mut promises).await;
    assert_eq!(hub.health(), 200);

    let fault = Fault::inject(&hub, calls);
    expect_unacknowledged(&mut device, "never acknowledged").await;
    assert_eq!(hub.health(), 503, "{calls}");
    let refused = hub.service().ask(Method::PATCH, &twin_path(DEVICE), None, Some(&json!({"tags": {"a": 1}}))).await;
    assert!((500..600).contains(&refused.status), "{calls}: {refused:?}");
    expect_readable(&hub, &promises, calls).await;
    hub.assert_sound();
    drop(fault);

    // A sync that failed may have lost what it was for: that the disk works again changes nothing.
    assert_eq!(hub.health(), 503, "{calls}");
    let refused = hub.service().ask(Method::PATCH, &twin_path(DEVICE), None, Some(&json!({"tags": {"a": 2}}))).await;
    assert!((500..600).contains(&refused.status), "{calls}: {refused:?}");
    hub.kill();
    hub.restart();
    assert_eq!(hub.health(), 200, "{calls}");
    promises.assert_kept(&hub, calls).await;
}

#[tokio::test]
async fn a_failed_sync_is_never_acknowledged() {
    if offers(missing_for_attaching()) {
        fails_with("fdatasync,fsync").await;
    }
}

#[tokio::test]
async fn a_failed_write_is_never_acknowledged() {
    if offers(missing_for_attaching()) {
        fails_with("pwrite64,pwritev,pwritev2").await;
    }
}

/// A device that asks for a change that cannot be stored is told so.
#[tokio::test]
async fn a_reported_patch_that_cannot_be_stored_is_answered_as_failed() {
    if !offers(missing_for_attaching()) {
        return;
    }
    let hub = HubProcess::start();
    let service = hub.service();
    service.register(DEVICE).await;
    let mut device = Device::connected(&hub, DEVICE).await;
    assert_eq!(device.subscribe(&["$iothub/twin/res/#"]).await, [Ok(QoS::AtLeastOnce)]);
    let _fault = Fault::inject(&hub, "fdatasync,fsync");
    let (topic, _) = device.ask_twin("$iothub/twin/PATCH/properties/reported/?$rid=1", r#"{"a":1}"#).await.expect("an answer");
    assert_eq!(topic, "$iothub/twin/res/500/?$rid=1");
    assert_eq!(service.twin(DEVICE).await["properties"]["reported"].get("a"), None);
}

#[tokio::test]
async fn a_full_disk_takes_nothing_that_was_acknowledged() {
    if !offers(SmallDisk::missing()) {
        return;
    }
    let disk = SmallDisk::new(24);
    let data_dir = disk.path().join("data");
    let mut hub = HubProcess::at(&data_dir);
    let mut promises = Promises::none();
    promises.work(&hub).await.expect("the job");
    fill(&mut hub, &mut promises, "a full disk").await;
    hub.kill();
    hub_with_more_room(&data_dir, &mut promises).await;
}

/// A limit of the process, for machines where only root may mount: no file may grow beyond 1 MiB,
/// which the next segment must.
#[tokio::test]
async fn a_limit_on_file_sizes_is_no_reason_to_die() {
    let scratch = tempfile::tempdir().expect("a directory");
    let data_dir = scratch.path().join("data");
    let mut hub = HubProcess::at(&data_dir);
    let mut promises = Promises::none();
    promises.work(&hub).await.expect("the job");
    hub.terminate();
    assert!(hub.wait().success());
    hub.try_start(&["prlimit", "--fsize=1048576"].map(Into::into)).unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log));
    fill(&mut hub, &mut promises, "a limit on file sizes").await;
    hub.kill();
    hub_with_more_room(&data_dir, &mut promises).await;
}

/// Sends until nothing more is acknowledged: health turns red, reading goes on.
async fn fill(hub: &mut HubProcess, promises: &mut Promises, situation: &str) {
    let mut device = clean_device(hub, promises).await;
    let filling: String = "x".repeat(200 * 1024);
    let mut number = 0;
    loop {
        number += 1;
        assert!(number < 200, "40 MB do not fit 24");
        let body = format!("{number} {filling}");
        if device.try_publish(&telemetry_topic(DEVICE), body.as_str()).await.is_none() {
            break;
        }
        promises.ledger.acknowledged(DEVICE, &body);
    }
    println!("{situation}: no more after {number} messages of 200 KiB");
    assert_eq!(hub.health(), 503, "{situation}");
    expect_readable(hub, promises, situation).await;
    hub.assert_sound();
}

/// Moved to a larger disk, the hub goes on.
async fn hub_with_more_room(data_dir: &Path, promises: &mut Promises) {
    let scratch = tempfile::tempdir().expect("a directory");
    let copied = Command::new("cp").arg("-a").arg(data_dir).arg(scratch.path()).status().expect("cp");
    assert!(copied.success());
    let hub = HubProcess::at(&scratch.path().join("data"));
    promises.assert_kept(&hub, "after a full disk").await;
    let mut device = Device::connected(&hub, DEVICE).await;
    device.publish_acknowledged(&telemetry_topic(DEVICE), "there is room").await;
    assert_eq!(hub.health(), 200);
}
