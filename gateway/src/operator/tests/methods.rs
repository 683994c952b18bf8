use std::future::poll_fn;

use bytes::Bytes;
use model::api::{ErrorBody, ErrorDetail};
use serde_json::json;

use super::check;
use crate::https::test_hub::{Ask, TestHub};
use crate::methods::{DeviceCall, MethodAnswer};
use crate::presence::{Seat, Signal};

async fn refused(hub: &TestHub, ask: Ask, status: u16, code: &str) -> ErrorDetail {
    let answered = check(hub, ask, status, code).await;
    let body: ErrorBody = serde_json::from_slice(&answered.body).expect("an error");
    assert_eq!(body.exception_message, "");
    serde_json::from_str(&body.message).expect("JSON in a string")
}

async fn called(seat: &mut Seat) -> DeviceCall {
    match poll_fn(|cx| seat.poll_signal(cx)).await {
        Signal::Call(call) => *call,
        Signal::Desired(_) => panic!("nothing was desired"),
    }
}

#[tokio::test]
async fn the_device_is_asked_and_its_answer_returned_whatever_its_status() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let mut seat = hub.hub.presence.enter(&"d".parse().expect("an id")).await;
    seat.set_takes_methods(true);
    let cases = [
        (
            r#"{"methodName":"reboot","payload":{"in":[1.50]},"responseTimeoutInSeconds":30}"#,
            r#"{"in":[1.50]}"#,
            500,
            r#"{"ok":false}"#,
            json!({"ok": false}),
        ),
        (r#"{"methodName":"reboot","payload":null,"timeoutInSeconds":30}"#, "null", 200, "", json!(null)),
    ];
    for (request, received, status, payload, shown) in cases {
        let device = async {
            let call = called(&mut seat).await;
            assert_eq!((call.name.as_str(), &call.payload[..]), ("reboot", received.as_bytes()));
            let answer = MethodAnswer { status, payload: Bytes::copy_from_slice(payload.as_bytes()) };
            call.answer.send(Ok(answer)).expect("somebody waits");
        };
        let (answered, ()) = tokio::join!(check(&hub, hub.ask("POST /twins/d/Methods").body(request), 200, ""), device);
        assert_eq!(answered.json(), json!({"status": status, "payload": shown}));
    }
}

