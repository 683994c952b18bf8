//! Who exists and what is known of them: the registry of devices and modules, their twins, their
//! queues of commands, subscriptions of persistent sessions, and with them the hub's other
//! definitions (certificate authorities, policies, event hubs). One SQLite database; [`Twins`] is
//! the handle.
//!
//! # Promises
//! - What is answered is committed, and a commit is synced: WAL with `synchronous=FULL`, read back
//!   at start. Operations that wait are committed in groups, one sync for all of them.
//! - What is refused has written nothing.
//! - A read sees everything answered before it.
//! - `$version` and etags strictly grow and are not used again; of several writers with one etag
//!   one wins, because there is one writer.
//! - The queue to the writer is bounded in entries and bytes; when it is full, callers wait.
//! - After a failure of IO no write is taken until a restart, and [`Twins::health`] says why.
//!   Reading goes on.
//!
//! # What is where
//! [`document`], [`patch`], [`twin`], [`command_queue`], [`feedback`] and [`authentication`] are the
//! rules: pure, without IO, time passed in. `operations` is the handle's methods, `store` the database below
//! them, `identity_table` what is held in memory so that admission and telemetry touch no disk.
//!
//! Not here: packets, topics, wire codes (but the names that a bulk answer must carry), and the
//! judging of certificates, which are opaque texts here.
//!
//! # Why two SQLite libraries
//! The schema is migrated and every read is made through sqlx, on read-only connections. The
//! writer uses rusqlite on a thread of its own: sqlx hands each statement to a thread and back,
//! and a patch needs what is stored before it can be computed, so that it cannot be one statement
//! for the whole group. Measured on two busy cores, one upsert of 200 in a transaction: 0.5 µs by
//! rusqlite, 12 to 39 µs by sqlx. Of reported patches by 200 clients, 18,200 a second while the
//! disk syncs slowly (408 rows a second at one row a commit), 97,000 while it syncs fast (8,780),
//! where the 11 to 14 µs of CPU a patch are the limit (`cargo bench -p twins --bench patches`).
//! Both libraries link one SQLite, 3.51.3.
//!
//! # Secrets
//! Keys of devices and policies are stored as they are, because tokens are verified with them.
//! The database file and every backup of it hold them.

pub mod authentication;
pub mod command_queue;
mod command_settings;
pub mod document;
mod error;
mod exercise;
pub mod feedback;
mod handle;
mod identity_table;
mod operations;
pub mod patch;
mod service_queue;
mod store;
pub mod twin;

pub use command_queue::{InvalidLockToken, LockLost, LockOwner, LockToken, QueueFull};
pub use command_settings::{CommandSettings, FeedbackSettings, InvalidCommandSetting};
pub use error::{EtagMismatch, SqliteFailure, StoreError, UnknownEventHub, UnknownIdentity};
pub use exercise::exercise_document;
pub use feedback::{Ack, InvalidAck};
pub use handle::{Config, OpenError, Twins};
pub use identity_table::DeviceStatistics;
pub use model::api::DeadLetterReason;
pub use operations::*;
pub use service_queue::ServiceQueue;
pub use store::{ConnectionError, read_event_hub_names};
