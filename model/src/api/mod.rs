//! The JSON bodies of the service API, as the official service SDKs write and read them, and
//! those of our own additions.

mod command;
mod consumer_group;
mod error;
mod event;
mod event_hub;
mod feedback;
mod file;
mod identity;
mod method;
mod trust;
mod twin;

pub use command::{
    CommandBody, CommandItem, CommandRequest, CommandSent, CommandState, DeadLetterItem, DeadLetterReason, DeadLettersDeleted, PurgeResult,
    RedriveResult, RedrivenItem,
};
pub use consumer_group::{AssignedPartition, ConsumerGroupInfo, ConsumerGroupMember, ConsumerGroupOffset};
pub use error::{ErrorBody, ErrorCode, ErrorDetail};
pub use event::{EventBody, EventGap, EventItem, EventLine};
pub use event_hub::{
    EventHubInfo, EventHubPatch, EventHubPolicyInfo, EventHubPolicyRequest, EventHubRequest, EventPlace, EventRequest, EventsSent,
    PartitionInfo,
};
pub use feedback::{FEEDBACK_CONTENT_TYPE, FeedbackRecord, FeedbackStatus};
pub use file::{FileInfo, FileLink, FileNotification, FileUploadEnded, FileUploadRequest, FileUploadStarted};
pub use identity::{
    Authentication, AuthenticationType, BulkError, BulkItem, BulkResult, Capabilities, ConnectionState, Device, Module, Status,
    SymmetricKey, X509Thumbprint,
};
pub use method::{MethodRequest, MethodResponse};
pub use trust::{Ca, CaRequest, CaState};
pub use twin::{Twin, TwinPatch, TwinProperties};
