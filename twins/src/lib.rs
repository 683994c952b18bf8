//! Registry, device and module twins and the command queue: SQLite behind one writer.

pub mod authentication;
pub mod command_queue;
pub mod document;
mod error;
mod handle;
mod identity_table;
mod operations;
pub mod patch;
mod store;
pub mod twin;

pub use command_queue::{DeadLetterReason, LockLost, LockOwner, LockToken, QueueFull};
pub use error::{EtagMismatch, SqliteFailure, StoreError, UnknownIdentity};
pub use handle::{Config, OpenError, Twins};
pub use identity_table::DeviceStatistics;
pub use operations::*;
pub use store::ConnectionError;
