//! What [`Twins`](crate::Twins) can do, a file a subject. Each checks what needs no row, then
//! hands the writer a piece of work, or asks a reader.

mod bulk;
mod command_types;
mod commands;
mod dead_letters;
mod devices;
mod event_hub_policies;
mod event_hubs;
mod file_uploads;
mod modules;
mod new_command;
mod pieces;
mod policies;
mod redrive;
mod registry_errors;
mod service_messages;
mod subscriptions;
mod sweep;
mod trust;
mod twins;

pub use command_types::{
    CommandReadError, DeadLetters, EnqueueError, Enqueued, LockedCommand, NewCommand, Page, RedriveError, SettleError,
};
pub use devices::NewDevice;
pub use event_hub_policies::{CreateEventHubPolicyError, DeleteEventHubPolicyError, EventHubPolicy};
pub use event_hubs::{CreateEventHubError, DeleteEventHubError, EventHub, EventHubChange, NewEventHub, UpdateEventHubError};
pub use file_uploads::{BeginFileUploadError, EndFileUploadError, FileUpload, NewFileUpload};
pub use modules::NewModule;
pub use policies::{CreatePolicyError, PolicyChange};
pub use registry_errors::{BulkRequestError, CreateDeviceError, CreateModuleError, DeleteIdentityError, UpdateIdentityError};
pub use service_messages::{FeedbackMessage, FileNotificationMessage, ServiceMessage};
pub use subscriptions::{StoredSubscription, SubscriptionError};
pub use sweep::Swept;
pub use trust::{AddCaError, CaError, NewCa, StoredCa};
pub use twins::{DesiredChange, DeviceView, IfMatch, ReportedError, TwinChanged, TwinReadError, TwinWriteError};
