//! Consumer groups as an operator sees them: who reads, and how far behind.

use kafka_proto::group::{GroupView, MemberView, assigned_partitions};
use model::api::{AssignedPartition, ConsumerGroupInfo, ConsumerGroupMember, ConsumerGroupOffset};
use model::{EventHubName, PartitionId};
use twins::EventHub;

use super::{GroupId, Groups};

/// The protocol type whose assignments can be read.
const CONSUMER: &str = "consumer";

impl Groups {
    /// Every group with members or offsets, by id; with `only`, groups that have offsets or read
    /// partitions in that event hub, and of those nothing about others.
    pub(crate) fn list(&self, only: Option<&EventHubName>) -> Vec<ConsumerGroupInfo> {
        let concerns = |info: &ConsumerGroupInfo| {
            let reads = info.members.iter().any(|member| !member.partitions.is_empty());
            only.is_none() || reads || !info.offsets.is_empty()
        };
        self.overview().iter().map(|(group, view)| self.info(group, view, only)).filter(concerns).collect()
    }

    fn info(&self, group: &GroupId, view: &GroupView, only: Option<&EventHubName>) -> ConsumerGroupInfo {
        ConsumerGroupInfo {
            group_id: group.to_string(),
            state: view.state.name().to_owned(),
            protocol_type: view.protocol_type.as_deref().map(str::to_owned),
            members: view.members.iter().map(|member| shown(view, member, only)).collect(),
            offsets: self.offsets_with_lag(group, only),
        }
    }

    fn offsets_with_lag(&self, group: &GroupId, only: Option<&EventHubName>) -> Vec<ConsumerGroupOffset> {
        let hubs = self.inner.event_hubs.list();
        let of_hub = |hub: &EventHub| only.is_none_or(|only| hub.name == *only);
        let mut offsets = Vec::new();
        for (key, committed) in self.offsets(group) {
            let Some(hub) = hubs.iter().find(|hub| hub.id == key.hub && of_hub(hub)) else { continue };
            let Ok(partition) = self.inner.log.partition(key.hub, key.partition) else { continue };
            offsets.push(ConsumerGroupOffset {
                event_hub: hub.name.to_string(),
                partition: key.partition,
                offset: committed.offset,
                end: partition.next,
                lag: u64::try_from(partition.next.0.saturating_sub(committed.offset.0)).unwrap_or(0),
                commit_time: committed.time,
                metadata: committed.metadata.to_string(),
            });
        }
        offsets
    }
}

fn shown(view: &GroupView, member: &MemberView, only: Option<&EventHubName>) -> ConsumerGroupMember {
    let is_consumer = view.protocol_type.as_deref() == Some(CONSUMER);
    let assigned = is_consumer.then(|| assigned_partitions(&member.assignment)).flatten().unwrap_or_default();
    let mut partitions = Vec::new();
    for topic in assigned.iter().filter(|topic| only.is_none_or(|only| only.as_str() == topic.topic)) {
        let of_topic = topic.partitions.iter().filter_map(|partition| u32::try_from(*partition).ok());
        partitions
            .extend(of_topic.map(|partition| AssignedPartition { event_hub: topic.topic.clone(), partition: PartitionId(partition) }));
    }
    ConsumerGroupMember {
        member_id: member.member_id.to_string(),
        instance_id: member.instance_id.as_deref().map(str::to_owned),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        partitions,
    }
}
