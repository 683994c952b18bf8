//! Twins over MQTT and HTTPS: the errors each side gets, and that nothing changes with them.

use mqtt_proto::Version;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::device::Device;
use crate::support::facts::Facts;
use crate::support::hub::HubProcess;
use crate::support::packets::connect;
use crate::support::service::{Service, twin_path};

const REPORTED: &str = "$iothub/twin/PATCH/properties/reported/?$rid=";

async fn hub_with_device() -> (HubProcess, Service) {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register("dev-1").await;
    (hub, service)
}

async fn listening(hub: &HubProcess, version: Version) -> Device {
    let (mut device, _) = Device::connected_with(hub, &connect(version, "dev-1")).await;
    device.subscribe(&["$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"]).await;
    device
}

fn nested(depth: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))
}

#[tokio::test]
async fn a_device_reads_its_twin_reports_and_hears_of_desired_changes() {
    let (hub, service) = hub_with_device().await;
    let mut device = listening(&hub, Version::V311).await;
    let (topic, body) = device.ask_twin(&format!("{REPORTED}r-1"), r#"{"interval": 5}"#).await.expect("an answer");
    assert_eq!((topic.as_str(), body.len()), ("$iothub/twin/res/204/?$rid=r-1&$version=2", 0));
    service.patch_desired("dev-1", json!({"interval": 9, "gone": null})).await;
    let change = device.expect_publish().await;
    assert_eq!(change.topic, "$iothub/twin/PATCH/properties/desired/?$version=2");
    assert_eq!(serde_json::from_slice::<Value>(&change.payload).expect("JSON"), json!({"interval": 9, "gone": null, "$version": 2}));
    let (topic, body) = device.ask_twin("$iothub/twin/GET/?$rid=r-2", " ").await.expect("an answer");
    assert_eq!(topic, "$iothub/twin/res/200/?$rid=r-2");
    let expected = json!({"desired": {"interval": 9, "$version": 2}, "reported": {"interval": 5, "$version": 2}});
    assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON"), expected);
}

#[tokio::test]
async fn a_reported_patch_that_breaks_a_rule_is_answered_with_status_and_error_code() {
    let (hub, service) = hub_with_device().await;
    for version in [Version::V311, Version::V5] {
        let mut device = listening(&hub, version).await;
        device.ask_twin(&format!("{REPORTED}1"), r#"{"kept": true}"#).await.expect("an answer");
        let before = Facts::of(&service, &["dev-1"]).await;
        let large = format!("{{{}}}", (0..9).map(|number| format!("\"k{number}\":\"{}\"", "x".repeat(4000))).collect::<Vec<_>>().join(","));
        let cases: [(&str, &str, String, u16, u32); 12] = [
            ("no JSON", "", "{\"a\":".into(), 400, 400_004),
            ("not an object", "", "[1]".into(), 400, 400_004),
            ("no body", "", String::new(), 400, 400_004),
            ("no UTF-8 text", "", "\u{0}".into(), 400, 400_004),
            ("a key twice", "", r#"{"a":1,"a":2}"#.into(), 400, 400_004),
            ("too deep", "", nested(12), 400, 400_004),
            ("a bomb of depth", "", nested(5000), 400, 400_004),
            ("a dot in a key", "", r#"{"a.b":1}"#.into(), 400, 400_004),
            ("a number out of bounds", "", r#"{"a":4503599627370496}"#.into(), 400, 400_004),
            ("null in an array", "", r#"{"a":[null]}"#.into(), 400, 400_004),
            ("over 32 KiB", "", large, 413, 413_001),
            ("a stale version", "&$version=1", r#"{"a":1}"#.into(), 412, 412_001),
        ];
        for (case, condition, body, status, code) in cases {
            let (topic, answer) = device.ask_twin(&format!("{REPORTED}r{condition}"), &body).await.expect(case);
            assert_eq!(topic, format!("$iothub/twin/res/{status}/?$rid=r"), "{case}");
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            assert_eq!(answer["errorCode"], code, "{case}: {answer}");
            for field in ["trackingId", "message", "timestampUtc"] {
                assert!(answer[field].as_str().is_some_and(|text| !text.is_empty()), "{case}: {answer}");
            }
            assert_eq!(hub.logged(&[answer["trackingId"].as_str().expect("an id")]), 1, "{case}: one line of the log has the tracking id");
        }
        assert_eq!(Facts::of(&service, &["dev-1"]).await, before);
        device.expect_alive().await;
        device.disconnect().await;
    }
}

#[tokio::test]
async fn a_service_write_that_breaks_a_rule_is_refused_with_its_code_and_changes_nothing() {
    let (_hub, service) = hub_with_device().await;
    service.patch_desired("dev-1", json!({"kept": true})).await;
    let before = Facts::of(&service, &["dev-1"]).await;
    let deep: Value = serde_json::from_str(&nested(12)).expect("JSON");
    let large = json!({"a": "x".repeat(4000), "b": "x".repeat(4000), "c": "x".repeat(4000)});
    let check = async |case: &str, if_match: Option<&str>, body: Value, status: u16, name: &str| {
        for method in [Method::PATCH, Method::PUT] {
            let answer = service.ask(method, &twin_path("dev-1"), if_match, Some(&body)).await;
            assert_eq!(answer.status, status, "{case}: {answer:?}");
            let message = answer.body["Message"].as_str().unwrap_or_default();
            assert!(message.starts_with(&format!("ErrorCode:{name};")), "{case}: {message}");
        }
        assert_eq!(Facts::of(&service, &["dev-1"]).await, before, "{case}");
    };
    let desired = |desired: Value| json!({"properties": {"desired": desired}});
    check("another etag", Some("\"AAAAAAAAAAk=\""), desired(json!({"a": 1})), 412, "PreconditionFailed").await;
    check("reported by the service", Some("*"), json!({"properties": {"reported": {"a": 1}}}), 400, "ArgumentInvalid").await;
    check("too deep", Some("*"), desired(deep), 400, "ArgumentInvalid").await;
    check("tags over 8 KiB", Some("*"), json!({"tags": large}), 413, "MessageTooLarge").await;
    check("a key with a space", Some("*"), desired(json!({"a b": 1})), 400, "ArgumentInvalid").await;
    check("a string over 4 KiB", Some("*"), desired(json!({"a": "x".repeat(4097)})), 400, "ArgumentInvalid").await;
    check("not an object", Some("*"), desired(json!([1])), 400, "ArgumentInvalid").await;
    let unknown = service.ask(Method::PATCH, &twin_path("nobody"), None, Some(&desired(json!({"a": 1})))).await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.body["Message"].as_str().is_some_and(|text| text.starts_with("ErrorCode:DeviceNotFound")), "{unknown:?}");
    let unknown = service.ask(Method::GET, &twin_path("dev-1/m"), None, None).await;
    assert!(unknown.body["Message"].as_str().is_some_and(|text| text.starts_with("ErrorCode:ModuleNotFound")), "{unknown:?}");
}

/// Versions are handed out once: writers with the same etag do not both win.
#[tokio::test]
async fn of_concurrent_writers_with_one_etag_one_wins() {
    let (_hub, service) = hub_with_device().await;
    let etag = service.twin("dev-1").await["etag"].as_str().expect("an etag").to_owned();
    let write = |number: u32| {
        let (service, etag) = (service.clone(), format!("\"{etag}\""));
        async move {
            let body = json!({"properties": {"desired": {"winner": number}}});
            service.ask(Method::PATCH, &twin_path("dev-1"), Some(&etag), Some(&body)).await.status
        }
    };
    let statuses = tokio::join!(write(1), write(2), write(3), write(4));
    let mut statuses = [statuses.0, statuses.1, statuses.2, statuses.3];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412]);
    assert_eq!(service.twin("dev-1").await["properties"]["desired"]["$version"], 2);
}
