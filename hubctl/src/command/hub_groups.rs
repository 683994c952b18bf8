//! `hubctl hub groups`

use std::collections::HashMap;
use std::io::Write;

use hubctl::HubClient;
use model::EventHubName;
use model::api::{ConsumerGroupInfo, ConsumerGroupMember};

use super::moment;
use crate::exit::Failure;
use crate::output::{Output, Table};

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, only: Option<&EventHubName>) -> Result<(), Failure> {
    let groups = match only {
        Some(name) => hub.consumer_groups_of(name).await?,
        None => hub.consumer_groups().await?,
    };
    Ok(output.result(&groups, |groups| lag(groups))?)
}

/// A line a partition: how far the group is behind, and who reads.
fn lag(groups: &[ConsumerGroupInfo]) -> Table {
    let titles = ["group", "state", "event hub", "partition", "offset", "end", "lag", "committed", "read by"];
    Table::rows(&titles, groups.iter().flat_map(rows))
}

fn rows(group: &ConsumerGroupInfo) -> Vec<Vec<String>> {
    let readers = readers(&group.members);
    let mut rows: Vec<Vec<String>> = group
        .offsets
        .iter()
        .map(|offset| {
            let reader = readers.get(&(offset.event_hub.as_str(), offset.partition)).copied().unwrap_or("");
            let counts = [offset.offset.to_string(), offset.end.to_string(), offset.lag.to_string()];
            let names = [group.group_id.clone(), group.state.clone(), offset.event_hub.clone(), offset.partition.to_string()];
            names.into_iter().chain(counts).chain([moment(offset.commit_time), reader.to_owned()]).collect()
        })
        .collect();
    // Read, and never committed.
    for member in &group.members {
        for assigned in &member.partitions {
            let is_known =
                group.offsets.iter().any(|offset| (&offset.event_hub, offset.partition) == (&assigned.event_hub, assigned.partition));
            if !is_known {
                let names = [group.group_id.clone(), group.state.clone(), assigned.event_hub.clone(), assigned.partition.to_string()];
                let nothing = ["", "", "", "never"].map(str::to_owned);
                rows.push(names.into_iter().chain(nothing).chain([member.client_id.clone()]).collect());
            }
        }
    }
    if rows.is_empty() {
        let nothing = [const { String::new() }; 7];
        rows.push([group.group_id.clone(), group.state.clone()].into_iter().chain(nothing).collect());
    }
    rows
}

/// The client that reads each partition.
fn readers(members: &[ConsumerGroupMember]) -> HashMap<(&str, model::PartitionId), &str> {
    let places = members.iter().flat_map(|member| member.partitions.iter().map(move |place| (place, member)));
    places.map(|(place, member)| ((place.event_hub.as_str(), place.partition), member.client_id.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use model::api::{AssignedPartition, ConsumerGroupOffset};
    use model::{PartitionId, SequenceNumber, Timestamp};

    use super::*;

    #[test]
    fn every_partition_of_a_group_has_a_line_committed_or_not() {
        let place = |partition| AssignedPartition { event_hub: "events".into(), partition: PartitionId(partition) };
        let member = ConsumerGroupMember {
            member_id: "m-1".into(),
            instance_id: None,
            client_id: "reader".into(),
            client_host: "127.0.0.1".into(),
            partitions: vec![place(0), place(1)],
        };
        let offset = ConsumerGroupOffset {
            event_hub: "events".into(),
            partition: PartitionId(0),
            offset: SequenceNumber(3),
            end: SequenceNumber(10),
            lag: 7,
            commit_time: Timestamp::NEVER,
            metadata: String::new(),
        };
        let group =
            |members, offsets| ConsumerGroupInfo { group_id: "g".into(), state: "Stable".into(), protocol_type: None, members, offsets };
        let lines: Vec<String> = rows(&group(vec![member], vec![offset])).iter().map(|row| row.join("|")).collect();
        assert_eq!(lines, ["g|Stable|events|0|3|10|7|never|reader", "g|Stable|events|1||||never|reader"]);
        assert_eq!(rows(&group(Vec::new(), Vec::new())).iter().map(|row| row.join("|")).collect::<Vec<_>>(), ["g|Stable|||||||"]);
    }
}
