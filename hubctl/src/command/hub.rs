//! `hubctl hub …`

use std::io::Write;
use std::time::Duration;

use hubctl::{ClientError, HubClient};
use model::api::{EventHubInfo, EventHubPatch, EventHubRequest, PartitionInfo};
use model::{EventHubName, Retention, Timestamp};
use serde::Serialize;

use super::{hub_groups, hub_policy, moment};
use crate::args::{HubChange, HubSettings, HubVerb};
use crate::exit::Failure;
use crate::output::{Format, Output, Table};

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: HubVerb) -> Result<(), Failure> {
    match verb {
        HubVerb::Create { name, partitions, settings } => {
            let HubSettings { retention, retention_bytes, message_bytes_max } = settings;
            let retention_milliseconds = retention.map(milliseconds);
            let request = EventHubRequest { partitions, retention_milliseconds, retention_bytes, message_bytes_max };
            let created = hub.create_event_hub(&name, &request).await?;
            Ok(output.result(&created, details)?)
        }
        HubVerb::List => {
            let hubs = hub.event_hubs().await?;
            Ok(output.result(&hubs, |hubs| overview(hubs))?)
        }
        HubVerb::Show { name } => show(hub, output, &name).await,
        HubVerb::Update { name, change } => {
            let changed = hub.update_event_hub(&name, &patch(&change)).await?;
            Ok(output.result(&changed, details)?)
        }
        HubVerb::Delete { name } => {
            hub.delete_event_hub(&name).await?;
            Ok(output.done(&format!("event hub {name} deleted"))?)
        }
        HubVerb::Statistics { name, interval } => statistics(hub, output, name.as_ref(), interval).await,
        HubVerb::Groups { name } => hub_groups::run(hub, output, name.as_ref()).await,
        HubVerb::Policy(verb) => hub_policy::run(hub, output, verb).await,
    }
}

fn milliseconds(time: Duration) -> u64 {
    Retention { time, bytes: None }.milliseconds()
}

fn patch(change: &HubChange) -> EventHubPatch {
    let bytes = change.retention_bytes.map(Some);
    EventHubPatch {
        partitions: None,
        retention_milliseconds: change.retention.map(milliseconds),
        retention_bytes: if change.no_retention_bytes { Some(None) } else { bytes },
        message_bytes_max: change.message_bytes_max,
    }
}

/// An event hub with what its partitions hold.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    hub: EventHubInfo,
    partition_states: Vec<PartitionInfo>,
}

async fn show<W: Write>(hub: &HubClient, output: &mut Output<W>, name: &EventHubName) -> Result<(), Failure> {
    let shown = Shown { hub: hub.event_hub(name).await?, partition_states: hub.partitions(name).await? };
    output.result(&shown, |shown| details(&shown.hub))?;
    match output.format() {
        Format::Json => Ok(()),
        Format::Table => {
            output.line("")?;
            Ok(output.result(&shown, |shown| partitions(&shown.partition_states))?)
        }
    }
}

/// What an event hub holds, and how fast that grows.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    name: String,
    partitions: u32,
    /// Events kept.
    events: u64,
    /// Bytes they take, as stored.
    bytes: u64,
    /// Events there ever were.
    total_events: u64,
    last_enqueued_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events_per_second: Option<f64>,
}

async fn statistics<W: Write>(
    hub: &HubClient,
    output: &mut Output<W>,
    only: Option<&EventHubName>,
    interval: Option<Duration>,
) -> Result<(), Failure> {
    let hubs = match only {
        Some(name) => vec![hub.event_hub(name).await?],
        None => hub.event_hubs().await?,
    };
    let before = sample(hub, &hubs).await?;
    let Some(interval) = interval else { return Ok(output.result(&before, |statistics| growth(statistics))?) };
    let began = tokio::time::Instant::now();
    tokio::time::sleep(interval).await;
    let mut after = sample(hub, &hubs).await?;
    let seconds = began.elapsed().as_secs_f64();
    for (after, before) in after.iter_mut().zip(&before) {
        after.events_per_second = Some(rate(after.total_events.saturating_sub(before.total_events), seconds));
    }
    Ok(output.result(&after, |statistics| growth(statistics))?)
}

async fn sample(hub: &HubClient, hubs: &[EventHubInfo]) -> Result<Vec<Statistics>, Failure> {
    let mut statistics = Vec::with_capacity(hubs.len());
    for info in hubs {
        let name = info
            .name
            .parse()
            .map_err(|error| ClientError::Unintelligible { what: String::from("listing event hubs"), reason: format!("{error}") })?;
        statistics.push(sum(info, &hub.partitions(&name).await?));
    }
    Ok(statistics)
}

