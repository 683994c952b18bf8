//! Devices and modules as the registry shows them.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Whether an identity is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ConnectionState {
    /// No connection.
    #[default]
    Disconnected,
    /// A connection that keeps a session (MQTT, AMQP).
    Connected,
}

/// Whether a device may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It may.
    #[default]
    Enabled,
    /// It is refused and its connections are closed.
    Disabled,
}

/// How an identity proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthenticationType {
    /// A token signed with one of two symmetric keys.
    Sas,
    /// A certificate named by its thumbprint.
    SelfSigned,
    /// A certificate under an enrolled CA.
    CertificateAuthority,
    /// Not at all; such an identity cannot connect.
    None,
}

/// Two interchangeable keys in base64.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SymmetricKey {
    /// The first key.
    pub primary_key: Option<String>,
    /// The second key.
    pub secondary_key: Option<String>,
}

/// Two interchangeable thumbprints in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct X509Thumbprint {
    /// The first certificate's.
    pub primary_thumbprint: Option<String>,
    /// The second certificate's.
    pub secondary_thumbprint: Option<String>,
}

/// How an identity proves itself and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authentication {
    /// Keys, of the type [`AuthenticationType::Sas`].
    pub symmetric_key: Option<SymmetricKey>,
    /// Thumbprints, of the type [`AuthenticationType::SelfSigned`].
    pub x509_thumbprint: Option<X509Thumbprint>,
    /// The type. Some clients leave it out; then it follows from what else is given.
    #[serde(rename = "type")]
    pub kind: Option<AuthenticationType>,
}

/// What a device can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    /// Whether it runs modules of the edge runtime.
    pub iot_edge: bool,
}

fn never() -> Timestamp {
    Timestamp::NEVER
}

/// A device identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Its id.
    pub device_id: String,
    /// New at each creation of the same id.
    #[serde(default)]
    pub generation_id: String,
    /// Changes with each update; without quotes.
    #[serde(default)]
    pub etag: String,
    /// Whether it is connected.
    #[serde(default)]
    pub connection_state: ConnectionState,
    /// Whether it may connect.
    #[serde(default)]
    pub status: Status,
    /// Why it has its status, for people.
    #[serde(default)]
    pub status_reason: Option<String>,
    /// When it last connected or disconnected.
    #[serde(default = "never")]
    pub connection_state_updated_time: Timestamp,
    /// When its status last changed.
    #[serde(default = "never")]
    pub status_updated_time: Timestamp,
    /// When it last connected, sent or received.
    #[serde(default = "never")]
    pub last_activity_time: Timestamp,
    /// Commands waiting.
    #[serde(default)]
    pub cloud_to_device_message_count: u64,
    /// How it proves itself.
    #[serde(default)]
    pub authentication: Authentication,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Capabilities,
}

/// A module identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Module {
    /// Its id within the device.
    pub module_id: String,
    /// Who manages it, for people.
    #[serde(default)]
    pub managed_by: Option<String>,
    /// The device it belongs to.
    pub device_id: String,
    /// New at each creation of the same id.
    #[serde(default)]
    pub generation_id: String,
    /// Changes with each update; without quotes.
    #[serde(default)]
    pub etag: String,
    /// Whether it is connected.
    #[serde(default)]
    pub connection_state: ConnectionState,
    /// When it last connected or disconnected.
    #[serde(default = "never")]
    pub connection_state_updated_time: Timestamp,
    /// When it last connected, sent or received.
    #[serde(default = "never")]
    pub last_activity_time: Timestamp,
    /// Commands waiting.
    #[serde(default)]
    pub cloud_to_device_message_count: u64,
    /// How it proves itself.
    #[serde(default)]
    pub authentication: Authentication,
}

/// One operation of a bulk request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkItem {
    /// The device.
    pub id: String,
    /// The module, for operations on modules.
    #[serde(default)]
    pub module_id: Option<String>,
    /// The etag of `…IfMatchETag` operations.
    #[serde(default, rename = "eTag")]
    pub etag: Option<String>,
    /// `create`, `createOrUpdate`, `createOrUpdateIfMatchETag`, `update`, `updateIfMatchETag`,
    /// `delete`, `deleteIfMatchETag`, `updateTwin` or `updateTwinIfMatchETag`, in any case.
    #[serde(default)]
    pub import_mode: Option<String>,
    /// Whether the device may connect.
    #[serde(default)]
    pub status: Option<Status>,
    /// Why, for people.
    #[serde(default)]
    pub status_reason: Option<String>,
    /// How the identity proves itself.
    #[serde(default)]
    pub authentication: Option<Authentication>,
    /// The etag of `updateTwinIfMatchETag`, and, if it is there, of the twin in `createOrUpdate…`.
    #[serde(default, rename = "twinETag")]
    pub twin_etag: Option<String>,
    /// Tags to set.
    #[serde(default)]
    pub tags: Option<serde_json::Value>,
    /// Desired properties to set.
    #[serde(default)]
    pub properties: Option<super::TwinProperties>,
    /// What the device can do.
    #[serde(default)]
    pub capabilities: Option<Capabilities>,
}

/// What became of a bulk request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkResult {
    /// Whether every operation was carried out.
    pub is_successful: bool,
    /// Those that were not.
    pub errors: Vec<BulkError>,
    /// Never filled; present for clients that read it.
    pub warnings: Vec<serde_json::Value>,
}

/// An operation of a bulk request that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkError {
    /// The device.
    pub device_id: String,
    /// The module, if the operation named one.
    pub module_id: Option<String>,
    /// The error's name, as in the header `iothub-errorcode`.
    pub error_code: String,
    /// What happened, for people.
    pub error_status: String,
    /// The operation, as it was written.
    pub operation: Option<String>,
}
