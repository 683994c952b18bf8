//! What only a socket can show: how requests are told apart, bounded and cut off.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::serve;
use super::test_hub::{HOST, TestHub, peer};

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
