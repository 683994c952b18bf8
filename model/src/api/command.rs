//! Commands, which the field calls cloud-to-device messages. Sending and listing over HTTPS is
//! our own addition; the official SDKs send over AMQP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A body as text when it is UTF-8, else in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandBody {
    /// UTF-8 text.
    #[serde(rename = "body")]
    Text(String),
    /// Anything else, in base64.
    #[serde(rename = "bodyBase64")]
    Base64(String),
}

/// A command to send: `POST /devices/{id}/commands`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandRequest {
    /// The body.
    #[serde(flatten)]
    pub body: CommandBody,
    /// The sender's id of the command; the hub makes one when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The id of a message this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Who sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Media type of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Character encoding of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `none`, `positive`, `negative` or `full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<String>,
    /// When it stops being of use; by default in an hour, unless the hub is configured otherwise,
    /// at most in two days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_time: Option<Timestamp>,
    /// The input of a module that it goes to; else it is a command of the module itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_name: Option<String>,
    /// Application properties.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// The answer to a command sent: it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandSent {
    /// Its message id.
    pub message_id: String,
    /// Its position in the device's queue.
    pub sequence_number: u64,
}

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CommandState {
    /// Waiting.
    Enqueued,
    /// Handed to a reader that has not answered yet.
    Invisible,
    /// Rejected, expired or delivered too often.
    DeadLettered,
}

/// A command in the device's queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandItem {
    /// Its message id.
    pub message_id: String,
    /// Its position in the queue.
    pub sequence_number: u64,
    /// Where it stands.
    pub state: CommandState,
    /// When it comes back by itself, if it was handed to a reader that polls. One that a
    /// connection holds comes back when that settles it or ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Timestamp>,
    /// How often it was abandoned.
    pub delivery_count: u32,
    /// When it was stored.
    pub enqueued_time: Timestamp,
    /// When it stops being of use.
    pub expiry_time: Timestamp,
    /// The feedback asked for.
    pub ack: String,
    /// Application properties.
    pub properties: BTreeMap<String, String>,
    /// The body.
    #[serde(flatten)]
    pub body: CommandBody,
}

/// What a purge removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PurgeResult {
    /// How many commands.
    pub total_messages_purged: u64,
    /// The device.
    pub device_id: String,
    /// The module, if the queue was a module's.
    pub module_id: Option<String>,
}

/// Why a command will not be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadLetterReason {
    /// Nobody completed it in time.
    Expired,
    /// The device rejected it.
    Rejected,
    /// It was abandoned too often.
    DeliveryCountExceeded,
}

/// A command that was dead-lettered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterItem {
    /// The command as it stood.
    #[serde(flatten)]
    pub command: CommandItem,
    /// Why.
    pub reason: DeadLetterReason,
    /// When.
    pub dead_lettered_time: Timestamp,
}

/// How many dead letters were deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLettersDeleted {
    /// How many.
    pub total_dead_letters_deleted: u64,
}

/// A dead letter that is a command again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedrivenItem {
    /// Its message id, which it keeps.
    pub message_id: String,
    /// Its position while it was dead.
    pub dead_letter_sequence_number: u64,
    /// Its position in the queue now.
    pub sequence_number: u64,
}

/// What became of dead letters that were to go back into their queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveResult {
    /// Those that went, in order.
    pub redriven: Vec<RedrivenItem>,
    /// How many of those asked for stayed, for want of room in the queue or because they were too
    /// many for one request.
    pub remaining: u64,
}
