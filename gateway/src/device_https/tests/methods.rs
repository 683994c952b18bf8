use model::api::{ErrorBody, ErrorDetail};
use serde_json::json;

use super::devicebound::until_waiting;
use super::{check, hub_with_device};
use crate::https::test_hub::{Answered, TestHub};

const POLL: &str = "GET /methods?wait=300";

/// Calls a method of `identity`.
async fn called(hub: &TestHub, identity: &str, request: &str) -> Answered {
    let path = match identity.split_once('/') {
        None => format!("/twins/{identity}/methods"),
        Some((device, module)) => format!("/twins/{device}/modules/{module}/methods"),
    };
    hub.answer(hub.ask(&format!("POST {path}")).body(request)).await
}

const CALL: &str = r#"{"methodName":"reboot","payload":{"in":3}}"#;

fn refusal(answered: &Answered) -> (u16, u32) {
    let body: ErrorBody = serde_json::from_slice(&answered.body).expect("an error");
    let detail: ErrorDetail = serde_json::from_str(&body.message).expect("JSON in a string");
    (answered.status, detail.error_code)
}

#[tokio::test]
async fn a_call_is_handed_to_the_poll_that_waits_and_its_answer_to_the_caller() {
    let hub = hub_with_device().await;
    for identity in ["d", "d/m"] {
        let device = async {
            let call = check(&hub, hub.ask_as(identity, POLL), 200, "").await;
            assert_eq!(call.header("iothub-methodname"), "reboot");
            assert_eq!((call.header("content-type"), call.text()), ("application/json; charset=utf-8", r#"{"in":3}"#));
            let path = format!("POST /methods/{}?s=-7", call.header("iothub-rid"));
            check(&hub, hub.ask_as(identity, &path).body("{broken"), 400, "IotHubFormatError").await;
            check(&hub, hub.ask_as(identity, &path).body(&"1".repeat(128 * 1024 + 1)), 413, "MessageTooLarge").await;
            check(&hub, hub.ask_as(identity, &path.replace("-7", "high")), 400, "ArgumentInvalid").await;
            check(&hub, hub.ask_as(identity, &path.replace("s=-7", "")), 400, "ArgumentInvalid").await;
            check(&hub, hub.ask_as(identity, &path).body(r#"{"ok":true}"#), 204, "").await;
            check(&hub, hub.ask_as(identity, &path).body(r#"{"ok":true}"#), 404, "ResourceNotFound").await;
        };
        let caller = async {
            until_waiting(&hub, 1).await;
            called(&hub, identity, CALL).await
        };
        let (answered, ()) = tokio::join!(caller, device);
        assert_eq!((answered.status, answered.json()), (200, json!({"status": -7, "payload": {"ok": true}})));
    }
}

#[tokio::test]
async fn who_neither_polls_nor_has_just_polled_is_not_online() {
    let hub = hub_with_device().await;
    assert_eq!(refusal(&called(&hub, "d", CALL).await), (404, 404_103));
    check(&hub, hub.ask_as("d", "GET /methods"), 204, "").await;
    tokio::time::pause();
    assert_eq!(refusal(&called(&hub, "d", CALL).await), (404, 404_103), "not for ever");
    assert_eq!(refusal(&called(&hub, "d/m", CALL).await), (404, 404_103));
}

#[tokio::test]
async fn a_call_that_waits_for_the_device_is_found_by_a_poll_that_does_not() {
    let hub = hub_with_device().await;
    let device = async {
        let call = loop {
            let answered = hub.answer(hub.ask_as("d", "GET /methods")).await;
            if answered.status == 200 {
                break answered;
            }
            tokio::task::yield_now().await;
        };
        check(&hub, hub.ask_as("d", &format!("POST /methods/{}?s=200", call.header("iothub-rid"))), 204, "").await;
    };
    let (answered, ()) = tokio::join!(called(&hub, "d", r#"{"methodName":"m","connectTimeoutInSeconds":300}"#), device);
    assert_eq!((answered.status, answered.json()), (200, json!({"status": 200, "payload": null})));
}

#[tokio::test]
async fn several_calls_are_handed_out_one_a_poll() {
    let hub = hub_with_device().await;
    let device = async {
        let mut handed = Vec::new();
        for _ in 0..3 {
            handed.push(check(&hub, hub.ask_as("d", POLL), 200, "").await);
        }
        // Answered the other way round.
        for call in handed.iter().rev() {
            let path = format!("POST /methods/{}?s=200", call.header("iothub-rid"));
            check(&hub, hub.ask_as("d", &path).body(call.text()), 204, "").await;
        }
    };
    let caller = async |number: u32| {
        until_waiting(&hub, 1).await;
        let request = json!({"methodName": "echo", "payload": number, "connectTimeoutInSeconds": 30});
        called(&hub, "d", &request.to_string()).await.json()["payload"].clone()
    };
    let (first, second, third, ()) = tokio::join!(caller(1), caller(2), caller(3), device);
    assert_eq!([first, second, third], [json!(1), json!(2), json!(3)]);
}

#[tokio::test]
async fn a_device_that_is_gone_before_the_call_is_written_is_reported_as_gone() {
    let hub = hub_with_device().await;
    // The head is made and its body never read: the connection broke.
    let device = async { drop(hub.send(hub.ask_as("d", POLL)).await) };
    let caller = async {
        until_waiting(&hub, 1).await;
        called(&hub, "d", CALL).await
    };
    let (answered, ()) = tokio::join!(caller, device);
    assert_eq!(refusal(&answered), (404, 404_104));
}

#[tokio::test]
async fn an_answer_after_the_caller_has_gone_is_late() {
    let hub = hub_with_device().await;
    let device = async {
        let call = check(&hub, hub.ask_as("d", POLL), 200, "").await;
        call.header("iothub-rid").to_owned()
    };
    let caller = async {
        until_waiting(&hub, 1).await;
        called(&hub, "d", CALL).await
    };
    let rid = tokio::select! {
        rid = device => rid,
        answered = caller => panic!("nobody answered: {answered:?}"),
    };
    check(&hub, hub.ask_as("d", &format!("POST /methods/{rid}?s=200")), 404, "ResourceNotFound").await;
    for unknown in ["0", "x", "methods", &"0".repeat(32)] {
        check(&hub, hub.ask_as("d", &format!("POST /methods/{unknown}?s=200")), 404, "ResourceNotFound").await;
    }
}

#[tokio::test]
async fn a_device_that_stays_silent_is_reported_as_late() {
    let hub = hub_with_device().await;
    let device = async {
        check(&hub, hub.ask_as("d", POLL), 200, "").await;
        tokio::time::pause();
    };
    let caller = async {
        until_waiting(&hub, 1).await;
        called(&hub, "d", r#"{"methodName":"m","responseTimeoutInSeconds":5}"#).await
    };
    let (answered, ()) = tokio::join!(caller, device);
    assert_eq!(refusal(&answered), (504, 504_101));
}

#[tokio::test]
async fn the_answer_to_another_devices_call_is_taken_from_nobody() {
    let hub = hub_with_device().await;
    hub.create_device("other").await;
    let device = async {
        let call = check(&hub, hub.ask_as("d", POLL), 200, "").await;
        let path = format!("POST /methods/{}?s=200", call.header("iothub-rid"));
        check(&hub, hub.ask_as("other", &path).body("1"), 404, "ResourceNotFound").await;
        check(&hub, hub.ask_as("d/m", &path).body("1"), 404, "ResourceNotFound").await;
        check(&hub, hub.ask_as("d", &path).body("2"), 204, "").await;
    };
    let caller = async {
        until_waiting(&hub, 1).await;
        called(&hub, "d", CALL).await
    };
    let (answered, ()) = tokio::join!(caller, device);
    assert_eq!(answered.json()["payload"], 2);
}
