//! Comparing a ledger with what is read back from the hub.

use std::collections::HashMap;
use std::fmt;
use std::io::BufRead;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::api::{EventBody, EventItem, EventLine};
use serde::Serialize;
use thiserror::Error;

use crate::ledger::{BodyHash, LedgerLine, hash};

/// How many missing messages are named one by one.
const NAMED_MAX: usize = 20;

/// Input that is not a stream of events.
#[derive(Debug, Error)]
pub(crate) enum UnreadableEvents {
    #[error("the events cannot be read")]
    Io(#[from] std::io::Error),
    #[error("line {line} of the events is not one")]
    Line { line: usize, source: serde_json::Error },
    #[error("line {line} of the events has a body that is not base64")]
    Body { line: usize },
}

/// What became of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// Lines of the ledger.
    pub(crate) acknowledged: u64,
    /// Those found among the events, in order.
    pub(crate) found: u64,
    /// Events read.
    pub(crate) events: u64,
    /// Ranges of events that the hub reported as lost.
    pub(crate) gaps: u64,
    /// The first message of each device that was not found in its place, at most 20.
    pub(crate) missing: Vec<Missing>,
}

impl Verdict {
    /// Whether everything acknowledged was read back.
    pub(crate) fn holds(&self) -> bool {
        self.found == self.acknowledged
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "acknowledged   {}", self.acknowledged)?;
        writeln!(f, "found          {} among {} events", self.found, self.events)?;
        if self.gaps > 0 {
            writeln!(f, "gaps           {} reported by the hub", self.gaps)?;
        }
        let missing = |missing: &Missing| writeln!(f, "missing        {} number {}", missing.device, missing.number);
        self.missing.iter().try_for_each(missing)
    }
}

/// A message that was acknowledged and is not there, or not in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Missing {
    pub(crate) device: String,
    pub(crate) number: u64,
}

/// A ledger being compared. The lines of a device must be a subsequence of its events: in order,
/// with anything in between, which repetitions are.
#[derive(Debug)]
pub(crate) struct Comparison {
    devices: HashMap<String, Expected>,
    events: u64,
    gaps: u64,
}

#[derive(Debug, Default)]
struct Expected {
    lines: Vec<(u64, BodyHash)>,
    found: usize,
}

impl Comparison {
    pub(crate) fn new(ledger: Vec<LedgerLine>) -> Self {
        let mut devices: HashMap<String, Expected> = HashMap::new();
        for line in ledger {
            devices.entry(line.device).or_default().lines.push((line.number, line.body));
        }
        Self { devices, events: 0, gaps: 0 }
    }

    /// Reads all of `reader`, one event a line.
    pub(crate) fn read(&mut self, reader: impl BufRead) -> Result<(), UnreadableEvents> {
        for (index, text) in reader.lines().enumerate() {
            let (line, text) = (index + 1, text?);
            if text.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(&text).map_err(|source| UnreadableEvents::Line { line, source })? {
                EventLine::Gap(_) => self.gaps += 1,
                EventLine::Event(event) => self.see(&event).ok_or(UnreadableEvents::Body { line })?,
            }
        }
        Ok(())
    }

    /// None when the body cannot be decoded.
    fn see(&mut self, event: &EventItem) -> Option<()> {
        self.events += 1;
        let (Some(device), None) = (&event.device_id, &event.module_id) else { return Some(()) };
        let Some(expected) = self.devices.get_mut(device) else { return Some(()) };
        let body = match &event.body {
            EventBody::Text(text) => hash(text.as_bytes()),
            EventBody::Base64(text) => hash(&STANDARD.decode(text).ok()?),
        };
        if expected.lines.get(expected.found).is_some_and(|(_, next)| *next == body) {
            expected.found += 1;
        }
        Some(())
    }

