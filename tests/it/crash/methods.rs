//! Killed while a direct method is under way: its caller hears of an error or of what the device
//! said, never of a success that nobody gave; and the device never gets it again.

use mqtt_proto::Version;
use mqtt_proto::wire::{Packet, Publish};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::deadline::{SOON, wait_until};
use crate::support::device::Device;
use crate::support::hub::HubProcess;
use crate::support::packets::{persistent, publish};
use crate::support::service::Answer;
use crate::support::web_device::{Http, WebDevice, answer, try_answer};

const DEVICE: &str = "dev-1";
const METHODS: &str = "$iothub/methods/POST/#";
const PATH: &str = "/twins/dev-1/methods";

async fn hub_with_device() -> HubProcess {
    let hub = HubProcess::start();
    hub.service().register(DEVICE).await;
    hub
}

/// Calls in the background; `None` when the connection ended without an answer.
fn calling(hub: &HubProcess) -> JoinHandle<Option<Answer>> {
    let service = hub.service();
    let request: Value = json!({"methodName": "once", "connectTimeoutInSeconds": 60, "responseTimeoutInSeconds": 60});
    tokio::spawn(async move { service.try_ask(Method::POST, PATH, None, Some(&request)).await })
}

/// Connects with a session that holds its subscription, as one that was there before does.
async fn listening(hub: &HubProcess) -> Device {
    let (mut device, answer) = Device::connected_with(hub, &persistent(Version::V311, DEVICE)).await;
    if !answer.session_present {
        device.subscribe(&[METHODS]).await;
    }
    device
}

/// The next call that reaches the device is a new one.
async fn assert_not_repeated(hub: &HubProcess) {
    let mut device = listening(hub).await;
    device.expect_alive().await;
    let call = calling(hub);
    let request = next_call(&mut device).await;
    respond(&mut device, &request, "201").await;
    assert_eq!(call.await.expect("no panic").expect("an answer").body["status"], 201);
    let web = WebDevice::certified(hub, DEVICE, Http::One);
    assert_eq!(web.ask(Method::GET, "/methods").await.status, 204, "nothing is left for a device that polls");
}

async fn next_call(device: &mut Device) -> Publish {
    let call = device.expect_publish().await;
    assert!(call.topic.starts_with("$iothub/methods/POST/once/"), "{}", call.topic);
    call
}

async fn respond(device: &mut Device, call: &Publish, status: &str) {
    let rid = call.topic.rsplit_once('=').expect("a rid").1;
    device.send(&Packet::Publish(publish(&format!("$iothub/methods/res/{status}/?$rid={rid}"), None, "{}"))).await;
}

#[tokio::test]
async fn a_call_that_a_device_on_mqtt_has_ends_in_an_error_and_is_not_repeated() {
    let mut hub = hub_with_device().await;
    let mut device = listening(&hub).await;
    let call = calling(&hub);
    let lost = next_call(&mut device).await;
    hub.kill();
    assert!(call.await.expect("no panic").is_none());
    hub.restart();
    let mut device = listening(&hub).await;
    // What is answered now is nobody's any more, and no answer to a call to come.
    respond(&mut device, &lost, "200").await;
    device.disconnect().await;
    assert_not_repeated(&hub).await;
}

#[tokio::test]
async fn a_call_that_a_device_on_https_has_ends_in_an_error_and_is_not_repeated() {
    let mut hub = hub_with_device().await;
    let call = calling(&hub);
    let device = WebDevice::certified(&hub, DEVICE, Http::One);
    let lost = device.ask(Method::GET, "/methods?wait=30").await;
    assert_eq!(lost.status, 200);
    hub.kill();
    assert!(call.await.expect("no panic").is_none());
    hub.restart();
    let device = WebDevice::certified(&hub, DEVICE, Http::One);
    let late = device.request(Method::POST, &format!("/methods/{}?s=200", lost.header("iothub-rid")));
    assert_eq!(answer(late).await.status, 404);
    assert_not_repeated(&hub).await;
}

#[tokio::test]
async fn a_call_that_waits_for_its_device_ends_in_an_error_and_reaches_nobody() {
    let mut hub = hub_with_device().await;
    listening(&hub).await.disconnect().await;
    let call = calling(&hub);
    wait_until("the call at the hub", SOON, || async { (hub.metric("isthmus_methods_under_way") == 1.0).then_some(()) }).await;
    hub.kill();
    assert!(call.await.expect("no panic").is_none());
    hub.restart();
    assert_not_repeated(&hub).await;
}

/// The answer and the end of the hub meet, and which of them wins is the machine's affair: neither
/// is demanded here. What is shown is that nothing else comes out of it. That a call ends in either
/// way alone is shown by the tests above, and at their ends by the call that is not disturbed.
#[tokio::test]
async fn an_answer_on_its_way_reaches_the_caller_as_it_is_or_not_at_all() {
    let mut hub = hub_with_device().await;
    let mut reached = 0;
    for _ in 0..10 {
        let mut device = listening(&hub).await;
        let call = calling(&hub);
        let request = next_call(&mut device).await;
        respond(&mut device, &request, "207").await;
        hub.kill();
        reached += assert_as_given(call.await.expect("no panic"));
        hub.restart();
    }
    for _ in 0..10 {
        let call = calling(&hub);
        let device = WebDevice::certified(&hub, DEVICE, Http::One);
        let request = device.ask(Method::GET, "/methods?wait=30").await;
        let response = device.request(Method::POST, &format!("/methods/{}?s=207", request.header("iothub-rid")));
        let responding = tokio::spawn(try_answer(response));
        tokio::task::yield_now().await;
        hub.kill();
        let (taken, answered) = (responding.await.expect("no panic"), call.await.expect("no panic"));
        assert!(taken.as_ref().is_none_or(|taken| taken.status == 204), "{taken:?}");
        reached += assert_as_given(answered);
        hub.restart();
    }
    println!("{reached} of 20 answers reached their caller");
    assert_not_repeated(&hub).await;
}

/// What the device said, or nothing; how many answers that is.
fn assert_as_given(answered: Option<Answer>) -> usize {
    if let Some(answered) = &answered {
        assert_eq!((answered.status, &answered.body["status"]), (200, &json!(207)), "{answered:?}");
    }
    answered.into_iter().count()
}
