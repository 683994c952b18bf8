//! The vocabulary every other crate speaks: who ([`id`]), what ([`message`]), where in the
//! buffer ([`partition`], [`event_hub`]), how much ([`limits`]), when ([`clock`]) and the JSON that the service
//! API exchanges ([`api`]).
//!
//! Nothing here performs IO, reads a clock by itself or knows a socket.

pub mod api;
pub mod clock;
pub mod connection_string;
pub mod credential;
pub mod event_hub;
pub mod id;
pub mod limits;
pub mod message;
pub mod partition;
pub mod property_bag;

pub use clock::{Clock, Timestamp};
pub use credential::{Credentials, Epoch, EventHubRights, IdentityRecord, Policy, Rights, Secret, Thumbprint};
pub use event_hub::{PolicyName, Retention};
pub use id::{DeviceId, Identity, InvalidId, ModuleId};
pub use message::{Message, MessageProperties, SystemProperties};
pub use partition::{EventHubId, EventHubName, PartitionId, SequenceNumber};
