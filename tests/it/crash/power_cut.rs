//! The power goes while the hub works: what the file system had not been told to keep is gone,
//! and what the hub acknowledged is there.

use std::ffi::OsString;
use std::time::Instant;

use reqwest::Method;

use super::kill::Job;
use super::promises::{DEVICE, Promises};
use crate::support::device::Device;
use crate::support::hub::HubProcess;
use crate::support::machine::{LoopMount, injecting, is_installed, missing_for_injection, offers};
use crate::support::packets::telemetry_topic;
use crate::support::web_device::{Http, WebDevice};

/// Messages on their way when the power goes.
const UNDER_WAY: u16 = 500;

/// A disk with a hub's directory.
struct Machine {
    _scratch: tempfile::TempDir,
    disk: LoopMount,
    hub: HubProcess,
}

impl Machine {
    fn start(kind: &'static str, wrapper: &[OsString]) -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        let disk = LoopMount::new(scratch.path(), kind);
        let mut hub = HubProcess::not_started_at(&disk.path().join("data"));
        hub.try_start(wrapper).unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log));
        Self { _scratch: scratch, disk, hub }
    }

    fn lose_power(&mut self) {
        self.disk.cut_power();
        self.hub.kill();
        self.disk.start_again();
    }
}

/// Loses power three times at work, each time a little later in a stream of messages.
async fn lose_power_on(kind: &'static str) {
    let began = Instant::now();
    let mut machine = Machine::start(kind, &[]);
    let mut promises = Promises::none();
    for round in 1..=3 {
        promises.work(&machine.hub).await.expect("the job");
        let mut device = Device::connected(&machine.hub, DEVICE).await;
        for number in 0..UNDER_WAY {
            let body = format!("under way {round}-{number}");
            let message = crate::support::packets::publish(&telemetry_topic(DEVICE), Some(number + 1), body);
            device.send(&mqtt_proto::wire::Packet::Publish(message)).await;
        }
        for number in 0..100 * round {
            device.expect_puback(number + 1).await;
            promises.ledger.acknowledged(DEVICE, &format!("under way {round}-{number}"));
        }
        // The stream's session was a clean one.
        promises.session_was_cleared();
        machine.lose_power();
        machine.hub.restart();
        promises.assert_kept(&machine.hub, &format!("power cut {round} on {kind}")).await;
    }
    println!("{kind}: 3 power cuts, {} messages, {:.1?}", promises.ledger.len(), began.elapsed());
}

#[tokio::test]
async fn on_ext4_everything_acknowledged_is_there() {
    if offers(LoopMount::missing("ext4")) {
        lose_power_on("ext4").await;
    }
}

#[tokio::test]
async fn on_xfs_everything_acknowledged_is_there() {
    // Not part of every system, unlike ext4.
    if !is_installed("mkfs.xfs") {
        println!("skipped: mkfs.xfs is not installed");
    } else if offers(LoopMount::missing("xfs")) {
        lose_power_on("xfs").await;
    }
}

/// The test of the test: with syncs that do nothing, a power cut takes acknowledged messages away
/// and brings back what was completed.
#[tokio::test]
async fn without_syncs_the_method_sees_the_loss() {
    if !offers(LoopMount::missing("ext4").or(missing_for_injection())) {
        return;
    }
    let mut machine = Machine::start("ext4", &[]);
    let service = machine.hub.service();
    service.register(DEVICE).await;
    service.send_command(DEVICE, "m", "once").await;
    machine.hub.terminate();
    assert!(machine.hub.wait().success());
    machine.hub.try_start(&injecting("fdatasync,fsync:retval=0")).unwrap_or_else(|ended| panic!("{}", ended.log));
    let mut device = Device::connected(&machine.hub, DEVICE).await;
    device.publish_acknowledged(&telemetry_topic(DEVICE), "only in the page cache").await;
    let web = WebDevice::certified(&machine.hub, DEVICE, Http::One);
    let command = web.ask(Method::GET, "/messages/devicebound").await;
    assert_eq!(web.ask(Method::DELETE, &format!("/messages/devicebound/{}", command.lock())).await.status, 204);
    machine.lose_power();
    machine.hub.restart();
    assert_eq!(machine.hub.service().events().await.bodies(DEVICE), [""; 0]);
    assert_eq!(machine.hub.service().commands(DEVICE).await, ["m"]);
}
