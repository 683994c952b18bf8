//! The reasons of the domains in the codes of the service API. The only place that chooses a
//! code for an error; every match names every variant, so a new one does not compile unnoticed.

use certs::ca::CaReject;
use event_log::{ReaderError, UnknownPartition};
use model::api::ErrorCode;
use twins::authentication::InvalidAuthentication;
use twins::document::DocumentError;
use twins::{
    AddCaError, BulkRequestError, CaError, CommandReadError, CreateDeviceError, CreateModuleError, DeleteIdentityError, EnqueueError,
    EtagMismatch, InvalidAck, RedriveError, StoreError, TwinReadError, TwinWriteError, UnknownIdentity, UpdateIdentityError,
};

mod event_hubs;
mod files;

use crate::auth::OperatorRefusal;
use crate::https::Refusal;
use crate::hub::HubOpenError;
use crate::methods::InvokeError;

/// Why a direct method has no answer, in the form its callers parse. `waited_seconds` is how
/// long the device was given to connect.
pub(super) fn method_refusal(error: InvokeError, waited_seconds: u32) -> Refusal {
    let (code, waited) = match error {
        InvokeError::UnknownIdentity => (ErrorCode::DeviceNotFound, None),
        InvokeError::NotOnline => (ErrorCode::DeviceNotOnline, Some(waited_seconds)),
        InvokeError::TimedOut => (ErrorCode::GatewayTimeout, None),
        InvokeError::ConnectionClosed => (ErrorCode::DeviceConnectionClosedRemotely, None),
        InvokeError::TooManyInFlight => (ErrorCode::DeviceMaximumInflightMethodExceeded, None),
        InvokeError::InvalidAnswer | InvokeError::AnswerTooLarge => (ErrorCode::BadDeviceResponse, None),
    };
    let text = match error {
        // The documented sentence, which callers look for.
        InvokeError::TimedOut => "Timed out waiting for the response from device.".to_owned(),
        InvokeError::UnknownIdentity
        | InvokeError::NotOnline
        | InvokeError::ConnectionClosed
        | InvokeError::TooManyInFlight
        | InvokeError::InvalidAnswer
        | InvokeError::AnswerTooLarge => error.to_string(),
    };
    Refusal::new(code, text).nested(waited)
}

/// Which check failed is for the log, where admission has written it.
impl From<OperatorRefusal> for Refusal {
    fn from(refusal: OperatorRefusal) -> Self {
        let (code, text) = match refusal {
            OperatorRefusal::Unauthorized(_) => (
                ErrorCode::IotHubUnauthorized,
                "the request needs a valid token of a shared access policy, or an operator's certificate".to_owned(),
            ),
            OperatorRefusal::Forbidden { .. } => (ErrorCode::IotHubUnauthorizedAccess, refusal.to_string()),
        };
        Self::new(code, text).already_logged()
    }
}

impl From<UnknownIdentity> for Refusal {
    fn from(error: UnknownIdentity) -> Self {
        let code = match &error {
            UnknownIdentity::Device(_) => ErrorCode::DeviceNotFound,
            UnknownIdentity::Module(..) => ErrorCode::ModuleNotFound,
        };
        Self::new(code, error.to_string())
    }
}

impl From<EtagMismatch> for Refusal {
    fn from(error: EtagMismatch) -> Self {
        Self::new(ErrorCode::PreconditionFailed, error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Closed => Self::new(ErrorCode::ServiceUnavailable, "the hub is stopping"),
            StoreError::Transaction(_) | StoreError::Poisoned(_) => {
                Self::with_cause(ErrorCode::ServiceUnavailable, "the hub cannot store anything now", error.to_string())
            }
            StoreError::Read(_) | StoreError::Inconsistent { .. } => Self::fault(error.to_string()),
        }
    }
}

impl From<InvalidAuthentication> for Refusal {
    fn from(error: InvalidAuthentication) -> Self {
        Self::new(ErrorCode::ArgumentInvalid, error.to_string())
    }
}

impl From<DocumentError> for Refusal {
    fn from(error: DocumentError) -> Self {
        let code = match &error {
            DocumentError::Syntax { .. } => ErrorCode::IotHubFormatError,
            DocumentError::BodyTooLarge { .. } | DocumentError::SectionTooLarge { .. } => ErrorCode::MessageTooLarge,
            DocumentError::NotAnObject { .. }
            | DocumentError::DuplicateKey { .. }
            | DocumentError::TooDeep { .. }
            | DocumentError::EmptyKey { .. }
            | DocumentError::KeyTooLong { .. }
            | DocumentError::KeyCharacter { .. }
            | DocumentError::StringTooLong { .. }
            | DocumentError::NumberOutOfBounds { .. }
            | DocumentError::NullInArray { .. } => ErrorCode::ArgumentInvalid,
        };
        Self::new(code, error.to_string())
    }
}

impl From<CreateDeviceError> for Refusal {
    fn from(error: CreateDeviceError) -> Self {
        match error {
            CreateDeviceError::AlreadyExists(_) => Self::new(ErrorCode::DeviceAlreadyExists, error.to_string()),
            CreateDeviceError::Authentication(error) => error.into(),
            CreateDeviceError::Store(error) => error.into(),
        }
    }
}

impl From<CreateModuleError> for Refusal {
    fn from(error: CreateModuleError) -> Self {
        match error {
            CreateModuleError::DeviceNotFound(device) => UnknownIdentity::Device(device).into(),
            CreateModuleError::AlreadyExists(..) => Self::new(ErrorCode::ModuleAlreadyExistsOnDevice, error.to_string()),
            CreateModuleError::TooMany(_) => Self::new(ErrorCode::TooManyModulesOnDevice, error.to_string()),
            CreateModuleError::Authentication(error) => error.into(),
            CreateModuleError::Store(error) => error.into(),
        }
    }
}

