//! Registry, device and module twins and the command queue: SQLite behind one writer.

pub mod authentication;
pub mod command_queue;
pub mod document;
pub mod error;
mod operations;

pub use error::{EtagMismatch, SqliteFailure, StoreError, UnknownIdentity};
pub use operations::*;
