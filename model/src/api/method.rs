//! Direct methods.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A call of a direct method.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodRequest {
    /// The method's name: printable ASCII without separators.
    pub method_name: String,
    /// Any JSON, at most 128 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// Seconds to wait for the answer: 5 to 300, by default 30.
    #[serde(default, alias = "timeoutInSeconds", skip_serializing_if = "Option::is_none")]
    pub response_timeout_in_seconds: Option<u32>,
    /// Seconds to wait for the device to connect: 0 to 300, by default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout_in_seconds: Option<u32>,
}

/// The device's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MethodResponse {
    /// The status the device gave, of its own making.
    pub status: i32,
    /// Any JSON; `null` when the device sent nothing.
    pub payload: Box<RawValue>,
}