#[tokio::test]
async fn a_call_without_an_answer_says_why_in_json_in_a_string() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let ask = |body: &str| hub.ask("POST /twins/d/methods").body(body);
    let offline = refused(&hub, ask(r#"{"methodName":"m"}"#), 404, "DeviceNotOnline").await;
    assert_eq!((offline.error_code, offline.info), (404_103, Some(json!({"timeout": "00:00:00"}))));
    let unknown = refused(&hub, hub.ask("POST /twins/e/methods").body(r#"{"methodName":"m"}"#), 404, "DeviceNotFound").await;
    assert_eq!(unknown.error_code, 404_001);

    let mut seat = hub.hub.presence.enter(&"d".parse().expect("an id")).await;
    refused(&hub, ask(r#"{"methodName":"m"}"#), 404, "DeviceNotOnline").await;
    seat.set_takes_methods(true);
    let gone = async { drop(called(&mut seat).await) };
    let (detail, ()) = tokio::join!(refused(&hub, ask(r#"{"methodName":"m"}"#), 404, "DeviceConnectionClosedRemotely"), gone);
    assert_eq!(detail.error_code, 404_104);
    let garbled = async {
        let call = called(&mut seat).await;
        call.answer.send(Ok(MethodAnswer { status: 200, payload: Bytes::from_static(b"\xFF") })).expect("somebody waits");
    };
    let (detail, ()) = tokio::join!(refused(&hub, ask(r#"{"methodName":"m"}"#), 502, "BadDeviceResponse"), garbled);
    assert_eq!(detail.error_code, 502_001);
    let lengthy = async {
        let call = called(&mut seat).await;
        let payload = Bytes::from(format!("\"{}\"", "x".repeat(128 * 1024)));
        call.answer.send(Ok(MethodAnswer { status: 200, payload })).expect("somebody waits");
    };
    let (detail, ()) = tokio::join!(refused(&hub, ask(r#"{"methodName":"m"}"#), 502, "BadDeviceResponse"), lengthy);
    assert_eq!(detail.error_code, 502_001);

    tokio::time::pause();
    let late = refused(&hub, ask(r#"{"methodName":"m","responseTimeoutInSeconds":5}"#), 504, "GatewayTimeout").await;
    assert_eq!((late.error_code, late.message.as_str()), (504_101, "Timed out waiting for the response from device."));
}

#[tokio::test]
async fn a_call_that_cannot_be_is_refused_before_the_device_is_asked() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let payload = |bytes: usize| format!(r#"{{"methodName":"m","payload":"{}"}}"#, "x".repeat(bytes));
    let name = |name: &str| format!(r#"{{"methodName":"{name}"}}"#);
    let cases = [
        (name("a/b"), 400),
        (name("a b"), 400),
        (name(""), 400),
        (name("é"), 400),
        (name(&"n".repeat(101)), 400),
        (r#"{"methodName":"m","responseTimeoutInSeconds":4}"#.to_owned(), 400),
        (r#"{"methodName":"m","responseTimeoutInSeconds":301}"#.to_owned(), 400),
        (r#"{"methodName":"m","connectTimeoutInSeconds":301}"#.to_owned(), 400),
        (payload(128 * 1024), 413),
    ];
    for (body, status) in cases {
        let code = if status == 413 { "MessageTooLarge" } else { "ArgumentInvalid" };
        refused(&hub, hub.ask("POST /twins/d/methods").body(&body), status, code).await;
    }
    let soon = hub.answer(hub.ask("POST /twins/d/methods").body(r#"{"methodName":"m","responseTimeoutInSeconds":4}"#)).await;
    assert!(soon.text().contains("must lie between 5 and 300 seconds, not at 4"), "{soon:?}");
    check(&hub, hub.ask("POST /twins/d/methods").body(&payload(1024 * 1024)), 413, "MessageTooLarge").await;
    check(&hub, hub.ask("POST /twins/d/methods").body("{}"), 400, "IotHubFormatError").await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_stops_waiting() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let mut seat = hub.hub.presence.enter(&"d".parse().expect("an id")).await;
    seat.set_takes_methods(true);
    let call = tokio::select! {
        _ = hub.answer(hub.ask("POST /twins/d/methods").body(r#"{"methodName":"m"}"#)) => panic!("nobody answered"),
        call = called(&mut seat) => call,
    };
    assert!(call.answer.is_closed());
}

#[tokio::test]
async fn a_module_is_asked_for_itself_and_many_calls_at_once() {
    const CALLS: usize = 40;
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    hub.create_module("d", "m").await;
    let mut seat = hub.hub.presence.enter(&"d/m".parse().expect("an id")).await;
    seat.set_takes_methods(true);
    refused(&hub, hub.ask("POST /twins/d/methods").body(r#"{"methodName":"m"}"#), 404, "DeviceNotOnline").await;
    refused(&hub, hub.ask("POST /twins/d/modules/n/methods").body(r#"{"methodName":"m"}"#), 404, "DeviceNotFound").await;
    let module = async {
        let mut calls = Vec::new();
        for _ in 0..CALLS {
            calls.push(called(&mut seat).await);
        }
        for call in calls.into_iter().rev() {
            let answer = MethodAnswer { status: 200, payload: call.payload };
            call.answer.send(Ok(answer)).expect("somebody waits");
        }
    };
    let callers = futures_util::future::join_all((0..CALLS).map(|number| {
        let ask = hub.ask("POST /twins/d/modules/m/methods").body(&format!(r#"{{"methodName":"echo","payload":{number}}}"#));
        check(&hub, ask, 200, "")
    }));
    let (answers, ()) = tokio::join!(callers, module);
    for (number, answered) in answers.iter().enumerate() {
        assert_eq!(answered.json(), json!({"status": 200, "payload": number}));
    }
}
