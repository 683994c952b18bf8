//! The reasons of the domains in the codes that devices are told over HTTPS.

use certs::judge::AuthReject;
use model::api::ErrorCode;
use model::{InvalidId, Timestamp};
use twins::{BeginFileUploadError, CommandReadError, SettleError};

use super::batch::InvalidBatch;
use super::message_headers::InvalidHeader;
use crate::files::{BeginError, EndError};
use crate::https::Refusal;
use crate::presence::TooManyPolls;
use crate::telemetry::MessageRefused;

/// Everyone who is not let in is told the same: which check failed is for the log, where admission
/// has written it, and whether the device exists at all is nobody's business.
pub(super) fn not_admitted(reject: &AuthReject) -> Refusal {
    unauthorized(reject.to_string()).already_logged()
}

/// The token, or the certificate, has expired since.
pub(super) fn grant_expired(expires: Timestamp) -> Refusal {
    unauthorized(format!("what let it in expired at {expires}"))
}

/// What let the device in has been changed since.
pub(super) fn grant_changed() -> Refusal {
    unauthorized("it, or what vouched for it, has been changed or deleted since it was let in")
}

/// `cause` is for the log.
fn unauthorized(cause: impl Into<String>) -> Refusal {
    let text = "the request needs a token or a client certificate of the device or module in its path";
    Refusal::with_cause(ErrorCode::IotHubUnauthorized, text, cause)
}

pub(super) fn path_refused(error: InvalidId) -> Refusal {
    Refusal::new(ErrorCode::ArgumentInvalid, error.to_string())
}

pub(super) fn header_refused(error: &InvalidHeader) -> Refusal {
    Refusal::new(ErrorCode::ArgumentInvalid, error.to_string())
}

pub(super) fn batch_refused(error: &InvalidBatch) -> Refusal {
    let code = match error {
        InvalidBatch::Syntax(_) => ErrorCode::IotHubFormatError,
        InvalidBatch::TooMany => ErrorCode::MessageTooLarge,
        InvalidBatch::Empty | InvalidBatch::Base64 { .. } | InvalidBatch::Property { .. } => ErrorCode::ArgumentInvalid,
    };
    Refusal::new(code, error.to_string())
}

pub(super) fn message_refused(error: &MessageRefused) -> Refusal {
    let code = match error {
        MessageRefused::Properties(_) => ErrorCode::ArgumentInvalid,
        MessageRefused::TooLarge { .. } => ErrorCode::MessageTooLarge,
    };
    Refusal::new(code, error.to_string())
}

/// Nothing has gone wrong but that the disk is slow: SDKs send again after this one.
pub(super) fn no_room() -> Refusal {
    Refusal::new(ErrorCode::ServiceUnavailable, "more messages wait for the disk than may; send again later")
}

pub(super) fn read_refused(error: CommandReadError) -> Refusal {
    match error {
        // It was there when the request was judged.
        CommandReadError::UnknownIdentity(_) => grant_changed(),
        CommandReadError::Store(error) => error.into(),
    }
}

pub(super) fn lock_lost() -> Refusal {
    Refusal::new(ErrorCode::DeviceMessageLockLost, "the lock of the message has ended, or there is none of that name")
}

pub(super) fn settle_refused(error: SettleError) -> Refusal {
    match error {
        SettleError::LockLost(_) => lock_lost(),
        SettleError::Store(error) => error.into(),
    }
}

pub(super) fn poll_refused(error: TooManyPolls) -> Refusal {
    let code = match error {
        TooManyPolls::OfIdentity => ErrorCode::ThrottlingException,
        TooManyPolls::InAll => ErrorCode::ServiceUnavailable,
    };
    Refusal::new(code, error.to_string())
}

pub(super) fn parameter_refused(text: &'static str) -> Refusal {
    Refusal::new(ErrorCode::ArgumentInvalid, text)
}

pub(super) fn answer_is_no_json() -> Refusal {
    Refusal::new(ErrorCode::IotHubFormatError, "the answer of a direct method is JSON, or nothing")
}

/// Late, or never asked.
pub(super) fn nobody_waits() -> Refusal {
    Refusal::new(ErrorCode::ResourceNotFound, "nobody waits for an answer of that name any more")
}

pub(super) fn upload_refused(error: BeginError) -> Refusal {
    let code = match error {
        BeginError::Name(_) => ErrorCode::ArgumentInvalid,
        // It was there when the request was judged.
        BeginError::Upload(BeginFileUploadError::UnknownIdentity(_)) => return grant_changed(),
        BeginError::Upload(BeginFileUploadError::Store(error)) => return error.into(),
        BeginError::Upload(BeginFileUploadError::TooMany { .. }) => ErrorCode::DeviceMaximumActiveFileUploadLimitExceeded,
    };
    Refusal::new(code, error.to_string())
}

/// The service has no code of its own for an id that it does not know; one SDK expects this one.
pub(super) fn end_refused(error: EndError) -> Refusal {
    let code = match error {
        EndError::Unknown => ErrorCode::IotHubFormatError,
        EndError::NoFile => ErrorCode::ResourceNotFound,
        EndError::Disk(error) => return Refusal::fault(error.to_string()),
        EndError::Store(error) => return error.into(),
    };
    Refusal::new(code, error.to_string())
}

pub(super) fn no_correlation_id() -> Refusal {
    Refusal::new(ErrorCode::ArgumentNull, "correlationId names the upload and is missing")
}

pub(super) fn no_files_of_modules() -> Refusal {
    Refusal::new(ErrorCode::ArgumentInvalid, "devices upload files, modules do not")
}
