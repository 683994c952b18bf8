//! Errors of the service API: a name and number that SDKs branch on, and the bodies they parse.

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal => $status:literal,)*) => {
        /// The documented errors, by the name that the header `iothub-errorcode` carries.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code, for tables and tests.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The six-digit number.
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// The HTTP status it travels with.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The name, as the header `iothub-errorcode` and the body spell it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

error_codes! {
    /// A value that may not be.
    ArgumentInvalid = 400_004 => 400,
    /// A value that must be there and is not.
    ArgumentNull = 400_005 => 400,
    /// A body that does not parse.
    IotHubFormatError = 400_006 => 400,
    /// A bulk request with at least one refused operation.
    BulkRegistryOperationFailure = 400_013 => 400,
    /// A policy or identity without the right.
    IotHubUnauthorizedAccess = 401_002 => 401,
    /// A token or certificate that does not hold.
    IotHubUnauthorized = 401_003 => 401,
    /// The queue of commands is full.
    DeviceMaximumQueueDepthExceeded = 403_004 => 403,
    /// As many file uploads of the device are under way as may.
    DeviceMaximumActiveFileUploadLimitExceeded = 403_006 => 403,
    /// An expiry in the past or too far ahead.
    InvalidMessageExpiryTime = 403_009 => 403,
    /// The device is disabled.
    DeviceDisabled = 403_012 => 403,
    /// Too many methods wait for the device.
    DeviceMaximumInflightMethodExceeded = 403_800 => 403,
    /// No such device.
    DeviceNotFound = 404_001 => 404,
    /// No such module.
    ModuleNotFound = 404_010 => 404,
    /// The device is not connected, or has not subscribed to methods.
    DeviceNotOnline = 404_103 => 404,
    /// The device went away while its answer was awaited.
    DeviceConnectionClosedRemotely = 404_104 => 404,
    /// No such resource of another kind, ours.
    ResourceNotFound = 404_900 => 404,
    /// The method of the request does not fit the path, ours.
    MethodNotAllowed = 405_900 => 405,
    /// The body of the request did not arrive in time, ours.
    RequestTimeout = 408_900 => 408,
    /// The device exists.
    DeviceAlreadyExists = 409_001 => 409,
    /// The module exists.
    ModuleAlreadyExistsOnDevice = 409_301 => 409,
    /// A resource of another kind exists, ours.
    ResourceConflict = 409_900 => 409,
    /// The etag does not match.
    PreconditionFailed = 412_001 => 412,
    /// The lock of a command is gone.
    DeviceMessageLockLost = 412_002 => 412,
    /// A body over its limit.
    MessageTooLarge = 413_001 => 413,
    /// The device has its 50 modules.
    TooManyModulesOnDevice = 413_003 => 413,
    /// Too much at once.
    ThrottlingException = 429_001 => 429,
    /// Our own fault.
    ServerError = 500_001 => 500,
    /// A documented operation that this version does not have yet, ours.
    NotImplemented = 501_900 => 501,
    /// The device's answer cannot be passed on.
    BadDeviceResponse = 502_001 => 502,
    /// The store does not take writes, or the hub is stopping.
    ServiceUnavailable = 503_001 => 503,
    /// The device did not answer in time.
    GatewayTimeout = 504_101 => 504,
}

/// An error as the service API writes it.
///
/// `Message` is `ErrorCode:{name};{text}`, or for direct methods an [`ErrorDetail`] as JSON in a
/// string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What happened.
    #[serde(rename = "Message")]
    pub message: String,
    /// Tracking id and time.
    #[serde(rename = "ExceptionMessage")]
    pub exception_message: String,
}

/// An error as twin topics and direct methods carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDetail {
    /// The six-digit number.
    pub error_code: u32,
    /// An id that the hub's log line carries too.
    pub tracking_id: String,
    /// What happened.
    pub message: String,
    /// More about it, as an object of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<serde_json::Value>,
    /// When.
    pub timestamp_utc: String,
}
