//! What a stream of events is asked for.

use std::collections::BTreeMap;
use std::str::FromStr;

use event_log::Start;
use model::api::ErrorCode;
use model::partition::PartitionCount;
use model::{DeviceId, PartitionId, SequenceNumber, Timestamp};

use crate::https::Refusal;
use crate::operator::parameters::Parameters;

/// `?from=&partition=&position=&device=&follow=&count=`
#[derive(Debug)]
pub(super) struct EventQuery {
    /// `from`: `earliest`, `latest`, a sequence number or a date; by default the latest.
    pub(super) start: Start,
    /// `partition`: this one only.
    pub(super) partition: Option<PartitionId>,
    /// `position=P:SEQ`, repeated: partition P begins at SEQ wherever the others begin.
    pub(super) positions: BTreeMap<PartitionId, SequenceNumber>,
    /// `device`: only this one's events and those of its modules.
    pub(super) device: Option<DeviceId>,
    /// `follow`: go on with what arrives, the default; else end at what was stored at the start.
    pub(super) follow: bool,
    /// `count`: end after so many events.
    pub(super) count: Option<u64>,
}

impl EventQuery {
    /// Reads a query about an event hub with so many partitions.
    ///
    /// # Errors
    /// A [`Refusal`] that names the parameter.
    pub(super) fn read(parameters: &Parameters, partitions: PartitionCount) -> Result<Self, Refusal> {
        let partition = optional(parameters, "partition", "a number")?.map(PartitionId);
        let positions = parameters.all("position").map(position).collect::<Result<BTreeMap<_, _>, _>>()?;
        let asked = partition.iter().map(|asked| ("partition", asked)).chain(positions.keys().map(|asked| ("position", asked)));
        for (name, asked) in asked {
            if asked.0 >= partitions.get() {
                return Err(invalid(name, &asked.to_string(), &format!("one of the {} partitions, counted from 0", partitions.get())));
            }
        }
        Ok(Self {
            start: parameters.get("from").map_or(Ok(Start::Latest), start)?,
            partition,
            positions,
            device: optional(parameters, "device", "a device id")?,
            follow: optional(parameters, "follow", "true or false")?.unwrap_or(true),
            count: optional(parameters, "count", "a number")?,
        })
    }
}

fn optional<T: FromStr>(parameters: &Parameters, name: &str, expected: &str) -> Result<Option<T>, Refusal> {
    parameters.get(name).map(|text| text.parse().map_err(|_| invalid(name, text, expected))).transpose()
}

fn start(text: &str) -> Result<Start, Refusal> {
    if text.eq_ignore_ascii_case("earliest") {
        return Ok(Start::Earliest);
    }
    if text.eq_ignore_ascii_case("latest") {
        return Ok(Start::Latest);
    }
    if let Some(sequence) = sequence(text) {
        return Ok(Start::Sequence(sequence));
    }
    // A plus sign that was not encoded arrives as a space.
    let moment = Timestamp::parse_rfc3339(&text.replace(' ', "+"));
    moment.map(Start::EnqueuedAt).map_err(|_| invalid("from", text, "earliest, latest, a sequence number or a date and time"))
}

fn position(text: &str) -> Result<(PartitionId, SequenceNumber), Refusal> {
    let read = || {
        let (partition, number) = text.split_once(':')?;
        Some((PartitionId(partition.parse().ok()?), sequence(number)?))
    };
    read().ok_or_else(|| invalid("position", text, "PARTITION:SEQUENCE"))
}

fn sequence(text: &str) -> Option<SequenceNumber> {
    text.parse().ok().filter(|number| *number >= 0).map(SequenceNumber)
}

fn invalid(name: &str, text: &str, expected: &str) -> Refusal {
    Refusal::new(ErrorCode::ArgumentInvalid, format!("{name} must be {expected}, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<EventQuery, Refusal> {
        EventQuery::read(&Parameters::of(query), four())
    }

    fn four() -> PartitionCount {
        PartitionCount::try_from(4).expect("a count")
    }

    #[test]
    fn without_parameters_the_tail_of_every_partition_is_followed() {
        let query = read("api-version=2021-04-12").expect("a query");
        assert!(matches!(query.start, Start::Latest));
        assert!(query.follow && query.partition.is_none() && query.positions.is_empty() && query.count.is_none());
    }

    #[test]
    fn every_parameter_is_read() {
        let query = read("from=17&partition=2&position=2:5&position=0:0&device=d%201&follow=false&count=3");
        assert!(query.is_err(), "a device id has no space");
        let query = read("from=17&partition=2&position=2:5&position=0:0&device=d-1&follow=false&count=3").expect("a query");
        assert!(matches!(query.start, Start::Sequence(SequenceNumber(17))));
        assert_eq!(
            query.positions.into_iter().collect::<Vec<_>>(),
            [(PartitionId(0), SequenceNumber(0)), (PartitionId(2), SequenceNumber(5))]
        );
        assert_eq!((query.partition, query.follow, query.count), (Some(PartitionId(2)), false, Some(3)));
        for date in ["2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02:00", "2026-01-01T02:00:00%2B02:00"] {
            let query = read(&format!("from={date}")).expect(date);
            assert!(matches!(query.start, Start::EnqueuedAt(moment) if moment.to_string() == "2026-01-01T00:00:00Z"), "{date}");
        }
    }

    #[test]
    fn a_parameter_that_cannot_be_is_named() {
        for bad in
            ["from=first", "from=-1", "partition=4", "partition=x", "position=1", "position=4:0", "position=1:-1", "follow=yes", "count=-1"]
        {
            let refusal = format!("{:?}", read(bad).expect_err(bad));
            let name = bad.split_once('=').map_or("", |(name, _)| name);
            assert!(refusal.contains("ArgumentInvalid") && refusal.contains(name), "{refusal}");
        }
    }
}
