use serde_json::json;

use super::check;
use crate::https::test_hub::TestHub;

#[tokio::test]
async fn a_twin_is_read_patched_and_replaced() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let fresh = check(&hub, hub.ask("GET /twins/d"), 200, "").await;
    assert_eq!(fresh.etag(), "\"AAAAAAAAAAE=\"");
    let twin = fresh.json();
    assert_eq!((twin["etag"].as_str(), twin["version"].as_u64()), (Some("AAAAAAAAAAE="), Some(2)));
    assert_eq!(twin["properties"]["desired"]["$version"], 1);

    let patch = r#"{"etag":"ignored","deviceId":"d","tags":{"a":1,"b":2},"properties":{"desired":{"rate":5},"reported":null}}"#;
    let patched = check(&hub, hub.ask("PATCH /Twins/d").if_match(fresh.etag()).body(patch), 200, "").await;
    assert_eq!(patched.json()["tags"], json!({"a": 1, "b": 2}));
    assert_eq!(patched.json()["properties"]["desired"]["rate"], 5);
    assert_ne!(patched.etag(), fresh.etag());
    check(&hub, hub.ask("PATCH /twins/d").if_match(fresh.etag()).body(patch), 412, "PreconditionFailed").await;

    let replaced = check(&hub, hub.ask("PUT /twins/d").if_match("\"*\"").body(r#"{"tags":{"c":3}}"#), 200, "").await;
    assert_eq!(replaced.json()["tags"], json!({"c": 3}));
    assert_eq!(replaced.json()["properties"]["desired"]["rate"], 5, "a section that is absent stays");
}

#[tokio::test]
async fn a_twin_that_breaks_a_rule_is_refused_whole() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let deep = format!("{}1{}", "{\"a\":".repeat(12), "}".repeat(12));
    let nested = format!(r#"{{"tags":{deep}}}"#);
    let bomb = "[".repeat(100_000);
    let text = |length: usize| format!(r#"{{"tags":{{"a":"{}"}}}}"#, "x".repeat(length));
    let wide = format!(r#"{{"tags":{{"a":"{0}","b":"{0}","c":"{0}"}}}}"#, "x".repeat(3000));
    let cases: [(&str, u16, &str); 12] = [
        ("", 400, "IotHubFormatError"),
        ("{\"tags\":", 400, "IotHubFormatError"),
        ("[]", 400, "ArgumentInvalid"),
        (r#"{"tags":[]}"#, 400, "ArgumentInvalid"),
        (r#"{"properties":[]}"#, 400, "ArgumentInvalid"),
        (r#"{"properties":{"reported":{"a":1}}}"#, 400, "ArgumentInvalid"),
        (r#"{"tags":{"a":1,"a":2}}"#, 400, "ArgumentInvalid"),
        (r#"{"tags":{"a.b":1}}"#, 400, "ArgumentInvalid"),
        (&nested, 400, "ArgumentInvalid"),
        (&bomb, 400, "ArgumentInvalid"),
        (&text(5000), 400, "ArgumentInvalid"),
        (&wide, 413, "MessageTooLarge"),
    ];
    for (body, status, code) in cases {
        for method in ["PATCH", "PUT"] {
            check(&hub, hub.ask(&format!("{method} /twins/d")).body(body), status, code).await;
        }
    }
    check(&hub, hub.ask("PATCH /twins/d").body(&text(200_000)), 413, "MessageTooLarge").await;
    assert_eq!(check(&hub, hub.ask("GET /twins/d"), 200, "").await.json()["version"], 2, "nothing changed");
}

#[tokio::test]
async fn twins_of_nobody_are_told_from_twins_of_no_module() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    for method in ["GET", "PATCH", "PUT"] {
        let ask = |path: &str| hub.ask(&format!("{method} {path}")).body("{}");
        check(&hub, ask("/twins/nobody"), 404, "DeviceNotFound").await;
        check(&hub, ask("/twins/nobody/modules/m"), 404, "DeviceNotFound").await;
        check(&hub, ask("/twins/d/modules/m"), 404, "ModuleNotFound").await;
    }
    check(&hub, hub.ask("PUT /devices/d/modules/m").body("{}"), 201, "").await;
    let twin = check(&hub, hub.ask("PATCH /twins/d/modules/m").body(r#"{"properties":{"desired":{"a":1}}}"#), 200, "").await.json();
    assert_eq!((twin["deviceId"].as_str(), twin["moduleId"].as_str()), (Some("d"), Some("m")));
}

#[tokio::test]
async fn a_connected_device_hears_of_its_desired_properties() {
    use crate::presence::Signal;

    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let mut seat = hub.hub.presence.enter(&"d".parse().expect("an id")).await;
    let changes = [
        hub.ask("PATCH /twins/d").body(r#"{"properties":{"desired":{"rate":5}}}"#),
        hub.ask("POST /devices").body(r#"[{"id":"d","importMode":"updateTwin","properties":{"desired":{"rate":6}}}]"#),
    ];
    for (change, rate) in changes.into_iter().zip([5, 6]) {
        assert_eq!(hub.answer(change).await.status, 200);
        match std::future::poll_fn(|cx| seat.poll_signal(cx)).await {
            Signal::Desired(desired) => {
                let body: serde_json::Value = serde_json::from_slice(&desired.body).expect("JSON");
                assert_eq!((body["rate"].as_i64(), body["$version"].as_u64()), (Some(rate), Some(desired.version)));
            }
            Signal::Call(_) => panic!("no method was called"),
        }
    }
}

#[tokio::test]
async fn a_device_hears_of_a_change_whose_author_hung_up() {
    use crate::presence::Signal;

    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let mut seat = hub.hub.presence.enter(&"d".parse().expect("an id")).await;
    let mut asked = Box::pin(hub.send(hub.ask("PATCH /twins/d").body(r#"{"properties":{"desired":{"rate":5}}}"#)));
    // The request is under way and has no answer yet.
    tokio::select! {
        biased;
        _ = &mut asked => panic!("an answer before the commit"),
        () = std::future::ready(()) => {}
    }
    drop(asked);
    let signal = tokio::time::timeout(std::time::Duration::from_secs(10), std::future::poll_fn(|cx| seat.poll_signal(cx))).await;
    assert!(matches!(signal, Ok(Signal::Desired(desired)) if desired.version == 2), "the change was stored, so the device is told");
}

#[tokio::test]
async fn ten_levels_below_a_section_are_allowed_and_eleven_are_not() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    // The section itself is the first of these objects.
    let nested = |levels: usize| "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
    for section in [r#"{"tags":#}"#, r#"{"properties":{"desired":#}}"#] {
        check(&hub, hub.ask("PATCH /twins/d").body(&section.replace('#', &nested(12))), 400, "ArgumentInvalid").await;
        check(&hub, hub.ask("PATCH /twins/d").body(&section.replace('#', &nested(11))), 200, "").await;
    }
    check(&hub, hub.ask("PATCH /twins/d").body(r#"{"tags":{"a":1,"a":2}}"#), 400, "ArgumentInvalid").await;
}
