//! Twins of devices and modules: reading, changing, and what a device is told of a change.

use bytes::Bytes;
use model::Identity;
use model::api::{Twin, TwinPatch};
use thiserror::Error;

use crate::Twins;
use crate::document::DocumentError;
use crate::error::{EtagMismatch, StoreError, UnknownIdentity};

/// On which condition a write is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whatever is there.
    Any,
    /// Only if this is the present etag, without quotes.
    Etag(String),
    /// No condition was given; the same as [`IfMatch::Any`] for what exists.
    Absent,
}

/// A twin after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct TwinChanged {
    /// The whole twin.
    pub twin: Twin,
    /// What to tell the device, when its desired properties were written.
    pub desired: Option<DesiredChange>,
}

/// A change of desired properties, as a device is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredChange {
    /// The desired version after the change.
    pub version: u64,
    /// The JSON patch as applied, nulls and `$version` included; after a replacement the whole
    /// new document.
    pub body: Bytes,
}

/// A twin as its device sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceView {
    /// `{"desired":{…,"$version":7},"reported":{…,"$version":3}}`, without metadata.
    pub body: Bytes,
    /// The desired version in it.
    pub desired_version: u64,
}

/// Why a twin was not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TwinReadError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a twin was not changed by the service. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TwinWriteError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// Somebody else wrote in between.
    #[error(transparent)]
    EtagMismatch(#[from] EtagMismatch),
    /// The change breaks a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The service wrote reported properties, which only the device may.
    #[error("reported properties are written by the device alone")]
    ReportedByService,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a device's reported properties were not changed. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportedError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// The patch is based on a version that is not the present one.
    #[error("the patch is based on version {base}, the reported properties are at version {current}")]
    VersionMismatch {
        /// The version the device named.
        base: u64,
        /// The present version.
        current: u64,
    },
    /// The `$version` in the patch is not a whole number.
    #[error("the $version of the patch is not a whole number")]
    InvalidVersion,
    /// The patch breaks a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
