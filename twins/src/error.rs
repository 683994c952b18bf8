//! Errors that several operations share. Each operation's own enum lies beside it.

use model::{DeviceId, EventHubName, Identity, ModuleId};
use thiserror::Error;

/// No such identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnknownIdentity {
    /// The device is not registered; nor are any modules of it.
    #[error("device {0} is not registered")]
    Device(DeviceId),
    /// The device is registered, the module is not.
    #[error("device {0} has no module {1}")]
    Module(DeviceId, ModuleId),
}

impl UnknownIdentity {
    /// What to say of `identity`, which was looked for and not found.
    pub(crate) fn of(identity: &Identity, device_exists: bool) -> Self {
        match &identity.module {
            Some(module) if device_exists => Self::Module(identity.device.clone(), module.clone()),
            Some(_) | None => Self::Device(identity.device.clone()),
        }
    }
}

/// No such event hub.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no event hub {0}")]
pub struct UnknownEventHub(pub EventHubName);

/// The etag a writer named is not the present one: somebody else wrote in between.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the etag {given:?} does not match the present one, {current:?}")]
pub struct EtagMismatch {
    /// What the writer named.
    pub given: String,
    /// What it is.
    pub current: String,
}

/// What SQLite said.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} (SQLite code {code:?})")]
pub struct SqliteFailure {
    /// The extended result code, absent when the failure is not SQLite's own.
    pub code: Option<i32>,
    /// SQLite's text.
    pub message: String,
}

/// The database could not do its part; the caller is not at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The store has been closed: the hub is stopping.
    #[error("the store is closed")]
    Closed,
    /// The transaction this write was part of failed. Nothing was acknowledged; whether the
    /// write is on disk is known only after a restart when the failure was one of IO.
    #[error("the transaction failed: {0}")]
    Transaction(SqliteFailure),
    /// An earlier transaction failed on IO, and no write is taken until a restart.
    #[error("no writes are taken since an earlier one failed: {0}")]
    Poisoned(SqliteFailure),
    /// A read failed.
    #[error("a read failed: {0}")]
    Read(SqliteFailure),
    /// A row holds what this code never wrote.
    #[error("column {column} of table {table} holds what it should not: {reason}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl From<rusqlite::Error> for SqliteFailure {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|e| e.extended_code);
        Self { code, message: error.to_string() }
    }
}

impl From<sqlx::Error> for SqliteFailure {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse().ok());
        Self { code, message: error.to_string() }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolClosed) { Self::Closed } else { Self::Read(error.into()) }
    }
}
