//! HTTP/2 frame by frame, as no well-behaved client writes them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

use super::connect;
use crate::https::test_hub::{HOST, TestHub};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// The error of who is asked to hold back.
const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// A client that has said hello.
struct Client {
    reading: ReadHalf<DuplexStream>,
    writing: WriteHalf<DuplexStream>,
    served: JoinHandle<()>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A text of HPACK without Huffman coding (RFC 7541, 5.1 and 5.2).
fn text(value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match value.len().checked_sub(127) {
        None => bytes.push(value.len() as u8),
        Some(mut rest) => {
            bytes.push(127);
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
    }
    bytes.extend(value.as_bytes());
    bytes
}

/// A field that stays out of the table.
fn field(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

/// The block of a request with a token of the device `d`.
fn block(hub: &TestHub, method: &str, path: &str) -> Vec<u8> {
    let token = hub.token(&format!("{HOST}/devices/d"), None);
    let fields = [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", path), ("authorization", &token)];
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

impl Client {
    async fn greeting(hub: &TestHub) -> Self {
        let (client, served) = connect(hub);
        let (reading, mut writing) = tokio::io::split(client);
        writing.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("written");
        writing.write_all(&frame(SETTINGS, 0, 0, &[])).await.expect("written");
        Self { reading, writing, served }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.writing.write_all(bytes).await.expect("written");
    }

    /// The next frame; nothing when the hub has closed.
    async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.reading.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.reading.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind: head[3], flags: head[4], stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload })
    }

    /// The block of the answer on `stream`.
    async fn answer(&mut self, stream: u32) -> Vec<u8> {
        loop {
            let frame = self.frame().await.expect("an answer before the end");
            assert_ne!(frame.kind, GOAWAY, "{frame:?}");
            if frame.kind == HEADERS && frame.stream == stream {
                return frame.payload;
            }
        }
    }

    /// Writes `flood` whether or not the hub still reads it, and gives the error of its goodbye.
    async fn told_off(mut self, flood: Vec<u8>) -> u32 {
        let mut writing = self.writing;
        let flooding = tokio::spawn(async move {
            let _ = writing.write_all(&flood).await;
            writing
        });
        let mut error = None;
        let mut head = [0; 9];
        while self.reading.read_exact(&mut head).await.is_ok() {
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            if self.reading.read_exact(&mut payload).await.is_err() {
                break;
            }
            if head[3] == GOAWAY {
                error = payload.get(4..8).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
            }
        }
        self.served.await.expect("no panic");
        drop(flooding.await);
        error.expect("a goodbye")
    }
}

async fn hub_with_device() -> TestHub {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    hub
}

/// That the hub still takes messages, and has not been hurt.
async fn assert_sound(hub: &TestHub) {
    assert_eq!(hub.answer(hub.ask_as("d", "POST /messages/events").body("still here")).await.status, 204);
    assert_eq!(hub.hub.metrics.panics(), 0);
}

#[tokio::test]
async fn a_device_sends_over_http_2_on_several_streams() {
    let hub = hub_with_device().await;
    let mut client = Client::greeting(&hub).await;
    for stream in [1, 3, 5] {
        client.send(&frame(HEADERS, END_HEADERS, stream, &block(&hub, "POST", "/devices/d/messages/events"))).await;
    }
    for stream in [5, 3, 1] {
        client.send(&frame(DATA, END_STREAM, stream, b"body")).await;
        // `:status: 204` has a number of its own.
        assert_eq!(client.answer(stream).await.first(), Some(&0x89));
    }
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection_and_no_other() {
    let hub = hub_with_device().await;
    let block = block(&hub, "GET", "/devices/d/messages/devicebound?wait=300");
    let flood = (0..2000).flat_map(|number| {
        let stream = 2 * number + 1;
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, &block), frame(RST_STREAM, 0, stream, &CANCEL)].concat()
    });
    let flood = flood.collect();
    assert_eq!(Client::greeting(&hub).await.told_off(flood).await, ENHANCE_YOUR_CALM);
    assert_eq!(hub.hub.presence.polls().waiting(), 0);
    assert_sound(&hub).await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection_and_no_other() {
    let hub = hub_with_device().await;
    let more = field("x-more", &"y".repeat(100));
    let mut flood = frame(HEADERS, END_STREAM, 1, &block(&hub, "GET", "/devices/d/messages/devicebound"));
    (0..20_000).for_each(|_| flood.extend(frame(CONTINUATION, 0, 1, &more)));
    assert_eq!(Client::greeting(&hub).await.told_off(flood).await, ENHANCE_YOUR_CALM);
    assert_sound(&hub).await;
}

#[tokio::test]
async fn a_flood_of_empty_frames_ends_the_connection_and_no_other() {
    let hub = hub_with_device().await;
    let mut flood = frame(HEADERS, END_HEADERS, 1, &block(&hub, "POST", "/devices/d/messages/events"));
    (0..50_000).for_each(|_| flood.extend(frame(DATA, 0, 1, b"")));
    assert_eq!(Client::greeting(&hub).await.told_off(flood).await, ENHANCE_YOUR_CALM);
    assert_sound(&hub).await;
}

#[tokio::test]
async fn a_head_over_16_kib_is_refused_and_the_connection_goes_on() {
    let hub = hub_with_device().await;
    let mut client = Client::greeting(&hub).await;
    let large = [block(&hub, "POST", "/devices/d/messages/events"), field("x-large", &"y".repeat(16_000))].concat();
    let (first, rest) = large.split_at(16_000);
    client.send(&frame(HEADERS, END_STREAM, 1, first)).await;
    client.send(&frame(CONTINUATION, END_HEADERS, 1, rest)).await;
    let refused = client.answer(1).await;
    // `431` in Huffman's code.
    assert!(refused.windows(3).any(|text| text == [0x69, 0x90, 0xff]), "{refused:?}");
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&hub, "POST", "/devices/d/messages/events"))).await;
    assert_eq!(client.answer(3).await.first(), Some(&0x89));
}

