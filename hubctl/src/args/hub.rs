//! `hub …`

use std::time::Duration;

use clap::{Args, Subcommand};
use model::event_hub::checked_message_bytes_max;
use model::limits::RETENTION_TIME_DEFAULT;
use model::partition::PartitionCount;
use model::{EventHubName, EventHubRights, PolicyName, Retention};

use super::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum HubVerb {
    /// Create an event hub.
    Create {
        /// Its name.
        name: EventHubName,
        /// How many partitions it has, for ever [default: 4].
        #[arg(long, value_name = "N", value_parser = partitions)]
        partitions: Option<PartitionCount>,
        #[command(flatten)]
        settings: HubSettings,
    },
    /// List the event hubs.
    List,
    /// Show an event hub and where its partitions stand.
    Show {
        /// Its name.
        name: EventHubName,
    },
    /// Change how long an event hub keeps its events, or how large they may be.
    Update {
        /// Its name.
        name: EventHubName,
        #[command(flatten)]
        change: HubChange,
    },
    /// Delete an event hub with its events and policies; ends the connections that came by those.
    Delete {
        /// Its name.
        name: EventHubName,
    },
    /// Show how many events are kept, and with --interval how many arrive.
    Statistics {
        /// Only this event hub.
        name: Option<EventHubName>,
        /// Count what arrives in so much time.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        interval: Option<Duration>,
    },
    /// List consumer groups, who reads, and how far they are behind.
    Groups {
        /// Only what concerns this event hub.
        name: Option<EventHubName>,
    },
    /// Policies of an event hub: keys for those who send to it or read it.
    #[command(subcommand)]
    Policy(PolicyVerb),
}

#[derive(Debug, Args)]
pub(crate) struct HubSettings {
    /// How long events are kept, like 7days or 12h: 1m to 3650days [default: 7days].
    #[arg(long, value_name = "DURATION", value_parser = retention_time)]
    pub(crate) retention: Option<Duration>,
    /// How many bytes of events are kept, over all partitions, like 10GiB [default: no bound].
    #[arg(long, value_name = "SIZE", value_parser = retention_bytes)]
    pub(crate) retention_bytes: Option<u64>,
    /// The largest event it takes, like 64KiB: 1KiB to 1MiB [default: 1MiB].
    #[arg(long, value_name = "SIZE", value_parser = message_bytes)]
    pub(crate) message_bytes_max: Option<u32>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct HubChange {
    /// How long events are kept, like 7days or 12h: 1m to 3650days.
    #[arg(long, value_name = "DURATION", value_parser = retention_time)]
    pub(crate) retention: Option<Duration>,
    /// How many bytes of events are kept, over all partitions, like 10GiB.
    #[arg(long, value_name = "SIZE", value_parser = retention_bytes)]
    pub(crate) retention_bytes: Option<u64>,
    /// Bound what is kept by time alone.
    #[arg(long, conflicts_with = "retention_bytes")]
    pub(crate) no_retention_bytes: bool,
    /// The largest event it takes, like 64KiB: 1KiB to 1MiB.
    #[arg(long, value_name = "SIZE", value_parser = message_bytes)]
    pub(crate) message_bytes_max: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Create a policy and print the connection string for clients of the event hub.
    Create {
        /// The event hub.
        hub: EventHubName,
        /// The policy's name.
        name: PolicyName,
        /// What it allows: send, listen, manage (which includes the others), or several.
        #[arg(long, value_name = "RIGHTS", value_delimiter = ',', required = true)]
        rights: Vec<EventHubRights>,
    },
    /// List the policies of an event hub.
    List {
        /// The event hub.
        hub: EventHubName,
    },
    /// Show a policy with its keys and connection string.
    Show {
        /// The event hub.
        hub: EventHubName,
        /// The policy's name.
        name: PolicyName,
    },
    /// Delete a policy; ends the connections that came by it.
    Delete {
        /// The event hub.
        hub: EventHubName,
        /// The policy's name.
        name: PolicyName,
    },
}

fn partitions(text: &str) -> Result<PartitionCount, String> {
    let count: u32 = text.parse().map_err(|_| String::from("give a number of partitions, 1 to 1024"))?;
    count.try_into().map_err(|error| format!("{error}"))
}

fn retention_time(text: &str) -> Result<Duration, String> {
    let retention = Retention { time: duration(text)?, bytes: None };
    retention.checked().map(|retention| retention.time).map_err(|error| error.to_string())
}

fn retention_bytes(text: &str) -> Result<u64, String> {
    let bytes = size(text)?;
    let retention = Retention { time: RETENTION_TIME_DEFAULT, bytes: Some(bytes) };
    retention.checked().map(|_| bytes).map_err(|error| error.to_string())
}

fn message_bytes(text: &str) -> Result<u32, String> {
    checked_message_bytes_max(u32::try_from(size(text)?).unwrap_or(u32::MAX)).map_err(|error| error.to_string())
}

/// A number of bytes: `4096`, `64KiB`, `10 GiB`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let shift = match unit.trim() {
        "" | "B" | "bytes" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        "TiB" => Some(40),
        _ => None,
    };
    let bytes = number.parse::<u64>().ok().zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| String::from("a size looks like 4096, 64KiB or 10GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_of_powers_of_1024_or_none() {
        for (text, bytes) in [("4096", 4096), ("64KiB", 64 << 10), ("10 GiB", 10 << 30), ("1TiB", 1 << 40), ("0", 0), ("7bytes", 7)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "GiB", "1GB", "1.5GiB", "-1", "99999999TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_are_checked_before_anything_is_sent() {
        assert_eq!(retention_time("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        assert!(retention_time("59s").is_err_and(|text| text.contains("1 minute")));
        assert!(retention_bytes("1KiB").is_err());
        assert_eq!(message_bytes("1MiB"), Ok(1 << 20));
        assert!(message_bytes("8GiB").is_err());
    }
}
