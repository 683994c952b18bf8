//! Reasons that have to do with uploaded files.

use model::api::ErrorCode;
use twins::SettleError;

use crate::https::Refusal;

/// What goes wrong with a disk is for the log.
impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::fault(error.to_string())
    }
}

impl From<SettleError> for Refusal {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::LockLost(lost) => Self::new(ErrorCode::DeviceMessageLockLost, lost.to_string()),
            SettleError::Store(error) => error.into(),
        }
    }
}
