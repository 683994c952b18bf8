//! Event hubs as objects: created, changed and deleted while the hub runs, with policies of their
//! own.
//!
//! The database is the truth; the event log knows each event hub by its id; a view in memory
//! answers by name without waiting. A change goes through them in an order that a crash cannot
//! break: an event hub is defined in the log before anybody finds it, and is found by nobody
//! before its events go. What a crash leaves in the log of a deleted one is removed at the next
//! start ([`EventHubs::open`]).
//!
//! [`EventHubs::access`] decides who may use them through a policy's key.

use std::sync::Arc;

use arc_swap::ArcSwap;
use event_log::{DefineError, EventLog};
use model::{Epoch, EventHubId, EventHubName, EventHubRights, PartitionId, PolicyName};
use thiserror::Error;
use tokio::sync::{Mutex, watch};
use twins::{
    CreateEventHubError, CreateEventHubPolicyError, DeleteEventHubError, DeleteEventHubPolicyError, EventHub, EventHubChange,
    EventHubPolicy, NewEventHub, StoreError, Twins, UpdateEventHubError,
};

use self::view::View;
use crate::drain::Drain;

mod access;
mod configured;
mod in_log;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use access::EventHubGrant;
pub(crate) use configured::{ConfiguredEventHub, EnsureEventHubError, ensure};
pub(crate) use in_log::{INTERNAL, definition};

/// The event hubs of this hub. Cheap to clone.
///
/// Every change is carried out to its end though its caller goes away.
#[derive(Debug, Clone)]
pub(crate) struct EventHubs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    twins: Twins,
    log: EventLog,
    drain: Drain,
    view: ArcSwap<View>,
    /// One change at a time, so that the view never goes back.
    changing: Mutex<()>,
    /// Counts the times that grants ended.
    ended: watch::Sender<u64>,
}

/// Why an event hub was not created or changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DefineEventHubError<E: std::error::Error> {
    /// The database refuses.
    #[error(transparent)]
    Twins(E),
    /// The event log refuses: it has no room for the positions of so many partitions.
    #[error(transparent)]
    Log(DefineError),
    /// It is stored, and what is stored cannot be read back.
    #[error(transparent)]
    Store(StoreError),
}

