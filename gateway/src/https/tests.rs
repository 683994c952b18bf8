//! What only a socket can show: how requests are told apart, bounded and cut off.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::serve;
use super::test_hub::{HOST, TestHub, peer};

mod http2;
mod refusals;

/// Sends `request` and reads until the hub closes, keeping its own side open.
async fn exchange(hub: &TestHub, request: &[u8]) -> String {
    let (mut client, served) = connect(hub);
    client.write_all(request).await.expect("written");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("read");
    served.await.expect("no panic");
    String::from_utf8_lossy(&answer).into_owned()
}

fn connect(hub: &TestHub) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    (client, tokio::spawn(serve(hub.hub.clone(), server, peer())))
}

fn head(hub: &TestHub, line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {}\r\n{headers}\r\n", hub.token(HOST, Some("owner")))
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).map(|rest| rest.get(..3).unwrap_or(rest)).collect()
}

#[tokio::test]
async fn requests_follow_one_another_on_a_connection() {
    let hub = TestHub::open().await;
    let first = head(&hub, "GET /devices", "");
    let last = head(&hub, "GET /devices/d", "Connection: close\r\n");
    let answer = exchange(&hub, format!("{first}{last}").as_bytes()).await;
    assert_eq!(statuses(&answer), ["200", "404"]);
}

#[tokio::test]
async fn bytes_behind_an_ambiguous_length_are_never_read_as_a_request() {
    let hub = TestHub::open().await;
    let smuggled = head(&hub, "DELETE /devices/victim", "");
    hub.create_device("victim").await;
    let cases = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
    ];
    for headers in cases {
        let request = format!("{}0\r\n\r\n{smuggled}", head(&hub, "PUT /devices/d", headers));
        let answer = exchange(&hub, request.as_bytes()).await;
        assert_eq!(statuses(&answer), ["400"], "{headers}: {answer}");
    }
    assert_eq!(hub.answer(hub.ask("GET /devices/victim")).await.status, 200);
}

#[tokio::test]
async fn a_body_announced_too_large_is_refused_before_it_is_sent() {
    let hub = TestHub::open().await;
    let request = head(&hub, "PATCH /twins/d", "Content-Length: 1000000000\r\n");
    let answer = exchange(&hub, request.as_bytes()).await;
    assert_eq!(statuses(&answer), ["413"]);
    assert!(answer.contains("iothub-errorcode: MessageTooLarge"), "{answer}");
}

#[tokio::test]
async fn who_is_refused_while_sending_is_told_so() {
    let hub = TestHub::open().await;
    let request = head(&hub, "PATCH /twins/d", "Content-Length: 4000000\r\nConnection: close\r\n") + &"x".repeat(4_000_000);
    let answer = exchange(&hub, request.as_bytes()).await;
    assert_eq!(statuses(&answer), ["413"], "{answer}");
}

#[tokio::test]
async fn a_head_over_16_kib_is_refused() {
    let hub = TestHub::open().await;
    let request = head(&hub, "GET /devices", &format!("X: {}\r\n", "y".repeat(20_000)));
    assert_eq!(statuses(&exchange(&hub, request.as_bytes()).await), ["431"]);
}

#[tokio::test]
async fn slow_heads_bodies_and_silence_are_cut_off() {
    let hub = TestHub::open().await;
    let body = head(&hub, "PATCH /twins/d", "Content-Length: 10\r\n");
    let cases = [("", &[][..]), ("P", &[]), ("GET /devices HTTP/1.1\r\nHos", &[]), (&body, &["408"])];
    tokio::time::pause();
    for (request, expected) in cases {
        let answer = exchange(&hub, request.as_bytes()).await;
        assert_eq!(statuses(&answer), expected, "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn a_stop_finishes_the_request_under_way() {
    let hub = TestHub::open().await;
    let (mut client, served) = connect(&hub);
    let request = head(&hub, "PUT /devices/d", "Content-Length: 2\r\n");
    client.write_all(request.as_bytes()).await.expect("written");
    tokio::task::yield_now().await;
    hub.hub.drain.begin(Duration::from_secs(10));
    client.write_all(b"{}").await.expect("written");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("read");
    served.await.expect("no panic");
    assert_eq!(statuses(&answer), ["200"]);
}

async fn upgraded(hub: &TestHub, target: &str, protocols: &str) -> String {
    let (mut client, _served) = connect(hub);
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {HOST}:443\r\nOrigin: https://{HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n{protocols}\r\n"
    );
    client.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(client.read_u8().await.expect("a head"));
    }
    String::from_utf8(answer).expect("text").to_ascii_lowercase()
}

