//! Events as the stream of an event hub shows them, one JSON object a line. Our own addition.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::CommandBody;
use crate::{PartitionId, SequenceNumber, Timestamp};

/// A body as text when it is UTF-8, else in base64.
pub type EventBody = CommandBody;

/// One line of the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventLine {
    /// Events that damage on disk took away.
    Gap(EventGap),
    /// An event.
    Event(Box<EventItem>),
}

/// Events that damage on disk took away: `{"hub","partition","gap":[from,to]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventGap {
    /// The event hub.
    pub hub: String,
    /// The partition.
    pub partition: PartitionId,
    /// First and last sequence number lost.
    pub gap: [SequenceNumber; 2],
}

/// An event with its position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventItem {
    /// The event hub.
    pub hub: String,
    /// The partition.
    pub partition: PartitionId,
    /// The position.
    pub sequence: SequenceNumber,
    /// When it was appended.
    pub enqueued_time: Timestamp,
    /// The device that sent it.
    pub device_id: Option<String>,
    /// The module that sent it.
    pub module_id: Option<String>,
    /// System properties under the names of the wire (`iothub-…`, `message-id`, …).
    pub system: Map<String, Value>,
    /// Application properties.
    pub properties: Map<String, Value>,
    /// The body.
    #[serde(flatten)]
    pub body: EventBody,
}
