//! Consumer groups and how far each has read. Our own addition.

use serde::{Deserialize, Serialize};

use crate::{PartitionId, SequenceNumber, Timestamp};

/// A consumer group: `GET /eventHubGroups`, and `GET /eventHubs/{name}/groups` for what concerns
/// one event hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerGroupInfo {
    /// Its name.
    pub group_id: String,
    /// `Empty`, `PreparingRebalance`, `CompletingRebalance` or `Stable`.
    pub state: String,
    /// `consumer` as a rule; null when the group had no members since the hub started.
    pub protocol_type: Option<String>,
    /// Who reads.
    pub members: Vec<ConsumerGroupMember>,
    /// How far the group has read.
    pub offsets: Vec<ConsumerGroupOffset>,
}

/// A member of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerGroupMember {
    /// Its id, given by the hub.
    pub member_id: String,
    /// The name it keeps across restarts, if it has one.
    pub instance_id: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// The address it connects from.
    pub client_host: String,
    /// What it reads. Empty while the group rebalances, and where the assignment is not that of
    /// type `consumer`.
    pub partitions: Vec<AssignedPartition>,
}

/// A partition that a member reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignedPartition {
    /// The event hub.
    pub event_hub: String,
    /// Its partition.
    pub partition: PartitionId,
}

/// How far a group has read in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerGroupOffset {
    /// The event hub.
    pub event_hub: String,
    /// Its partition.
    pub partition: PartitionId,
    /// The next event the group reads.
    pub offset: SequenceNumber,
    /// The next event the partition gets.
    pub end: SequenceNumber,
    /// Events in between.
    pub lag: u64,
    /// When the offset was committed.
    pub commit_time: Timestamp,
    /// The client's note.
    pub metadata: String,
}
