//! `event …`

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use hubctl::client::EventStart;
use model::{DeviceId, EventHubName, PartitionId, SequenceNumber, Timestamp};

use super::property;

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Only this device's events, its modules' included.
    #[arg(long, value_name = "ID")]
    pub(crate) device: Option<DeviceId>,
    /// The event hub.
    #[arg(long, default_value = "events", value_name = "NAME")]
    pub(crate) hub: EventHubName,
    /// Only this partition.
    #[arg(long, value_name = "N", value_parser = partition)]
    pub(crate) partition: Option<PartitionId>,
    /// Where to begin: earliest, latest, a sequence number or a time like 2026-01-31T12:00:00Z
    /// [default: latest, with --until-end earliest].
    #[arg(long, value_name = "POSITION", value_parser = event_start, allow_hyphen_values = true)]
    pub(crate) from: Option<EventStart>,
    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End at what was stored when the command began, instead of following what arrives.
    #[arg(long)]
    pub(crate) until_end: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EventToSend {
    /// The event hub.
    #[arg(long, default_value = "events", value_name = "NAME")]
    pub(crate) hub: EventHubName,
    /// The partition key: events of one key keep their order.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// The partition; else the key decides, and without one the hub.
    #[arg(long, value_name = "N", value_parser = partition)]
    pub(crate) partition: Option<PartitionId>,
    /// An application property; may be repeated.
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) properties: Vec<(String, String)>,
    /// The body as text.
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    pub(crate) body: Option<String>,
    /// The body from a file, or - for the standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Send each line of the file, or of the standard input, as an event of its own.
    #[arg(long, conflicts_with = "body")]
    pub(crate) lines: bool,
    /// The message id of the event.
    #[arg(long, value_name = "ID", conflicts_with = "lines")]
    pub(crate) message_id: Option<String>,
    /// The media type of the body.
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventVerb {
    /// Print events as they are stored, one a line. A lost connection is resumed without a gap.
    Watch(Watch),
    /// Send an event, or with --lines many. Done when they are on the hub's disk.
    Send(Box<EventToSend>),
}

fn partition(text: &str) -> Result<PartitionId, String> {
    text.parse().map(PartitionId).map_err(|_| String::from("a partition is a number from 0"))
}

fn event_start(text: &str) -> Result<EventStart, String> {
    match text {
        "earliest" => return Ok(EventStart::Earliest),
        "latest" => return Ok(EventStart::Latest),
        _ => {}
    }
    if let Ok(sequence) = i64::from_str(text) {
        return if sequence < 0 {
            Err(String::from("sequence numbers count from 0"))
        } else {
            Ok(EventStart::Sequence(SequenceNumber(sequence)))
        };
    }
    Timestamp::parse_rfc3339(text)
        .map(EventStart::At)
        .map_err(|_| String::from("give earliest, latest, a sequence number or a time like 2026-01-31T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_a_number_or_a_time() {
        assert_eq!(event_start("latest"), Ok(EventStart::Latest));
        assert_eq!(event_start("17"), Ok(EventStart::Sequence(SequenceNumber(17))));
        let moment = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("a time");
        assert_eq!(event_start("2026-01-01T00:00:00Z"), Ok(EventStart::At(moment)));
    }
}