impl EventHubs {
    /// The event hubs that `twins` holds and `log` knows. Removes from the log what it has of
    /// event hubs that were deleted, the `undefined` ones.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn open(twins: Twins, log: EventLog, drain: Drain, undefined: &[EventHubId]) -> Result<Self, StoreError> {
        for id in undefined.iter().filter(|id| **id != INTERNAL) {
            tracing::info!(event_hub = id.0, "removing the events of an event hub that was deleted");
            in_log::remove(&log, *id).await;
        }
        let inner = Inner {
            twins,
            log,
            drain,
            view: ArcSwap::from_pointee(View::default()),
            changing: Mutex::default(),
            ended: watch::Sender::default(),
        };
        let event_hubs = Self { inner: Arc::new(inner) };
        event_hubs.reload().await?;
        Ok(event_hubs)
    }

    /// The event hub of this name. From memory, without waiting.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<EventHub>> {
        self.inner.view.load().named(name)
    }

    /// The event hub with this topic id. From memory, without waiting.
    pub(crate) fn with_topic_id(&self, topic_id: &[u8; 16]) -> Option<Arc<EventHub>> {
        self.inner.view.load().hubs().find(|hub| hub.topic_id == *topic_id).cloned()
    }

    /// Every event hub in the order of creation; the first is the built-in `events`. From memory.
    pub(crate) fn list(&self) -> Vec<Arc<EventHub>> {
        self.inner.view.load().hubs().cloned().collect()
    }

    /// The partition whose turn it is to get an event, or a batch, without a key.
    pub(crate) fn next_partition(&self, hub: &EventHub) -> PartitionId {
        self.inner.view.load().next_partition(hub)
    }

    /// Creates an event hub, empty.
    ///
    /// # Errors
    /// [`DefineEventHubError`]; then there is none.
    pub(crate) async fn create(&self, new: NewEventHub) -> Result<Arc<EventHub>, DefineEventHubError<CreateEventHubError>> {
        self.carried_out(|this| async move {
            let _one_at_a_time = this.inner.changing.lock().await;
            let hub = this.inner.twins.create_event_hub(new).await.map_err(DefineEventHubError::Twins)?;
            if let Err(error) = this.inner.log.define(definition(&hub)) {
                this.take_back(&hub).await;
                return Err(DefineEventHubError::Log(error));
            }
            this.reread().await.map_err(DefineEventHubError::Store)?;
            tracing::info!(event_hub = %hub.name, id = hub.id.0, partitions = hub.partitions.get(), "created an event hub");
            Ok(Arc::new(hub))
        })
        .await
    }

    /// Changes an event hub's settings; gives it as it is then.
    ///
    /// # Errors
    /// [`DefineEventHubError`]
    pub(crate) async fn update(
        &self,
        name: &EventHubName,
        change: EventHubChange,
    ) -> Result<Arc<EventHub>, DefineEventHubError<UpdateEventHubError>> {
        let name = name.clone();
        self.carried_out(|this| async move {
            let _one_at_a_time = this.inner.changing.lock().await;
            let hub = this.inner.twins.update_event_hub(&name, change).await.map_err(DefineEventHubError::Twins)?;
            this.inner.log.define(definition(&hub)).map_err(DefineEventHubError::Log)?;
            this.reread().await.map_err(DefineEventHubError::Store)?;
            tracing::info!(event_hub = %hub.name, retention = ?hub.retention, message_bytes_max = hub.message_bytes_max, "changed an event hub");
            Ok(Arc::new(hub))
        })
        .await
    }

    /// Deletes an event hub, its policies and its events. Connections that came by its policies
    /// end; readers of its partitions learn that it is gone.
    ///
    /// # Errors
    /// [`DeleteEventHubError`]
    pub(crate) async fn delete(&self, name: &EventHubName) -> Result<(), DeleteEventHubError> {
        let name = name.clone();
        self.carried_out(|this| async move {
            let hub = {
                let _one_at_a_time = this.inner.changing.lock().await;
                let hub = this.inner.twins.delete_event_hub(&name).await?;
                this.reread().await?;
                hub
            };
            in_log::remove(&this.inner.log, hub.id).await;
            tracing::info!(event_hub = %hub.name, id = hub.id.0, "deleted an event hub");
            Ok(())
        })
        .await
    }

    /// The policies of an event hub with their keys, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn policies(&self, hub: &EventHub) -> Result<Vec<EventHubPolicy>, StoreError> {
        let mut policies = self.inner.twins.event_hub_policies().await?;
        policies.retain(|policy| policy.event_hub == hub.id);
        Ok(policies)
    }

    /// Creates a policy of an event hub; its keys count at once.
    ///
    /// # Errors
    /// [`CreateEventHubPolicyError`]
    pub(crate) async fn create_policy(
        &self,
        hub: &EventHubName,
        name: PolicyName,
        rights: EventHubRights,
    ) -> Result<EventHubPolicy, CreateEventHubPolicyError> {
        let hub = hub.clone();
        self.carried_out(|this| async move {
            let policy = this.inner.twins.create_event_hub_policy(&hub, name, rights).await?;
            this.reload().await?;
            Ok(policy)
        })
        .await
    }

    /// Deletes a policy of an event hub. Connections that came by it end.
    ///
    /// # Errors
    /// [`DeleteEventHubPolicyError`]
    pub(crate) async fn delete_policy(&self, hub: &EventHubName, name: &PolicyName) -> Result<(), DeleteEventHubPolicyError> {
        let (hub, name) = (hub.clone(), name.clone());
        self.carried_out(|this| async move {
            this.inner.twins.delete_event_hub_policy(&hub, &name).await?;
            Ok(this.reload().await?)
        })
        .await
    }

    /// Reads event hubs and policies anew; what was granted by a policy that changed or is gone
    /// ends. To be called after the hub's own policies have changed.
    ///
    /// # Errors
    /// [`StoreError`]; then the old ones stay in force.
    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.inner.changing.lock().await;
        self.reread().await
    }

    /// The same for who holds `changing`.
    async fn reread(&self) -> Result<(), StoreError> {
        let Inner { twins, view, ended, .. } = &*self.inner;
        let (hubs, own, hub_wide) = (twins.event_hubs().await?, twins.event_hub_policies().await?, twins.policies().await?);
        let (next, ended_now) = view.load().succeeded_by(hubs, own, hub_wide);
        view.store(Arc::new(next));
        // Only now: whoever is granted something in between looks again.
        ended_now.iter().for_each(Epoch::raise);
        if !ended_now.is_empty() {
            ended.send_modify(|times| *times += 1);
        }
        Ok(())
    }

    /// An event hub that the log does not take was never there.
    async fn take_back(&self, hub: &EventHub) {
        if let Err(error) = self.inner.twins.delete_event_hub(&hub.name).await {
            tracing::error!(event_hub = %hub.name, %error, "an event hub that the event log refuses could not be taken back");
        }
    }

    async fn carried_out<F>(&self, change: impl FnOnce(Self) -> F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.inner.drain.carry_out(change(self.clone())).await
    }
}
