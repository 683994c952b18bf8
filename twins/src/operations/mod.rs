//! What [`Twins`](crate::Twins) can do, a file a subject. Each checks what needs no row, then
//! hands the writer a piece of work, or asks a reader.

mod commands;
mod event_hubs;
mod registry_errors;
mod subscriptions;
mod trust;
mod twins;
mod unwritten;

pub use commands::{
    Ack, CommandReadError, DeadLetter, DeadLetterReason, EnqueueError, Enqueued, InvalidAck, LockOwner, LockToken, LockedCommand,
    NewCommand, SettleError,
};
pub use event_hubs::{CreateEventHubError, EventHub};
pub use registry_errors::{BulkRequestError, CreateDeviceError, CreateModuleError, DeleteIdentityError, UpdateIdentityError};
pub use subscriptions::{StoredSubscription, SubscriptionError};
pub use trust::{AddCaError, CaError, CreatePolicyError, NewCa, StoredCa};
pub use twins::{DesiredChange, DeviceView, IfMatch, ReportedError, TwinChanged, TwinReadError, TwinWriteError};
pub use unwritten::*;
