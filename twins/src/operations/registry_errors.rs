//! What the registry's operations can answer beside success.

use model::limits::MODULES_PER_DEVICE_MAX;
use model::{DeviceId, ModuleId};
use thiserror::Error;

use crate::authentication::InvalidAuthentication;
use crate::error::{EtagMismatch, StoreError, UnknownIdentity};

/// Why a device was not created. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateDeviceError {
    /// The id is taken.
    #[error("device {0} exists already")]
    AlreadyExists(DeviceId),
    /// The credentials cannot be used.
    #[error(transparent)]
    Authentication(#[from] InvalidAuthentication),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a module was not created. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateModuleError {
    /// The device is not registered.
    #[error("device {0} is not registered")]
    DeviceNotFound(DeviceId),
    /// The id is taken on this device.
    #[error("device {0} has a module {1} already")]
    AlreadyExists(DeviceId, ModuleId),
    /// The device has as many modules as it may.
    #[error("device {0} has {MODULES_PER_DEVICE_MAX} modules, the most it may have")]
    TooMany(DeviceId),
    /// The credentials cannot be used.
    #[error(transparent)]
    Authentication(#[from] InvalidAuthentication),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a device or module was not updated. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpdateIdentityError {
    /// No such device or module.
    #[error(transparent)]
    NotFound(#[from] UnknownIdentity),
    /// Somebody else wrote in between.
    #[error(transparent)]
    EtagMismatch(#[from] EtagMismatch),
    /// The credentials cannot be used.
    #[error(transparent)]
    Authentication(#[from] InvalidAuthentication),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a device or module was not deleted. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeleteIdentityError {
    /// No such device or module.
    #[error(transparent)]
    NotFound(#[from] UnknownIdentity),
    /// Somebody else wrote in between.
    #[error(transparent)]
    EtagMismatch(#[from] EtagMismatch),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a bulk request was refused as a whole. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BulkRequestError {
    /// More than 100 operations.
    #[error("a bulk request may have at most {} operations, this one has {count}", model::limits::BULK_OPERATIONS_MAX)]
    TooMany {
        /// How many it has.
        count: usize,
    },
    /// Two operations on one identity.
    #[error("a bulk request may name each identity once, {id:?} is named again")]
    Duplicate {
        /// The identity as written, `device` or `device/module`.
        id: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
