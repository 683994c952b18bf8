//! `hubctl event send`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use hubctl::HubClient;
use model::api::{EventPlace, EventRequest};
use model::limits::EVENT_BYTES_MAX;
use serde::Serialize;

use super::command::body;
use super::{note, read_input};
use crate::args::EventToSend;
use crate::exit::Failure;
use crate::output::{Output, Table};

/// Events of one request, by number and by their JSON: what is left to the bound of a request is
/// room for the largest event.
const REQUEST_EVENTS_MAX: usize = 1000;
const REQUEST_BYTES: usize = 1024 * 1024;
/// How often people are told how far it is.
const PROGRESS_EVENTS: u64 = 10_000;

/// What many events came to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    events: u64,
}

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, event: &EventToSend) -> Result<(), Failure> {
    if event.lines {
        return send_lines(hub, output, event).await;
    }
    let bytes = match (&event.body, &event.file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(path)) => read_input(path)?,
        (None, None) => Vec::new(),
    };
    let places = hub.send_events(&event.hub, &[request(event, bytes)]).await?;
    Ok(output.result(&places, |places| overview(places))?)
}

fn overview(places: &[EventPlace]) -> Table {
    let row = |place: &EventPlace| vec![place.partition.to_string(), place.sequence.to_string()];
    Table::rows(&["partition", "sequence"], places.iter().map(row))
}

fn request(event: &EventToSend, bytes: Vec<u8>) -> EventRequest {
    let properties: BTreeMap<_, _> = event.properties.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
    EventRequest {
        body: body(bytes),
        key: event.key.clone(),
        partition: event.partition,
        message_id: event.message_id.clone(),
        correlation_id: None,
        content_type: event.content_type.clone(),
        content_encoding: None,
        properties,
    }
}

/// Sends lines as they come: a request takes what has been read, and waits for no more.
async fn send_lines<W: Write>(hub: &HubClient, output: &mut Output<W>, event: &EventToSend) -> Result<(), Failure> {
    let mut lines = Lines::open(event.file.as_deref())?;
    let mut sent = Sent { events: 0 };
    loop {
        // The connection to the hub lives on while a line is waited for.
        let reading = tokio::task::spawn_blocking(move || {
            let read = lines.read_some();
            (lines, read)
        });
        let (left, read) = reading.await.map_err(|_| Failure::Output(io::Error::other("reading was cut off")))?;
        lines = left;
        let read = read?;
        if read.is_empty() {
            return Ok(output.result(&sent, |sent| Table::fields([("events sent", sent.events.to_string())]))?);
        }
        let events: Vec<_> = read.into_iter().map(|line| request(event, line)).collect();
        for chunk in in_requests(&events) {
            if let Err(error) = hub.send_events(&event.hub, chunk).await {
                note(&format!("{} events were sent before", sent.events));
                return Err(error.into());
            }
            let before = sent.events / PROGRESS_EVENTS;
            sent.events += chunk.len() as u64;
            if sent.events / PROGRESS_EVENTS > before {
                note(&format!("{} events sent", sent.events));
            }
        }
    }
}

/// The events in as many requests as they take.
fn in_requests(events: &[EventRequest]) -> Vec<&[EventRequest]> {
    let mut requests = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, event) in events.iter().enumerate() {
        bytes += serde_json::to_vec(event).map_or(0, |json| json.len());
        if bytes >= REQUEST_BYTES {
            requests.extend(events.get(start..=index));
            (start, bytes) = (index + 1, 0);
        }
    }
    requests.extend(events.get(start..).filter(|rest| !rest.is_empty()));
    requests
}

/// Lines of a file or of the standard input.
struct Lines {
    path: PathBuf,
    reader: BufReader<Box<dyn Read + Send>>,
    number: u64,
}

impl Lines {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let path = path.unwrap_or(Path::new("-")).to_owned();
        let source: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            match File::open(&path) {
                Ok(file) => Box::new(file),
                Err(error) => return Err(Failure::Input { path, reason: error.to_string() }),
            }
        };
        Ok(Self { path, reader: BufReader::with_capacity(64 * 1024, source), number: 0 })
    }

    /// The next line, and those that follow it without waiting; empty lines are none. Nothing at
    /// the end.
    fn read_some(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let mut lines = Vec::new();
        while lines.is_empty() || (lines.len() < REQUEST_EVENTS_MAX && self.reader.buffer().contains(&b'\n')) {
            let mut line = Vec::new();
            // Two bytes more than an event may have: the end of the line, and the proof of too many.
            let mut limited = self.reader.by_ref().take(EVENT_BYTES_MAX as u64 + 2);
            let read = limited.read_until(b'\n', &mut line).map_err(|error| self.failed(&error.to_string()))?;
            if read == 0 {
                break;
            }
            self.number += 1;
            if line.pop_if(|last| *last == b'\n').is_some() {
                line.pop_if(|last| *last == b'\r');
            }
            if line.len() > EVENT_BYTES_MAX {
                return Err(self.failed(&format!("line {} is longer than an event may be, {EVENT_BYTES_MAX} bytes", self.number)));
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        Ok(lines)
    }

    fn failed(&self, reason: &str) -> Failure {
        Failure::Input { path: self.path.clone(), reason: reason.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use model::api::EventBody;

    use super::*;

    fn lines(text: &'static [u8]) -> Lines {
        Lines { path: "-".into(), reader: BufReader::with_capacity(64, Box::new(text)), number: 0 }
    }

    fn all(text: &'static [u8]) -> Vec<Vec<u8>> {
        let mut lines = lines(text);
        let mut all = Vec::new();
        loop {
            let some = lines.read_some().expect("readable");
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }

    #[test]
    fn every_line_is_an_event_and_an_empty_one_is_none() {
        assert_eq!(all(b"a\n\nb\r\n\xFF\nlast"), [b"a".to_vec(), b"b".to_vec(), b"\xFF".to_vec(), b"last".to_vec()]);
        assert!(all(b"").is_empty() && all(b"\n\n").is_empty());
    }

    #[test]
    fn lines_that_are_there_go_together() {
        assert_eq!(lines(b"a\nb\nc\n").read_some().expect("readable").len(), 3);
    }

    #[test]
    fn a_line_that_no_event_can_hold_is_named() {
        let text: &'static [u8] = vec![b'x'; EVENT_BYTES_MAX + 1].leak();
        let failure = lines(text).read_some().map(|lines| lines.len()).expect_err("too long");
        assert!(failure.to_string().contains("line 1 is longer"), "{failure}");
        let fits: &'static [u8] = vec![b'x'; EVENT_BYTES_MAX].leak();
        assert_eq!(all(fits).len(), 1);
    }

    #[test]
    fn requests_are_bounded_in_bytes_and_lose_nothing() {
        let event = |length: usize| EventRequest {
            body: EventBody::Text("x".repeat(length)),
            key: None,
            partition: None,
            message_id: None,
            correlation_id: None,
            content_type: None,
            content_encoding: None,
            properties: BTreeMap::new(),
        };
        let events: Vec<_> = (0..5).map(|_| event(600_000)).collect();
        assert_eq!(in_requests(&events).iter().map(|request| request.len()).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(in_requests(&events[..2]).len(), 1);
        assert!(in_requests(&[]).is_empty());
    }
}
