//! `hubctl` as an operator types it, against a hub that runs and against none.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::deadline::{SOON, within};
use crate::support::device::Device;
use crate::support::hub::{HubProcess, binary};

/// What a command came to.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    output: String,
    notes: String,
}

fn hubctl(data_dir: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary("hubctl"));
    command.args(arguments).arg("--data-dir").arg(data_dir).env_remove("ISTHMUS_CONNECTION_STRING");
    let ran = command.output().expect("hubctl");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: ran.status.code(), output: text(ran.stdout), notes: text(ran.stderr) }
}

#[tokio::test]
async fn a_certificate_is_issued_for_whom_nobody_registered_and_the_next_step_is_named() {
    let mut hub = HubProcess::start();
    let service = hub.service();
    let data_dir = hub.data_dir().to_owned();
    let issue = |id: &str| {
        let out = data_dir.join("certs");
        let ran = hubctl(&data_dir, &["cert", "issue", id, "--out", out.to_str().expect("text")]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(out.join(format!("{id}.key")).exists(), "{ran:?}");
        ran.notes
    };
    assert_eq!(issue("d"), "hubctl: warning: device d is not registered; `hubctl device create d` registers it\n");
    assert!(issue("d/m").contains("`hubctl device create d && hubctl module create d m`"));
    service.register("d").await;
    assert_eq!(issue("d"), "");
    assert!(issue("d/m").contains("`hubctl module create d m`"));
    service.register("d/m").await;
    assert_eq!(issue("d/m"), "");
    service.register_with("k", json!({"type": "sas"})).await;
    assert!(issue("k").contains("`hubctl device update k --auth ca`"), "a certificate does not let a device with keys in");
    hub.kill();
    assert_eq!(issue("d"), "", "without a hub there is nothing to warn of");
    fs::remove_file(data_dir.join("operator/connection-string")).expect("removed");
    assert_eq!(issue("d"), "");
}

#[tokio::test]
async fn whoever_watches_an_unknown_device_is_warned_and_sees_what_there_is() {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register("d").await;
    Device::connected(&hub, "d").await.publish_acknowledged("devices/d/messages/events/", "kept").await;
    let watch = |id: &str| hubctl(hub.data_dir(), &["event", "watch", "--device", id, "--until-end"]);
    let known = watch("d");
    assert_eq!((known.code, known.notes.as_str()), (Some(0), ""));
    assert!(known.output.ends_with("  d  kept\n"), "{known:?}");
    let unknown = watch("nobody");
    let warning = "hubctl: warning: device nobody is not registered; `hubctl device create nobody` registers it\n";
    assert_eq!((unknown.code, unknown.output.as_str(), unknown.notes.as_str()), (Some(0), "", warning));
    service.delete("d").await;
    let gone = watch("d");
    assert!(gone.output.ends_with("  d  kept\n") && gone.notes.contains("not registered"), "{gone:?}");
}

#[tokio::test]
async fn a_file_that_creates_or_updates_is_imported_as_often_as_one_likes() {
    let hub = HubProcess::start();
    let file = hub.data_dir().join("devices.jsonl");
    let import = |lines: &[serde_json::Value]| {
        fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("written");
        hubctl(hub.data_dir(), &["device", "import", file.to_str().expect("text")])
    };
    let item = |tag: u32| json!({"id": "d", "importMode": "createOrUpdate", "tags": {"round": tag}});
    for round in 0..2 {
        assert_eq!(import(&[item(round)]).code, Some(0));
        assert_eq!(hub.service().twin("d").await["tags"], json!({"round": round}));
    }
    let refused = import(&[item(2), json!({"id": "e", "importMode": "upsert"})]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.output.contains("createOrUpdateIfMatchETag") && refused.notes.contains("1 of 2"), "{refused:?}");
    assert_eq!(hub.service().twin("d").await["tags"], json!({"round": 2}), "each stands alone");
}

#[tokio::test]
async fn an_export_is_created_elsewhere_and_puts_back_what_was_changed() {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register_with("d", json!({"type": "sas"})).await;
    service.register("d/m").await;
    let exported = service.must(reqwest::Method::GET, "/devices/d", None, None).await;
    let file = hub.data_dir().join("registry.jsonl");
    let file = file.to_str().expect("text");
    let run = |arguments: &[&str]| hubctl(hub.data_dir(), &[&["device"], arguments, &[file]].concat());
    assert_eq!(run(&["export"]).code, Some(0));
    let refused = run(&["import"]);
    assert!(refused.code == Some(1) && refused.notes.contains("2 of 2"), "{refused:?}");
    service.delete("d/m").await;
    let changed = hubctl(hub.data_dir(), &["device", "update", "d", "--auth", "ca", "--status", "disabled"]);
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert_eq!(service.must(reqwest::Method::GET, "/devices/d", None, None).await["status"], "disabled");
    let put_back = run(&["import", "--mode", "createOrUpdate"]);
    assert_eq!((put_back.code, put_back.output.as_str()), (Some(0), "operations  2\n"), "{put_back:?}");
    let device = service.must(reqwest::Method::GET, "/devices/d", None, None).await;
    assert_eq!((&device["authentication"], &device["status"]), (&exported["authentication"], &json!("enabled")));
    service.must(reqwest::Method::GET, "/devices/d/modules/m", None, None).await;
}

#[tokio::test]
async fn a_hub_that_is_not_trusted_is_told_from_one_that_does_not_run() {
    let (mut hub, other) = (HubProcess::start(), HubProcess::start());
    for ca in [hub.data_dir().join("operator/device-ca.pem"), other.data_dir().join("trust/ca.pem")] {
        let ca = ca.to_str().expect("text");
        let untrusted = hubctl(hub.data_dir(), &["device", "list", "--ca", ca]);
        assert_eq!(untrusted.code, Some(3), "{untrusted:?}");
        assert!(untrusted.notes.contains(&format!("no CA in {ca} has signed its certificate")), "{untrusted:?}");
        assert!(untrusted.notes.contains("--ca FILE") && !untrusted.notes.contains("running"), "{untrusted:?}");
    }
    hub.kill();
    let stopped = hubctl(hub.data_dir(), &["device", "list"]);
    assert!(stopped.code == Some(3) && stopped.notes.contains("is the hub running?"), "{stopped:?}");
}

#[tokio::test]
async fn a_connection_that_only_keeps_itself_alive_shows_as_active() {
    let hub = HubProcess::start();
    hub.service().register("d").await;
    let mut device = Device::connected(&hub, "d").await;
    let shown = async || hub.service().must(reqwest::Method::GET, "/devices/d", None, None).await;
    let at_first = shown().await;
    assert_eq!(at_first["connectionState"], "Connected");
    let until_active = async {
        loop {
            device.expect_alive().await;
            let now = shown().await;
            assert_eq!(now["connectionStateUpdatedTime"], at_first["connectionStateUpdatedTime"], "it is the same connection");
            if now["lastActivityTime"] != at_first["lastActivityTime"] {
                return;
            }
        }
    };
    within("activity", SOON, until_active).await;
}