    /// What was found and what was not.
    pub(crate) fn verdict(&self) -> Verdict {
        let count = |count: fn(&Expected) -> usize| self.devices.values().map(|expected| count(expected) as u64).sum();
        let first_missing = |(device, expected): (&String, &Expected)| {
            let (number, _) = expected.lines.get(expected.found)?;
            Some(Missing { device: device.clone(), number: *number })
        };
        let mut missing: Vec<Missing> = self.devices.iter().filter_map(first_missing).collect();
        missing.sort_by(|a, b| a.device.cmp(&b.device));
        missing.truncate(NAMED_MAX);
        Verdict { acknowledged: count(|e| e.lines.len()), found: count(|e| e.found), events: self.events, gaps: self.gaps, missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ledger: &[(&str, u64, &str)], events: &[(&str, &str)]) -> Verdict {
        let line = |&(device, number, body): &(&str, u64, &str)| LedgerLine { device: device.into(), number, body: hash(body.as_bytes()) };
        let mut comparison = Comparison::new(ledger.iter().map(line).collect());
        let event = |(index, (device, body)): (usize, &(&str, &str))| {
            serde_json::json!({"hub": "events", "partition": 0, "sequence": index, "enqueuedTime": "2026-01-01T00:00:00Z",
                "deviceId": device, "moduleId": null, "system": {}, "properties": {}, "body": body})
            .to_string()
        };
        let text: Vec<String> = events.iter().enumerate().map(event).collect();
        comparison.read(text.join("\n").as_bytes()).expect("events");
        comparison.verdict()
    }

    #[test]
    fn acknowledged_messages_are_found_among_repetitions_and_others() {
        let ledger = [("a", 1, "x"), ("a", 3, "y"), ("b", 1, "x"), ("a", 4, "z")];
        let events = [("a", "x"), ("c", "x"), ("a", "?"), ("a", "y"), ("b", "x"), ("a", "x"), ("a", "y"), ("a", "z")];
        let verdict = check(&ledger, &events);
        assert!(verdict.holds(), "{verdict:?}");
        assert_eq!((verdict.acknowledged, verdict.events), (4, 8));
    }

    #[test]
    fn a_lost_a_changed_and_a_displaced_message_are_named() {
        let ledger = [("a", 1, "x"), ("a", 2, "y")];
        let missing = |events: &[(&str, &str)]| {
            let verdict = check(&ledger, events);
            assert!(!verdict.holds());
            verdict.missing.first().map(|missing| missing.number)
        };
        assert_eq!(missing(&[("a", "x")]), Some(2));
        assert_eq!(missing(&[("a", "x"), ("a", "Y")]), Some(2));
        assert_eq!(missing(&[("a", "y"), ("a", "x")]), Some(2));
        assert_eq!(missing(&[("b", "x"), ("b", "y")]), Some(1));
    }

    #[test]
    fn equal_bodies_must_be_there_as_often_as_acknowledged() {
        let ledger = [("a", 1, "x"), ("a", 2, "x")];
        assert!(!check(&ledger, &[("a", "x")]).holds());
        assert!(check(&ledger, &[("a", "x"), ("a", "x")]).holds());
    }

    #[test]
    fn bodies_in_base64_and_gaps_are_read() {
        let mut comparison = Comparison::new(vec![LedgerLine { device: "a".into(), number: 1, body: hash(&[0xff]) }]);
        let text = concat!(
            r#"{"hub":"events","partition":0,"gap":[3,4]}"#,
            "\n",
            r#"{"hub":"events","partition":0,"sequence":5,"enqueuedTime":"2026-01-01T00:00:00Z","deviceId":"a","moduleId":null,"system":{},"properties":{},"bodyBase64":"/w=="}"#,
        );
        comparison.read(text.as_bytes()).expect("events");
        let verdict = comparison.verdict();
        assert!(verdict.holds());
        assert_eq!((verdict.gaps, verdict.events), (1, 1));
        assert!(comparison.read(&b"nonsense"[..]).is_err());
    }
}
