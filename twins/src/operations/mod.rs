//! What [`Twins`](crate::Twins) can do, a file a subject. Each checks what needs no row, then
//! hands the writer a piece of work, or asks a reader.

mod bulk;
mod command_types;
mod commands;
mod devices;
mod event_hub_policies;
mod event_hubs;
mod modules;
mod registry_errors;
mod subscriptions;
mod trust;
mod twins;

pub use command_types::{Ack, CommandReadError, DeadLetter, EnqueueError, Enqueued, InvalidAck, LockedCommand, NewCommand, SettleError};
pub use devices::NewDevice;
pub use event_hub_policies::{CreateEventHubPolicyError, DeleteEventHubPolicyError, EventHubPolicy};
pub use event_hubs::{CreateEventHubError, DeleteEventHubError, EventHub, EventHubChange, NewEventHub, UpdateEventHubError};
pub use modules::NewModule;
pub use registry_errors::{BulkRequestError, CreateDeviceError, CreateModuleError, DeleteIdentityError, UpdateIdentityError};
pub use subscriptions::{StoredSubscription, SubscriptionError};
pub use trust::{AddCaError, CaError, CreatePolicyError, NewCa, StoredCa};
pub use twins::{DesiredChange, DeviceView, IfMatch, ReportedError, TwinChanged, TwinReadError, TwinWriteError};