#[tokio::test]
async fn a_websocket_is_mqtt_and_nothing_else() {
    let hub = TestHub::open().await;
    for (target, protocols) in [
        ("/$iothub/websocket", "mqtt"),
        ("/$IotHub/WebSocket?iothub-no-client-cert=true", "mqtt"),
        ("/%24iothub/websocket", "mqttv3.1, mqtt"),
    ] {
        let answer = upgraded(&hub, target, &format!("Sec-WebSocket-Protocol: {protocols}\r\n")).await;
        assert_eq!(answer.lines().next(), Some("http/1.1 101 switching protocols"), "{answer}");
        assert!(answer.contains("\r\nsec-websocket-protocol: mqtt\r\n"), "{answer}");
        assert!(answer.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}");
        assert!(!answer.contains("sec-websocket-extensions"), "{answer}");
    }
    for (protocols, status, code) in [
        ("", "400", "argumentinvalid"),
        ("Sec-WebSocket-Protocol: mqttv3.1\r\n", "400", "argumentinvalid"),
        ("Sec-WebSocket-Protocol: AMQPWSB10\r\n", "501", "notimplemented"),
    ] {
        let answer = upgraded(&hub, "/$iothub/websocket", protocols).await;
        assert!(answer.starts_with(&format!("http/1.1 {status} ")) && answer.contains(code), "{answer}");
    }
}

#[tokio::test]
async fn http_2_is_spoken_to_those_who_open_with_it() {
    let hub = TestHub::open().await;
    let (mut client, _served) = connect(&hub);
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("written");
    let mut frame_head = [0; 9];
    client.read_exact(&mut frame_head).await.expect("a frame");
    assert_eq!(frame_head[3], 4, "the hub's first frame holds its settings");
}

/// A request of the device `d` with a token of its own.
fn device_head(hub: &TestHub, line: &str, headers: &str) -> String {
    let token = hub.token(&format!("{HOST}/devices/d"), None);
    format!("{line} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {token}\r\n{headers}\r\n")
}

#[tokio::test]
async fn chunked_messages_of_a_device_follow_one_another_on_a_connection() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let chunked = device_head(&hub, "POST /devices/d/messages/events", "Transfer-Encoding: chunked\r\n");
    let plain = device_head(&hub, "POST /devices/d/messages/events", "Content-Length: 5\r\n");
    let last = device_head(&hub, "GET /devices/d/messages/devicebound", "Connection: close\r\n");
    let requests = format!("{chunked}3\r\none\r\n1;x=y\r\n!\r\n0\r\n\r\n{plain}two!!{chunked}0\r\n\r\n{last}");
    let answer = exchange(&hub, requests.as_bytes()).await;
    assert_eq!(statuses(&answer), ["204", "204", "204", "204"], "{answer}");
    let stored = hub.answer(hub.ask("GET /eventHubs/events/events?from=earliest&follow=false")).await;
    let bodies: Vec<_> =
        stored.text().lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line)["body"].clone()).collect();
    assert_eq!(bodies, ["one!", "two!!", ""]);
}

#[tokio::test]
async fn bodies_of_devices_that_are_endless_slow_or_broken_store_nothing() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let post = |headers: &str| device_head(&hub, "POST /devices/d/messages/events", headers);
    let endless = format!("{}{}", post("Transfer-Encoding: chunked\r\n"), "8000\r\n".to_owned() + &"x".repeat(0x8000) + "\r\n");
    let endless = endless.clone() + &("8000\r\n".to_owned() + &"x".repeat(0x8000) + "\r\n").repeat(8);
    let announced = post("Content-Length: 262145\r\nExpect: 100-continue\r\n");
    let garbled = post("Transfer-Encoding: chunked\r\n") + "zz\r\n";
    let slow = post("Content-Length: 10\r\n") + "123";
    tokio::time::pause();
    for (request, expected) in [(&endless, "413"), (&announced, "413"), (&garbled, "400"), (&slow, "408")] {
        let answer = exchange(&hub, request.as_bytes()).await;
        assert_eq!(statuses(&answer).first(), Some(&expected), "{answer}");
        assert!(!answer.contains("100 Continue"), "{answer}");
    }
    tokio::time::resume();
    assert_eq!(hub.answer(hub.ask("GET /eventHubs/events/events?from=earliest&follow=false")).await.text(), "");
}

#[tokio::test]
async fn more_headers_than_a_head_may_have_are_refused() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let headers: String = (0..101).map(|number| format!("x-{number}: y\r\n")).collect();
    let answer = exchange(&hub, device_head(&hub, "POST /devices/d/messages/events", &headers).as_bytes()).await;
    assert_eq!(statuses(&answer), ["431"], "{answer}");
}

#[tokio::test]
async fn a_device_that_hangs_up_while_it_waits_is_waited_for_no_more() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    for line in ["GET /devices/d/messages/devicebound?wait=300", "GET /devices/d/methods?wait=300"] {
        let (mut client, served) = connect(&hub);
        client.write_all(device_head(&hub, line, "").as_bytes()).await.expect("written");
        while hub.hub.presence.polls().waiting() == 0 {
            tokio::task::yield_now().await;
        }
        drop(client);
        served.await.expect("no panic");
        assert_eq!(hub.hub.presence.polls().waiting(), 0);
    }
}
