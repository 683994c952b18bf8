//! Reading an event hub as a stream of lines, across lost connections.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use model::api::EventLine;
use model::limits::EVENT_BYTES_MAX;
use model::{Clock, DeviceId, EventHubName, PartitionId, SequenceNumber, Timestamp};
use reqwest::{Method, Response};

use super::{ClientError, HubClient, Request, lost};

/// The longest line: an event in base64 with every property escaped.
const LINE_BYTES_MAX: usize = 8 * EVENT_BYTES_MAX;
/// Waits between attempts to resume: doubled from the first to the last.
const RESUME_WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventStart {
    /// With the oldest event.
    Earliest,
    /// With the next one to come.
    Latest,
    /// At a position.
    Sequence(SequenceNumber),
    /// With the first event appended at this time or later.
    At(Timestamp),
}

impl fmt::Display for EventStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::Sequence(sequence) => fmt::Display::fmt(sequence, f),
            Self::At(moment) => fmt::Display::fmt(moment, f),
        }
    }
}

/// What to read.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// The event hub.
    pub hub: EventHubName,
    /// Where to begin.
    pub start: EventStart,
    /// One partition instead of all.
    pub partition: Option<PartitionId>,
    /// One device's events only.
    pub device: Option<DeviceId>,
    /// Go on with what arrives; else end at what was stored when the stream began.
    pub follow: bool,
}

/// A running stream. Lost connections are resumed at the position after the last event read in
/// each partition, so that no event is missed or shown twice.
#[derive(Debug)]
pub struct EventStream<'a> {
    client: &'a HubClient,
    clock: Clock,
    query: EventQuery,
    /// The next position wanted of each partition that an event was read from.
    positions: BTreeMap<PartitionId, SequenceNumber>,
    response: Option<Response>,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line end.
    searched: usize,
    has_begun: bool,
}

/// A line as it came, with its meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedLine {
    /// The JSON text.
    pub text: String,
    /// What it says.
    pub line: EventLine,
}

impl HubClient {
    /// A stream of the events that `query` asks for; it connects with the first read.
    pub fn events(&self, query: EventQuery) -> EventStream<'_> {
        EventStream {
            client: self,
            clock: self.clock.clone(),
            query,
            positions: BTreeMap::new(),
            response: None,
            buffer: BytesMut::new(),
            searched: 0,
            has_begun: false,
        }
    }
}