fn sum(info: &EventHubInfo, partitions: &[PartitionInfo]) -> Statistics {
    Statistics {
        name: info.name.clone(),
        partitions: info.partitions.get(),
        events: partitions.iter().map(|partition| partition.events).sum(),
        bytes: partitions.iter().map(|partition| partition.bytes).sum(),
        total_events: partitions.iter().map(|partition| u64::try_from(partition.next_sequence.0).unwrap_or(0)).sum(),
        last_enqueued_time: partitions.iter().filter_map(|partition| partition.last_enqueued_time).max(),
        events_per_second: None,
    }
}

/// To a tenth of an event.
fn rate(events: u64, seconds: f64) -> f64 {
    (events as f64 / seconds * 10.0).round() / 10.0
}

fn overview(hubs: &[EventHubInfo]) -> Table {
    let row = |hub: &EventHubInfo| vec![hub.name.clone(), hub.partitions.get().to_string(), kept(hub), size(hub.message_bytes_max.into())];
    Table::rows(&["event hub", "partitions", "kept", "largest event"], hubs.iter().map(row))
}

fn details(hub: &EventHubInfo) -> Table {
    Table::fields([
        ("event hub", hub.name.clone()),
        ("partitions", hub.partitions.get().to_string()),
        ("kept", kept(hub)),
        ("largest event", size(hub.message_bytes_max.into())),
        ("topic id", hub.topic_id.clone()),
        ("created", hub.created_time.to_string()),
    ])
}

fn partitions(partitions: &[PartitionInfo]) -> Table {
    let number = |sequence: Option<model::SequenceNumber>| sequence.map_or_else(|| String::from("-"), |number| number.to_string());
    let row = |partition: &PartitionInfo| {
        vec![
            partition.partition.to_string(),
            number(partition.first_sequence),
            number(partition.last_sequence),
            partition.events.to_string(),
            size(partition.bytes),
            moment(partition.last_enqueued_time.unwrap_or(Timestamp::NEVER)),
        ]
    };
    Table::rows(&["partition", "first", "last", "events", "size", "last enqueued"], partitions.iter().map(row))
}

fn growth(statistics: &[Statistics]) -> Table {
    let row = |one: &Statistics| {
        let last = moment(one.last_enqueued_time.unwrap_or(Timestamp::NEVER));
        let rate = one.events_per_second.map(|rate| rate.to_string());
        let row = vec![one.name.clone(), one.partitions.to_string(), one.events.to_string(), size(one.bytes), last];
        row.into_iter().chain(rate).collect()
    };
    let headings = ["event hub", "partitions", "events", "size", "last enqueued", "events/s"];
    let with_rate = statistics.iter().any(|one| one.events_per_second.is_some());
    let headings = headings.get(..if with_rate { 6 } else { 5 }).unwrap_or(&headings);
    Table::rows(headings, statistics.iter().map(row))
}

/// `7days`, or `7days or 10 GiB`: whichever bound is reached first.
fn kept(hub: &EventHubInfo) -> String {
    let time = humantime::format_duration(Duration::from_millis(hub.retention_milliseconds));
    match hub.retention_bytes {
        None => time.to_string(),
        Some(bytes) => format!("{time} or {}", size(bytes)),
    }
}

/// A number of bytes for people, to a tenth of its unit.
fn size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        None => format!("{bytes} bytes"),
        Some((unit, shift)) if bytes.is_multiple_of(1 << shift) => format!("{} {unit}", bytes >> shift),
        Some((unit, shift)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64),
    }
}

#[cfg(test)]
mod tests {
    use model::{PartitionId, SequenceNumber};

    use super::*;

    #[test]
    fn sizes_are_short_and_exact_where_they_can_be() {
        for (bytes, text) in [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 << 30, "10 GiB")] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn no_bound_in_bytes_is_not_the_same_as_no_change() {
        let change = |no_retention_bytes, retention_bytes| {
            patch(&HubChange { retention: None, retention_bytes, no_retention_bytes, message_bytes_max: None }).retention_bytes
        };
        assert_eq!((change(false, None), change(true, None), change(false, Some(5))), (None, Some(None), Some(Some(5))));
    }

    #[test]
    fn statistics_are_those_of_all_partitions() {
        let text = r#"{"name":"a","partitions":2,"retentionMilliseconds":3600000,"retentionBytes":2048,"messageBytesMax":1048576,
            "topicId":"x","createdTime":"2026-01-01T00:00:00Z"}"#;
        let hub: EventHubInfo = serde_json::from_str(text).expect("an event hub");
        let partition = |number, next, events| PartitionInfo {
            partition: PartitionId(number),
            first_sequence: None,
            last_sequence: None,
            next_sequence: SequenceNumber(next),
            last_enqueued_time: (events > 0).then_some(hub.created_time),
            events,
            bytes: events * 10,
        };
        let sum = sum(&hub, &[partition(0, 7, 5), partition(1, 3, 0)]);
        assert_eq!((sum.events, sum.total_events, sum.bytes, sum.last_enqueued_time), (5, 10, 50, Some(hub.created_time)));
        assert_eq!(kept(&hub), "1h or 2 KiB");
        assert_eq!(rate(1, 3.0).to_string(), "0.3");
    }
}
