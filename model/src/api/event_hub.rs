//! Event hubs and their policies, and events to send to them. Our own addition.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::EventBody;
use crate::event_hub::PolicyName;
use crate::partition::PartitionCount;
use crate::{EventHubRights, PartitionId, SequenceNumber, Timestamp};

/// An event hub: `GET /eventHubs/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventHubInfo {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: PartitionCount,
    /// How long events are kept.
    pub retention_milliseconds: u64,
    /// How many bytes of events are kept; null: no bound.
    pub retention_bytes: Option<u64>,
    /// The largest event it takes from those who send to it directly.
    pub message_bytes_max: u32,
    /// What Kafka knows it by beside its name, as 32 hexadecimal digits in five groups. Another
    /// one after it was deleted and created again.
    pub topic_id: String,
    /// When it was created.
    pub created_time: Timestamp,
}

/// An event hub to create: `PUT /eventHubs/{name}`. What is left out has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventHubRequest {
    /// How many partitions it is to have, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<PartitionCount>,
    /// How long events are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_milliseconds: Option<u64>,
    /// How many bytes of events are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_bytes: Option<u64>,
    /// The largest event it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_bytes_max: Option<u32>,
}

/// What is to change of an event hub: `PATCH /eventHubs/{name}`. What is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventHubPatch {
    /// Cannot change: refused unless it is what the event hub has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<PartitionCount>,
    /// How long events are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_milliseconds: Option<u64>,
    /// How many bytes of events are kept; null removes the bound.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub retention_bytes: Option<Option<u64>>,
    /// The largest event it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_bytes_max: Option<u32>,
}

/// Tells null, which says something, from absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Where a partition stands: `GET /eventHubs/{name}/partitions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionInfo {
    /// Its number.
    pub partition: PartitionId,
    /// The oldest event that is kept; null while none is.
    pub first_sequence: Option<SequenceNumber>,
    /// The newest event; null while none is kept.
    pub last_sequence: Option<SequenceNumber>,
    /// The number the next event gets: how many there ever were.
    pub next_sequence: SequenceNumber,
    /// When the newest event was appended.
    pub last_enqueued_time: Option<Timestamp>,
    /// How many events are kept.
    pub events: u64,
    /// How many bytes they take, as stored.
    pub bytes: u64,
}

/// A policy of an event hub with its keys: `GET /eventHubs/{name}/policies/{policy}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventHubPolicyInfo {
    /// Its name.
    pub name: PolicyName,
    /// What its holders may do.
    pub rights: EventHubRights,
    /// The first key, in base64; to be used as this text.
    pub primary_key: String,
    /// The second key.
    pub secondary_key: String,
}

/// A policy to create: `PUT /eventHubs/{name}/policies/{policy}`. The hub makes the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventHubPolicyRequest {
    /// What its holders may do: `send`, `listen`, `manage`.
    pub rights: EventHubRights,
}

/// An event to send, one JSON object a line of the body of `POST /eventHubs/{name}/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRequest {
    /// The body.
    #[serde(flatten)]
    pub body: EventBody,
    /// The partition key: events of one key keep their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The partition; else the key decides, and without one the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<PartitionId>,
    /// The sender's id of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The id of a message this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Media type of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Character encoding of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// Application properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Option<String>>,
}

/// The answer to events sent: all of them are on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventsSent {
    /// The place of each, in the order of the lines.
    pub events: Vec<EventPlace>,
}

/// Where an event lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventPlace {
    /// The partition.
    pub partition: PartitionId,
    /// The position.
    pub sequence: SequenceNumber,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_tells_no_bound_from_no_change() {
        let read = |text: &str| serde_json::from_str::<EventHubPatch>(text).expect(text).retention_bytes;
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"retentionBytes":null}"#), Some(None));
        assert_eq!(read(r#"{"retentionBytes":5}"#), Some(Some(5)));
        let written = |bytes| serde_json::to_string(&EventHubPatch { retention_bytes: bytes, ..EventHubPatch::default() }).expect("JSON");
        assert_eq!((written(None).as_str(), written(Some(None)).as_str()), ("{}", r#"{"retentionBytes":null}"#));
        assert!(serde_json::from_str::<EventHubPatch>(r#"{"retention":"7d"}"#).is_err(), "a misspelt setting is no change");
    }

    #[test]
    fn an_event_to_send_says_only_what_was_decided() {
        let event: EventRequest = serde_json::from_str(r#"{"body":"hot","properties":{"a":null}}"#).expect("an event");
        assert_eq!(event.properties, BTreeMap::from([("a".to_owned(), None)]));
        assert_eq!(serde_json::to_string(&event).expect("JSON"), r#"{"body":"hot","properties":{"a":null}}"#);
        assert!(serde_json::from_str::<EventRequest>("{}").is_err(), "without a body it is no event");
    }
}