impl From<UpdateIdentityError> for Refusal {
    fn from(error: UpdateIdentityError) -> Self {
        match error {
            UpdateIdentityError::NotFound(error) => error.into(),
            UpdateIdentityError::EtagMismatch(error) => error.into(),
            UpdateIdentityError::Authentication(error) => error.into(),
            UpdateIdentityError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteIdentityError> for Refusal {
    fn from(error: DeleteIdentityError) -> Self {
        match error {
            DeleteIdentityError::NotFound(error) => error.into(),
            DeleteIdentityError::EtagMismatch(error) => error.into(),
            DeleteIdentityError::Store(error) => error.into(),
        }
    }
}

impl From<BulkRequestError> for Refusal {
    fn from(error: BulkRequestError) -> Self {
        match error {
            BulkRequestError::TooMany { .. } | BulkRequestError::Duplicate { .. } => {
                Self::new(ErrorCode::ArgumentInvalid, error.to_string())
            }
            BulkRequestError::Store(error) => error.into(),
        }
    }
}

impl From<TwinReadError> for Refusal {
    fn from(error: TwinReadError) -> Self {
        match error {
            TwinReadError::UnknownIdentity(error) => error.into(),
            TwinReadError::Store(error) => error.into(),
        }
    }
}

impl From<TwinWriteError> for Refusal {
    fn from(error: TwinWriteError) -> Self {
        match error {
            TwinWriteError::UnknownIdentity(error) => error.into(),
            TwinWriteError::EtagMismatch(error) => error.into(),
            TwinWriteError::Document(error) => error.into(),
            TwinWriteError::ReportedByService => Self::new(ErrorCode::ArgumentInvalid, error.to_string()),
            TwinWriteError::Store(error) => error.into(),
        }
    }
}

impl From<CommandReadError> for Refusal {
    fn from(error: CommandReadError) -> Self {
        match error {
            CommandReadError::UnknownIdentity(error) => error.into(),
            CommandReadError::Store(error) => error.into(),
        }
    }
}

impl From<EnqueueError> for Refusal {
    fn from(error: EnqueueError) -> Self {
        let code = match error {
            EnqueueError::UnknownIdentity(error) => return error.into(),
            EnqueueError::Store(error) => return error.into(),
            EnqueueError::QueueFull(_) => ErrorCode::DeviceMaximumQueueDepthExceeded,
            EnqueueError::TooLarge { .. } | EnqueueError::PropertiesTooLarge { .. } => ErrorCode::MessageTooLarge,
            EnqueueError::InvalidExpiry { .. } => ErrorCode::InvalidMessageExpiryTime,
            EnqueueError::MessageIdTooLong { .. } | EnqueueError::InvalidProperty { .. } | EnqueueError::InvalidInput { .. } => {
                ErrorCode::ArgumentInvalid
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<RedriveError> for Refusal {
    fn from(error: RedriveError) -> Self {
        let code = match error {
            RedriveError::UnknownIdentity(error) => return error.into(),
            RedriveError::Store(error) => return error.into(),
            RedriveError::UnknownDeadLetter { .. } => ErrorCode::ResourceNotFound,
            RedriveError::InvalidExpiry { .. } => ErrorCode::InvalidMessageExpiryTime,
        };
        Self::new(code, error.to_string())
    }
}

impl From<InvalidAck> for Refusal {
    fn from(error: InvalidAck) -> Self {
        Self::new(ErrorCode::ArgumentInvalid, error.to_string())
    }
}

impl From<CaReject> for Refusal {
    fn from(error: CaReject) -> Self {
        let code = match &error {
            CaReject::Enrolled | CaReject::TooManyOfSubject { .. } => ErrorCode::ResourceConflict,
            CaReject::TooLong { .. } => ErrorCode::MessageTooLarge,
            CaReject::NotPem
            | CaReject::PrivateKey
            | CaReject::NotOneCertificate { .. }
            | CaReject::Malformed
            | CaReject::Version { .. }
            | CaReject::NoBasicConstraints
            | CaReject::NotCa
            | CaReject::MayNotSign
            | CaReject::Purpose
            | CaReject::Expired { .. }
            | CaReject::NotYetValid { .. }
            | CaReject::WeakKey { .. }
            | CaReject::KeyKind
            | CaReject::CriticalExtension { .. }
            | CaReject::NameConstraint { .. }
            | CaReject::IdScope { .. } => ErrorCode::ArgumentInvalid,
        };
        Self::new(code, error.to_string())
    }
}

impl From<AddCaError> for Refusal {
    fn from(error: AddCaError) -> Self {
        match error {
            AddCaError::AlreadyExists(_) => Self::new(ErrorCode::ResourceConflict, error.to_string()),
            AddCaError::Store(error) => error.into(),
        }
    }
}

impl From<CaError> for Refusal {
    fn from(error: CaError) -> Self {
        match error {
            CaError::NotFound(_) => Self::new(ErrorCode::ResourceNotFound, error.to_string()),
            CaError::Store(error) => error.into(),
        }
    }
}

/// Trust is read anew after a change; what stands in the way is never the caller's fault.
impl From<HubOpenError> for Refusal {
    fn from(error: HubOpenError) -> Self {
        Self::fault(format!("{:#}", anyhow::Error::from(error)))
    }
}

impl From<ReaderError> for Refusal {
    fn from(error: ReaderError) -> Self {
        match error {
            ReaderError::UnknownPartition(error) => error.into(),
        }
    }
}

/// The registry names the event hub, so the log should know it.
impl From<UnknownPartition> for Refusal {
    fn from(error: UnknownPartition) -> Self {
        Self::fault(error.to_string())
    }
}