impl EventStream<'_> {
    /// The next line, or `None` at the end of a stream that does not follow.
    ///
    /// # Errors
    /// A [`ClientError`] when the stream never began, when the hub refuses it, or when a line is
    /// not an event. A connection lost later is resumed, without end.
    pub async fn next(&mut self) -> Result<Option<ReceivedLine>, ClientError> {
        loop {
            if let Some(line) = self.take_line()? {
                self.remember(&line.line);
                return Ok(Some(line));
            }
            match self.read_more().await {
                Ok(true) => {}
                Ok(false) if self.query.follow => self.disconnect(),
                Ok(false) => return Ok(None),
                Err(ClientError::Lost { .. }) if self.has_begun => self.disconnect(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether anything came: false at the end of the answer.
    async fn read_more(&mut self) -> Result<bool, ClientError> {
        let mut response = match self.response.take() {
            Some(response) => response,
            None => self.connect().await?,
        };
        let chunk = response.chunk().await.map_err(|error| lost(&error))?;
        self.response = Some(response);
        if let Some(chunk) = &chunk {
            self.buffer.extend_from_slice(chunk);
        }
        Ok(chunk.is_some())
    }

    /// The rest of a line that was cut off is asked for again.
    fn disconnect(&mut self) {
        self.response = None;
        self.buffer.clear();
        self.searched = 0;
    }

    async fn connect(&mut self) -> Result<Response, ClientError> {
        let mut wait = RESUME_WAITS.0;
        loop {
            let started = self.clock.now();
            match self.client.send(&self.request()).await {
                Ok(response) => {
                    if !self.has_begun && self.query.start == EventStart::Latest {
                        // Partitions still silent at a later resumption must not skip what came meanwhile.
                        self.query.start = EventStart::At(started);
                    }
                    self.has_begun = true;
                    return Ok(response);
                }
                Err(error) if self.has_begun && is_passing(&error) => {
                    tokio::time::sleep(wait).await;
                    wait = RESUME_WAITS.1.min(wait * 2);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn request(&self) -> Request {
        let query = &self.query;
        let mut request = Request::new(Method::GET, &["eventHubs", query.hub.as_str(), "events"])
            .query("from", query.start)
            .query("follow", query.follow)
            .timeout(None);
        if let Some(partition) = query.partition {
            request = request.query("partition", partition);
        }
        if let Some(device) = &query.device {
            request = request.query("device", device);
        }
        for (partition, sequence) in &self.positions {
            request = request.query("position", format!("{partition}:{sequence}"));
        }
        request
    }

    fn take_line(&mut self) -> Result<Option<ReceivedLine>, ClientError> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return if self.searched > LINE_BYTES_MAX { Err(self.not_an_event("a line without end")) } else { Ok(None) };
            };
            let bytes = self.buffer.split_to(self.searched + length + 1);
            self.searched = 0;
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            // The hub may send empty lines to keep a silent stream alive.
            if text.is_empty() {
                continue;
            }
            let line = serde_json::from_str(&text).map_err(|error| self.not_an_event(&error.to_string()))?;
            return Ok(Some(ReceivedLine { text, line }));
        }
    }

    fn not_an_event(&self, reason: &str) -> ClientError {
        ClientError::Unintelligible { what: format!("reading the event hub {}", self.query.hub), reason: reason.to_owned() }
    }

    fn remember(&mut self, line: &EventLine) {
        let (partition, last) = match line {
            EventLine::Event(event) => (event.partition, event.sequence),
            EventLine::Gap(gap) => {
                let [_, last] = gap.gap;
                (gap.partition, last)
            }
        };
        self.positions.insert(partition, last.plus(1));
    }
}

/// Whether a hub that is restarting may answer so.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Lost { .. } => true,
        ClientError::Refused(refusal) => refusal.status == 503 || refusal.status == 429,
        ClientError::Unintelligible { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectOptions;

    fn client() -> HubClient {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ca.pem");
        let clock = Clock::system();
        let ca = certs::issue::Issuer::create("test", clock.now(), Duration::from_secs(60)).expect("a CA");
        std::fs::write(&path, ca.certificate_pem()).expect("written");
        let text = "HostName=localhost;SharedAccessKeyName=p;SharedAccessKey=a2V5";
        let options = ConnectOptions { connection_string: Some(text.into()), ca: Some(path), ..ConnectOptions::default() };
        options.connect(clock).expect("a client")
    }

    fn query() -> EventQuery {
        let hub = "events".parse().expect("a name");
        EventQuery { hub, start: EventStart::Earliest, partition: None, device: None, follow: true }
    }

    fn event(partition: u32, sequence: i64) -> String {
        format!(
            r#"{{"hub":"events","partition":{partition},"sequence":{sequence},"enqueuedTime":"2026-01-01T00:00:00Z","deviceId":"d","moduleId":null,"system":{{}},"properties":{{}},"body":"é"}}"#
        )
    }

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        let (client, text) = (client(), format!("{}\n\n{}\r\n", event(0, 7), event(3, 1)));
        for size in [1, 2, 7, 1000] {
            let mut stream = client.events(query());
            let mut lines = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                stream.buffer.extend_from_slice(chunk);
                while let Some(line) = stream.take_line().expect("an event") {
                    stream.remember(&line.line);
                    lines.push(line.text);
                }
            }
            assert_eq!(lines, [event(0, 7), event(3, 1)], "{size}");
        }
    }

    #[test]
    fn a_lost_connection_is_resumed_after_the_last_event_of_each_partition() {
        let client = client();
        let mut stream = client.events(query());
        let gap = r#"{"hub":"events","partition":1,"gap":[4,9]}"#;
        let text = format!("{}\n{}\n{gap}\n{}", event(0, 7), event(0, 8), event(2, 5));
        stream.buffer.extend_from_slice(text.as_bytes());
        while let Some(line) = stream.take_line().expect("an event") {
            stream.remember(&line.line);
        }
        stream.disconnect();
        let url = stream.request().url("h", 1);
        assert!(url.ends_with("&from=earliest&follow=true&position=0%3A9&position=1%3A10"), "{url}");
    }

    #[test]
    fn what_is_no_event_ends_the_stream() {
        let client = client();
        let mut stream = client.events(query());
        stream.buffer.extend_from_slice(b"{}\n");
        assert!(matches!(stream.take_line(), Err(ClientError::Unintelligible { .. })));
        stream.buffer.extend_from_slice(&vec![b'x'; LINE_BYTES_MAX + 1]);
        assert!(matches!(stream.take_line(), Err(ClientError::Unintelligible { .. })));
    }
}
