//! The simulated fleet over HTTPS: a device that is judged by the same ledger as one on MQTT.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::deadline::{SOON, wait_until};
use crate::support::fleet::{Fleet, verify};
use crate::support::hub::{HubProcess, binary};

/// Acknowledgements that are waited for at a time.
const LOAD: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_is_read_back_after_a_kill_and_a_restart() {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start();
    // What gathers while the hub is away goes as batches.
    let fleet = Fleet::start(&hub, scratch.path(), &["--devices", "4", "--protocol", "https,mqtt,https", "--rate", "200/s"]);
    fleet.wait_for_load(LOAD);
    hub.kill();
    let before = fleet.acknowledged();
    hub.restart();
    verify(&hub, scratch.path(), &before, "after the kill").await;
    fleet.wait_for_load(LOAD);
    hub.terminate();
    assert!(hub.wait().success(), "{}", hub.log());
    hub.restart();
    fleet.wait_for_load(LOAD);
    let (ledger, report) = fleet.stop();
    verify(&hub, scratch.path(), &ledger, "in the end").await;
    let of = |index: usize| &report["protocols"][index];
    assert_eq!((&of(0)["protocol"], &of(0)["devices"]), (&json!("mqtt"), &json!(1)), "{report:#}");
    assert_eq!((&of(1)["protocol"], &of(1)["devices"]), (&json!("https"), &json!(3)), "{report:#}");
    assert!(of(1)["reconnects"].as_u64() >= Some(6), "twice each: {report:#}");
    assert!(hub.metric("isthmus_messages_acknowledged_total{protocol=\"https\"}") >= 1.0);
}

#[tokio::test]
async fn methods_and_commands_reach_a_device_and_are_settled_as_the_scenario_says() {
    let scratch = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start();
    let service = hub.service();
    let scenario = scratch.path().join("scenario.toml");
    fs::write(&scenario, "commands = \"reject\"\n[[sensor]]\nkind = \"door\"\n").expect("written");
    let scenario = scenario.to_str().expect("text");
    let fleet = Fleet::start(&hub, scratch.path(), &["--devices", "1", "--protocol", "https", "--scenario", scenario]);
    fleet.wait_for_load(1);
    let called =
        service.call("sim-00001", &json!({"methodName": "setInterval", "payload": {"seconds": 0.01}, "connectTimeoutInSeconds": 30})).await;
    assert_eq!((called.status, &called.body), (200, &json!({"status": 200, "payload": {"seconds": 0.01}})));
    for id in ["c-1", "c-2"] {
        service.send_command("sim-00001", id, "anything").await;
    }
    wait_until("settled commands", SOON, || async { service.commands("sim-00001").await.is_empty().then_some(()) }).await;
    let called = service.call("sim-00001", &json!({"methodName": "reboot", "connectTimeoutInSeconds": 30})).await;
    assert_eq!(called.body["payload"], json!({"rebooting": true}));
    let called = service.call("sim-00001", &json!({"methodName": "getStatus", "connectTimeoutInSeconds": 30})).await;
    assert_eq!((called.status, &called.body["payload"]["sensor"]), (200, &json!("door")), "after the reboot");
    let (ledger, report) = fleet.stop();
    verify(&hub, scratch.path(), &ledger, "in the end").await;
    assert_eq!((&report["methodsAnswered"], &report["commandsRejected"]), (&json!(3), &json!(2)), "{report:#}");
    assert_eq!((&report["commandsCompleted"], &report["reconnects"]), (&json!(0), &json!(1)), "{report:#}");
}

#[test]
fn a_second_fleet_of_the_same_devices_is_refused_and_leaves_the_first_alone() {
    let scratch = tempfile::tempdir().expect("a directory");
    let hub = HubProcess::start();
    let fleet = Fleet::start(&hub, scratch.path(), &["--devices", "1", "--rate", "100/s"]);
    fleet.wait_for_load(1);
    let mut second = Command::new(binary("device-sim"));
    let output = second.args(["run", "--devices", "1", "--for", "1s", "--data-dir"]).arg(hub.data_dir()).output().expect("device-sim");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--prefix sim2"), "{said}");
    fleet.wait_for_load(LOAD);
    let (_, report) = fleet.stop();
    assert_eq!(report["reconnects"], 0, "{report:#}");
}
