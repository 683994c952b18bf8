//! What is granted to a connection whose requests are refused.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::*;
use crate::listener::{FailureBudget, Peer};

const REFUSALS_MAX: usize = 100;
/// As much as is listened to.
const BODY_BYTES: usize = 8 * 1024 * 1024;

/// A peer from elsewhere, whose address has one failure left.
fn stranger() -> Peer {
    let stranger = Peer { address: "192.0.2.1:9".parse::<SocketAddr>().expect("an address"), ..peer() };
    (0..99).for_each(|_| stranger.charge_failure());
    stranger
}

fn is_allowed(failures: &FailureBudget) -> bool {
    failures.allows("192.0.2.1".parse().expect("an address"), Instant::now())
}

fn request(hub: &TestHub, is_good: bool) -> String {
    let token = if is_good { hub.token(HOST, Some("owner")) } else { "SharedAccessSignature sr=x&sig=x&se=1".to_owned() };
    format!("GET /devices HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {token}\r\n\r\n")
}

/// Asks `times`, each time with the answer before; statuses, empty where the hub had closed.
async fn ask(client: &mut DuplexStream, request: &str, times: usize) -> Vec<String> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        // Who is gone takes nothing.
        let _ = client.write_all(request.as_bytes()).await;
        let mut answer = vec![0; 4096];
        let bytes = client.read(&mut answer).await.expect("read");
        let status = answer.get(9..12).filter(|_| bytes > 12).unwrap_or_default();
        statuses.push(String::from_utf8_lossy(status).into_owned());
    }
    statuses
}

#[tokio::test]
async fn a_connection_of_nothing_but_refusals_is_closed_and_charged() {
    let hub = TestHub::open().await;
    let stranger = stranger();
    let failures = stranger.failures.clone();
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(serve(hub.hub.clone(), server, stranger));
    assert_eq!(ask(&mut client, &request(&hub, false), REFUSALS_MAX - 1).await, ["401"; REFUSALS_MAX - 1]);
    assert!(is_allowed(&failures), "it has been patient until now");
    client.write_all(request(&hub, false).as_bytes()).await.expect("written");
    let mut last = String::new();
    client.read_to_string(&mut last).await.expect("read");
    assert_eq!(statuses(&last), ["401"]);
    assert!(last.contains("\r\nconnection: close\r\n"), "it is told not to go on: {last}");
    served.await.expect("no panic");
    assert!(!is_allowed(&failures));
}

/// Whose token has run out learns of it by a refusal, and others may share the connection.
#[tokio::test]
async fn a_connection_with_good_requests_among_them_goes_on() {
    let hub = TestHub::open().await;
    let stranger = stranger();
    let failures = stranger.failures.clone();
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(serve(hub.hub.clone(), server, stranger));
    for _ in 0..3 {
        assert_eq!(ask(&mut client, &request(&hub, false), REFUSALS_MAX - 1).await, ["401"; REFUSALS_MAX - 1]);
        assert_eq!(ask(&mut client, &request(&hub, true), 1).await, ["200"]);
    }
    drop(client);
    served.await.expect("no panic");
    assert!(is_allowed(&failures));
}

/// What it sends with a token that has just run out is read to its end.
#[tokio::test]
async fn a_stranger_who_sends_on_and_on_is_not_listened_to() {
    let hub = TestHub::open().await;
    let (mut client, served) = connect(&hub);
    let head = format!("POST /devices/d/messages/events HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
    let first = head.clone() + &"x".repeat(BODY_BYTES);
    assert_eq!(ask(&mut client, &first, 1).await, ["401"]);
    client.write_all(head.as_bytes()).await.expect("written");
    let (mut reader, mut writer) = tokio::io::split(client);
    let writing = tokio::spawn(async move {
        let mut written = 0;
        while writer.write_all(&[0; 1000]).await.is_ok() {
            written += 1000;
        }
        written
    });
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.expect("read");
    assert_eq!(statuses(&String::from_utf8_lossy(&answer)), ["401"]);
    served.await.expect("no panic");
    drop(reader);
    // Twice 64 KiB, and what the connection, hyper and its end had taken in by then.
    let written = writing.await.expect("no panic");
    assert!(written < 400_000, "{written}");
}
