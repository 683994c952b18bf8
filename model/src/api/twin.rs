//! Twins as the service API shows and takes them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AuthenticationType, Capabilities, ConnectionState, Status, X509Thumbprint};
use crate::Timestamp;

/// The two halves of a twin's properties. When shown, each carries `$metadata` and `$version`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TwinProperties {
    /// What the service wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Value>,
    /// What the device says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Value>,
}

/// A twin in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Twin {
    /// The device.
    pub device_id: String,
    /// The module, of a module twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
    /// Changes with tags and desired properties; base64 of a counter.
    pub etag: String,
    /// The identity's etag.
    pub device_etag: String,
    /// Whether the device may connect.
    pub status: Status,
    /// Why, for people.
    pub status_reason: Option<String>,
    /// When the status last changed.
    pub status_update_time: Timestamp,
    /// Whether the identity is connected.
    pub connection_state: ConnectionState,
    /// When it last connected, sent or received.
    pub last_activity_time: Timestamp,
    /// Commands waiting.
    pub cloud_to_device_message_count: u64,
    /// How the identity proves itself.
    pub authentication_type: AuthenticationType,
    /// Its certificates' thumbprints.
    pub x509_thumbprint: X509Thumbprint,
    /// The digital-twin model the device announced, or empty.
    #[serde(default)]
    pub model_id: String,
    /// Raised by every change of the twin.
    pub version: u64,
    /// Tags, which devices do not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
    /// Desired and reported properties with their metadata and versions.
    pub properties: TwinProperties,
    /// What the device can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
}

/// A change to a twin, or with PUT its replacement: only the sections present count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TwinPatch {
    /// New tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Value>,
    /// New desired properties; reported ones are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<TwinProperties>,
}
