//! The reasons of single operations in the codes of the service API.

use model::api::ErrorCode;

use crate::document::DocumentError;
use crate::error::{StoreError, UnknownIdentity};
use crate::operations::registry_errors::{CreateDeviceError, CreateModuleError, DeleteIdentityError, UpdateIdentityError};
use crate::operations::twins::TwinWriteError;
use crate::store::Stop;

/// Why one item was refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) text: String,
}

impl Refused {
    pub(super) fn new(code: ErrorCode, text: impl ToString) -> Self {
        Self { code, text: text.to_string() }
    }
}

/// Turns an operation's own refusal into an item's.
pub(super) fn widen<T, E: Into<Refused>>(outcome: Result<T, Stop<E>>) -> Result<T, Stop<Refused>> {
    outcome.map_err(|stop| match stop {
        Stop::Refused(error) => Stop::Refused(error.into()),
        Stop::Unreadable(error) => Stop::Unreadable(error),
        Stop::Sqlite(failure) => Stop::Sqlite(failure),
    })
}

impl From<CreateDeviceError> for Refused {
    fn from(error: CreateDeviceError) -> Self {
        let code = match &error {
            CreateDeviceError::AlreadyExists(_) => ErrorCode::DeviceAlreadyExists,
            CreateDeviceError::Authentication(_) => ErrorCode::ArgumentInvalid,
            CreateDeviceError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<CreateModuleError> for Refused {
    fn from(error: CreateModuleError) -> Self {
        let code = match &error {
            CreateModuleError::DeviceNotFound(_) => ErrorCode::DeviceNotFound,
            CreateModuleError::AlreadyExists(..) => ErrorCode::ModuleAlreadyExistsOnDevice,
            CreateModuleError::TooMany(_) => ErrorCode::TooManyModulesOnDevice,
            CreateModuleError::Authentication(_) => ErrorCode::ArgumentInvalid,
            CreateModuleError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<UpdateIdentityError> for Refused {
    fn from(error: UpdateIdentityError) -> Self {
        let code = match &error {
            UpdateIdentityError::NotFound(unknown) => not_found_code(unknown),
            UpdateIdentityError::EtagMismatch(_) => ErrorCode::PreconditionFailed,
            UpdateIdentityError::Authentication(_) => ErrorCode::ArgumentInvalid,
            UpdateIdentityError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<DeleteIdentityError> for Refused {
    fn from(error: DeleteIdentityError) -> Self {
        let code = match &error {
            DeleteIdentityError::NotFound(unknown) => not_found_code(unknown),
            DeleteIdentityError::EtagMismatch(_) => ErrorCode::PreconditionFailed,
            DeleteIdentityError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<TwinWriteError> for Refused {
    fn from(error: TwinWriteError) -> Self {
        let code = match &error {
            TwinWriteError::UnknownIdentity(unknown) => not_found_code(unknown),
            TwinWriteError::EtagMismatch(_) => ErrorCode::PreconditionFailed,
            TwinWriteError::Document(_) | TwinWriteError::ReportedByService => ErrorCode::ArgumentInvalid,
            TwinWriteError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<DocumentError> for Refused {
    fn from(error: DocumentError) -> Self {
        Self::new(ErrorCode::ArgumentInvalid, error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorCode::ServerError, error)
    }
}

fn not_found_code(unknown: &UnknownIdentity) -> ErrorCode {
    match unknown {
        UnknownIdentity::Device(_) => ErrorCode::DeviceNotFound,
        UnknownIdentity::Module(..) => ErrorCode::ModuleNotFound,
    }
}
