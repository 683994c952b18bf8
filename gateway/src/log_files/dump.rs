//! The events of `isthmus log dump`, one a line.

use std::io::{self, Write};
use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event_log::{InspectedBatch, LogReport, Origin, StoredEvent};
use serde_json::{Value, json};

use super::names::HubNames;
use crate::args::OutputFormat;

/// Writes events as they are found.
pub(super) struct Dumper<'a> {
    format: OutputFormat,
    names: &'a HubNames,
    out: &'a mut dyn Write,
    /// Batches that verify but cannot be taken apart.
    undecoded: Vec<String>,
}

/// Reports of batches that cannot be taken apart are kept up to this number.
const UNDECODED_MAX: usize = 1000;

impl<'a> Dumper<'a> {
    pub(super) fn new(format: OutputFormat, names: &'a HubNames, out: &'a mut dyn Write) -> Self {
        Self { format, names, out, undecoded: Vec::new() }
    }

    /// Writes a batch's events; breaks off when nobody reads them any more.
    pub(super) fn show(&mut self, found: &InspectedBatch<'_>) -> ControlFlow<()> {
        let hub = self.names.get(found.hub);
        for event in found.batch.events() {
            let written = match (event, self.format) {
                (Ok(event), OutputFormat::Text) => write_text(self.out, found, hub, &event),
                (Ok(event), OutputFormat::Json) => write_json(self.out, found, hub, &event),
                (Err(error), _) => {
                    if self.undecoded.len() < UNDECODED_MAX {
                        self.undecoded.push(format!("{}: at byte {}: {error}", found.path.display(), found.at));
                    }
                    Ok(())
                }
            };
            if written.is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Tells what could not be shown; `true` if nothing but damage was in the way.
    pub(super) fn finish(self, report: &LogReport, faults: &mut dyn Write) -> bool {
        // Nobody is left to tell when this cannot be printed; the exit code still does.
        let _ = self.out.flush();
        for undecoded in &self.undecoded {
            let _ = writeln!(faults, "{undecoded}");
        }
        for damage in &report.damage {
            let _ = writeln!(faults, "{}: at byte {} does not verify: {}", damage.path.display(), damage.at, damage.what);
        }
        for lost in &report.lost {
            let (hub, partition, from, to) = (self.names.label(lost.hub), lost.partition, lost.from, lost.to);
            let _ = writeln!(faults, "hub {hub} partition {partition}: events {from} to {to} are lost");
        }
        self.undecoded.is_empty()
    }
}

fn write_text(out: &mut dyn Write, found: &InspectedBatch<'_>, hub: Option<&str>, event: &StoredEvent) -> io::Result<()> {
    let (path, at, partition, origin) = (found.path.display(), found.at, found.partition, name(found.batch.origin));
    let hub = hub.map_or_else(|| found.hub.0.to_string(), str::to_owned);
    let headers: Vec<_> = event.headers.iter().map(|(name, _)| String::from_utf8_lossy(name).escape_debug().to_string()).collect();
    let key = event.key.as_deref().map_or_else(|| "-".to_owned(), shown);
    let body = event.value.as_deref().map_or_else(|| "-".to_owned(), shown);
    writeln!(
        out,
        "{path}@{at} {hub}/{partition}/{} appended {} record {} {origin} key {key} headers [{}] body {body}",
        event.sequence,
        found.batch.append_time,
        event.timestamp,
        headers.join(" ")
    )
}

/// Text in quotes, anything else in base64.
fn shown(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| format!("base64:{}", STANDARD.encode(bytes)), |text| format!("{text:?}"))
}

fn write_json(out: &mut dyn Write, found: &InspectedBatch<'_>, hub: Option<&str>, event: &StoredEvent) -> io::Result<()> {
    let headers: Vec<_> = event.headers.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
    let mut line = json!({
        "path": found.path.to_string_lossy(),
        "at": found.at,
        "hub": found.hub.0,
        "hubName": hub,
        "partition": found.partition.0,
        "sequence": event.sequence.0,
        "appendTime": found.batch.append_time,
        "recordTime": event.timestamp,
        "origin": name(found.batch.origin),
        "headers": headers,
    });
    put_bytes(&mut line, "key", "keyBase64", event.key.as_deref());
    put_bytes(&mut line, "body", "bodyBase64", event.value.as_deref());
    writeln!(out, "{line}")
}

/// Bytes under `text` where they are UTF-8, else under `base64`; what is absent is null.
fn put_bytes(line: &mut Value, text: &str, base64: &str, bytes: Option<&[u8]>) {
    let (name, value) = match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (text, Value::Null),
        Some((Ok(value), _)) => (text, value.into()),
        Some((Err(_), bytes)) => (base64, STANDARD.encode(bytes).into()),
    };
    if let Some(fields) = line.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn name(origin: Origin) -> &'static str {
    match origin {
        Origin::Mqtt => "mqtt",
        Origin::Https => "https",
        Origin::Amqp => "amqp",
        Origin::Kafka => "kafka",
        Origin::Coap => "coap",
        Origin::Hub => "hub",
    }
}