#[tokio::test]
async fn no_more_streams_are_served_at_once_than_announced() {
    let hub = hub_with_device().await;
    let mut client = Client::greeting(&hub).await;
    let settings = loop {
        let frame = client.frame().await.expect("settings");
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            break frame;
        }
    };
    let announced = settings.payload.chunks(6).find(|setting| setting[..2] == [0, 3]).expect("a bound of streams");
    assert_eq!(announced[2..], super::super::STREAMS_MAX.to_be_bytes());
    client.send(&frame(SETTINGS, ACK, 0, &[])).await;
    let head = block(&hub, "POST", "/devices/d/messages/events");
    for number in 0..=super::super::STREAMS_MAX {
        client.send(&frame(HEADERS, END_HEADERS, 2 * number + 1, &head)).await;
    }
    let refused = loop {
        let frame = client.frame().await.expect("a refusal");
        if frame.kind == RST_STREAM {
            break frame;
        }
    };
    // REFUSED_STREAM: it may be tried again.
    assert_eq!((refused.stream, refused.payload), (2 * super::super::STREAMS_MAX + 1, vec![0, 0, 0, 7]));
    client.send(&frame(DATA, END_STREAM, 1, b"the first")).await;
    assert_eq!(client.answer(1).await.first(), Some(&0x89));
}

/// It does not answer the ping behind the goodbye, and would go on.
#[tokio::test]
async fn a_client_that_is_refused_too_often_is_shown_out() {
    let hub = hub_with_device().await;
    let mut client = Client::greeting(&hub).await;
    let refused = block(&hub, "GET", "/devices/other/messages/devicebound");
    for stream in (1..199).step_by(2) {
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &refused)).await;
        client.answer(stream).await;
    }
    tokio::time::pause();
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 199, &refused)).await;
    let (mut is_answered, mut is_sent_away) = (false, false);
    while let Some(frame) = client.frame().await {
        is_answered |= frame.kind == HEADERS && frame.stream == 199;
        is_sent_away |= frame.kind == GOAWAY;
    }
    assert!(is_answered && is_sent_away);
    client.served.await.expect("no panic");
}

#[tokio::test]
async fn a_client_that_asks_for_pongs_and_reads_none_is_let_go() {
    let hub = hub_with_device().await;
    let Client { reading, mut writing, served } = Client::greeting(&hub).await;
    let ping = frame(PING, 0, 0, &[7; 8]);
    let flooding = tokio::spawn(async move { while writing.write_all(&ping).await.is_ok() {} });
    tokio::time::pause();
    let unread = tokio::time::timeout(Duration::from_secs(3600), served).await.expect("an end");
    unread.expect("no panic");
    flooding.await.expect("no panic");
    drop(reading);
    tokio::time::resume();
    assert_sound(&hub).await;
}
