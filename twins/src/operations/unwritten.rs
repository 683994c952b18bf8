#![allow(missing_docs, clippy::todo, clippy::unused_async, unused_variables)]
use std::path::Path;
use std::sync::Arc;
use bytes::Bytes;
use model::api::{Authentication, BulkItem, BulkResult, CaState, Capabilities, CommandItem, Device, Module, Status, Twin, TwinPatch};
use model::partition::PartitionCount;
use model::*;
use super::*;
use crate::error::*;

/// Bounds of the store. `Default` is what a hub runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Operations waiting for the writer; one more waits outside.
    pub queue_entries_max: usize,
    /// Bytes of documents and bodies waiting for the writer; more wait outside.
    pub queue_bytes_max: usize,
    /// Partitions of the built-in event hub, when the database is created.
    pub events_partitions: PartitionCount,
}
#[derive(Debug, Clone)]
pub struct Twins(Arc<()>);
#[derive(Debug, thiserror::Error)]
pub enum OpenError {}
#[derive(Debug, Clone, Default)]
pub struct NewDevice { pub authentication: Authentication, pub status: Status, pub status_reason: Option<String>, pub capabilities: Capabilities }
#[derive(Debug, Clone, Default)]
pub struct NewModule { pub authentication: Authentication, pub managed_by: Option<String> }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceStatistics { pub total: u64, pub enabled: u64, pub disabled: u64 }
impl Twins {
    pub async fn open(path: &Path, clock: Clock, config: Config) -> Result<Self, OpenError> { todo!() }
    pub async fn close(&self) { todo!() }
    pub fn health(&self) -> Result<(), StoreError> { todo!() }
    pub async fn create_device(&self, device: DeviceId, new: NewDevice) -> Result<Device, CreateDeviceError> { todo!() }
    pub async fn update_device(&self, device: DeviceId, new: NewDevice, if_match: IfMatch) -> Result<Device, UpdateIdentityError> { todo!() }
    pub async fn delete_device(&self, device: DeviceId, if_match: IfMatch) -> Result<(), DeleteIdentityError> { todo!() }
    pub async fn device(&self, device: &DeviceId) -> Result<Option<Device>, StoreError> { todo!() }
    pub async fn devices(&self, after: Option<DeviceId>, limit: usize) -> Result<Vec<Device>, StoreError> { todo!() }
    pub async fn create_module(&self, device: DeviceId, module: ModuleId, new: NewModule) -> Result<Module, CreateModuleError> { todo!() }
    pub async fn update_module(&self, device: DeviceId, module: ModuleId, new: NewModule, if_match: IfMatch) -> Result<Module, UpdateIdentityError> { todo!() }
    pub async fn delete_module(&self, device: DeviceId, module: ModuleId, if_match: IfMatch) -> Result<(), DeleteIdentityError> { todo!() }
    pub async fn module(&self, device: &DeviceId, module: &ModuleId) -> Result<Option<Module>, StoreError> { todo!() }
    pub async fn modules(&self, device: &DeviceId) -> Result<Vec<Module>, TwinReadError> { todo!() }
    pub async fn bulk(&self, items: Vec<BulkItem>) -> Result<BulkResult, BulkRequestError> { todo!() }
    pub fn device_statistics(&self) -> DeviceStatistics { todo!() }
    pub fn identity(&self, identity: &Identity) -> Option<Arc<IdentityRecord>> { todo!() }
    pub fn note_connected(&self, identity: &Identity, at: Timestamp) { todo!() }
    pub fn note_disconnected(&self, identity: &Identity, at: Timestamp) { todo!() }
    pub fn note_activity(&self, identity: &Identity, at: Timestamp) { todo!() }
    pub fn note_model_id(&self, identity: &Identity, model_id: &str) { todo!() }
    pub async fn twin(&self, identity: &Identity) -> Result<Twin, TwinReadError> { todo!() }
    pub async fn patch_twin(&self, identity: &Identity, patch: TwinPatch, if_match: IfMatch) -> Result<TwinChanged, TwinWriteError> { todo!() }
    pub async fn replace_twin(&self, identity: &Identity, document: TwinPatch, if_match: IfMatch) -> Result<TwinChanged, TwinWriteError> { todo!() }
    pub async fn device_view(&self, identity: &Identity) -> Result<DeviceView, TwinReadError> { todo!() }
    pub async fn desired_document(&self, identity: &Identity) -> Result<DesiredChange, TwinReadError> { todo!() }
    pub async fn patch_reported(&self, identity: &Identity, patch: Bytes, base_version: Option<u64>) -> Result<u64, ReportedError> { todo!() }
    pub async fn enqueue_command(&self, identity: &Identity, command: NewCommand) -> Result<Enqueued, EnqueueError> { todo!() }
    pub async fn lock_commands(&self, identity: &Identity, owner: LockOwner, limit: usize) -> Result<Vec<LockedCommand>, CommandReadError> { todo!() }
    pub async fn complete_command(&self, identity: &Identity, lock: LockToken) -> Result<(), SettleError> { todo!() }
    pub async fn reject_command(&self, identity: &Identity, lock: LockToken) -> Result<(), SettleError> { todo!() }
    pub async fn abandon_command(&self, identity: &Identity, lock: LockToken) -> Result<(), SettleError> { todo!() }
    pub async fn release_locks(&self, identity: &Identity, owner: LockOwner) { todo!() }
    pub async fn commands(&self, identity: &Identity) -> Result<Vec<CommandItem>, CommandReadError> { todo!() }
    pub async fn dead_letters(&self, identity: &Identity) -> Result<Vec<DeadLetter>, CommandReadError> { todo!() }
    pub async fn purge_commands(&self, identity: &Identity) -> Result<u64, CommandReadError> { todo!() }
    pub async fn subscriptions(&self, identity: &Identity) -> Result<Vec<StoredSubscription>, StoreError> { todo!() }
    pub async fn store_subscriptions(&self, identity: &Identity, subscriptions: Vec<StoredSubscription>) -> Result<(), SubscriptionError> { todo!() }
    pub async fn clear_subscriptions(&self, identity: &Identity) -> Result<(), StoreError> { todo!() }
    pub async fn cas(&self) -> Result<Vec<StoredCa>, StoreError> { todo!() }
    pub async fn add_ca(&self, ca: NewCa) -> Result<StoredCa, AddCaError> { todo!() }
    pub async fn set_ca_state(&self, thumbprint: &str, state: CaState) -> Result<StoredCa, CaError> { todo!() }
    pub async fn delete_ca(&self, thumbprint: &str) -> Result<(), CaError> { todo!() }
    pub async fn policies(&self) -> Result<Vec<Policy>, StoreError> { todo!() }
    pub async fn create_policy(&self, policy: Policy) -> Result<(), CreatePolicyError> { todo!() }
    pub async fn event_hubs(&self) -> Result<Vec<EventHub>, StoreError> { todo!() }
    pub async fn create_event_hub(&self, name: EventHubName, partitions: PartitionCount) -> Result<EventHub, CreateEventHubError> { todo!() }
}
