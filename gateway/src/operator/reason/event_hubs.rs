//! Of event hubs, their policies, and of events sent to them.

use event_log::{DefineError, LogFailed, StageError};
use model::api::ErrorCode;
use model::event_hub::InvalidEventHubSetting;
use twins::{
    CreateEventHubError, CreateEventHubPolicyError, DeleteEventHubError, DeleteEventHubPolicyError, UnknownEventHub, UpdateEventHubError,
};

use crate::event_hubs::DefineEventHubError;
use crate::https::Refusal;

impl From<UnknownEventHub> for Refusal {
    fn from(error: UnknownEventHub) -> Self {
        Self::new(ErrorCode::ResourceNotFound, error.to_string())
    }
}

impl From<InvalidEventHubSetting> for Refusal {
    fn from(error: InvalidEventHubSetting) -> Self {
        Self::new(ErrorCode::ArgumentInvalid, error.to_string())
    }
}

impl<E: std::error::Error + Into<Self>> From<DefineEventHubError<E>> for Refusal {
    fn from(error: DefineEventHubError<E>) -> Self {
        match error {
            DefineEventHubError::Twins(error) => error.into(),
            DefineEventHubError::Log(error @ DefineError::TooManyPartitions { .. }) => {
                Self::new(ErrorCode::ArgumentInvalid, error.to_string())
            }
            DefineEventHubError::Log(error @ (DefineError::PartitionCount { .. } | DefineError::Removed { .. })) => {
                Self::fault(error.to_string())
            }
            DefineEventHubError::Store(error) => error.into(),
        }
    }
}

impl From<CreateEventHubError> for Refusal {
    fn from(error: CreateEventHubError) -> Self {
        match error {
            CreateEventHubError::AlreadyExists(_) => Self::new(ErrorCode::ResourceConflict, error.to_string()),
            CreateEventHubError::Setting(error) => error.into(),
            CreateEventHubError::Store(error) => error.into(),
        }
    }
}

impl From<UpdateEventHubError> for Refusal {
    fn from(error: UpdateEventHubError) -> Self {
        match error {
            UpdateEventHubError::NotFound(error) => error.into(),
            UpdateEventHubError::Partitions { .. } => Self::new(ErrorCode::ArgumentInvalid, error.to_string()),
            UpdateEventHubError::Setting(error) => error.into(),
            UpdateEventHubError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteEventHubError> for Refusal {
    fn from(error: DeleteEventHubError) -> Self {
        match error {
            DeleteEventHubError::NotFound(error) => error.into(),
            DeleteEventHubError::BuiltIn => Self::new(ErrorCode::ResourceConflict, error.to_string()),
            DeleteEventHubError::Store(error) => error.into(),
        }
    }
}

impl From<CreateEventHubPolicyError> for Refusal {
    fn from(error: CreateEventHubPolicyError) -> Self {
        match error {
            CreateEventHubPolicyError::NotFound(error) => error.into(),
            CreateEventHubPolicyError::AlreadyExists(..) | CreateEventHubPolicyError::TooMany(_) => {
                Self::new(ErrorCode::ResourceConflict, error.to_string())
            }
            CreateEventHubPolicyError::NoRights => Self::new(ErrorCode::ArgumentInvalid, error.to_string()),
            CreateEventHubPolicyError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteEventHubPolicyError> for Refusal {
    fn from(error: DeleteEventHubPolicyError) -> Self {
        match error {
            DeleteEventHubPolicyError::EventHubNotFound(error) => error.into(),
            DeleteEventHubPolicyError::NotFound(..) => Self::new(ErrorCode::ResourceNotFound, error.to_string()),
            DeleteEventHubPolicyError::Store(error) => error.into(),
        }
    }
}

impl From<LogFailed> for Refusal {
    fn from(error: LogFailed) -> Self {
        match &error {
            LogFailed::Closed => Self::new(ErrorCode::ServiceUnavailable, "the hub is stopping"),
            LogFailed::Poisoned { .. } | LogFailed::Full { .. } => {
                Self::with_cause(ErrorCode::ServiceUnavailable, "the hub cannot store anything now", error.to_string())
            }
        }
    }
}

impl From<StageError> for Refusal {
    fn from(error: StageError) -> Self {
        match error {
            // It was there when the request came.
            StageError::UnknownPartition(_) => Self::new(ErrorCode::ResourceNotFound, "the event hub has been deleted"),
            StageError::BatchTooLarge { .. } => Self::new(ErrorCode::MessageTooLarge, error.to_string()),
            // What is sent here is no idempotent producer's.
            StageError::EmptyBatch
            | StageError::PermitTooSmall { .. }
            | StageError::OutOfOrderSequence { .. }
            | StageError::ProducerFenced { .. } => Self::fault(error.to_string()),
            StageError::Log(error) => error.into(),
        }
    }
}
