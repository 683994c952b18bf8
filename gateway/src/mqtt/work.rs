//! What a connection asks of the store, one thing after another, so that a device's operations
//! take effect in the order it sent them.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use model::Identity;
use mqtt_proto::session::{Receipt, SubscribeReceipt, UnsubscribeReceipt};
use mqtt_proto::wire::{QoS, ReasonCode};
use twins::{
    CommandReadError, DesiredChange, DeviceView, LockOwner, LockToken, LockedCommand, ReportedError, SettleError, StoredSubscription,
    SubscriptionError, TwinReadError,
};

use crate::hub::Hub;

/// Operations waiting before the socket is no longer read.
const PENDING_MAX: usize = 64;

/// An operation.
#[derive(Debug)]
pub(super) enum Work {
    /// Read the twin.
    TwinGet { rid: String, receipt: Option<Receipt> },
    /// Change the reported properties.
    ReportedPatch { rid: String, base_version: Option<u64>, patch: Bytes, receipt: Option<Receipt> },
    /// Make new subscriptions outlive the connection, then answer SUBSCRIBE.
    Subscribe { stored: Option<Vec<StoredSubscription>>, receipt: SubscribeReceipt, results: Vec<Result<QoS, ReasonCode>> },
    /// The same for UNSUBSCRIBE.
    Unsubscribe { stored: Option<Vec<StoredSubscription>>, receipt: UnsubscribeReceipt, results: Vec<ReasonCode> },
    /// Take commands from the queue.
    LockCommands { limit: usize },
    /// A command is done with.
    Complete { lock: LockToken },
    /// A command is refused by the device, or cannot be sent to it.
    Reject { lock: LockToken },
    /// Read the desired properties after a change was missed.
    ReadDesired,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Done {
    TwinGet { rid: String, receipt: Option<Receipt>, view: Result<DeviceView, TwinReadError> },
    ReportedPatch { rid: String, receipt: Option<Receipt>, version: Result<u64, ReportedError> },
    Subscribed { receipt: SubscribeReceipt, results: Vec<Result<QoS, ReasonCode>>, stored: Result<(), SubscriptionError> },
    Unsubscribed { receipt: UnsubscribeReceipt, results: Vec<ReasonCode>, stored: Result<(), SubscriptionError> },
    Commands { asked: usize, commands: Result<Vec<LockedCommand>, CommandReadError> },
    Settled(Result<(), SettleError>),
    Desired(Result<DesiredChange, TwinReadError>),
}

/// The operations of one connection.
pub(super) struct WorkQueue {
    hub: Arc<Hub>,
    identity: Identity,
    owner: LockOwner,
    waiting: VecDeque<Work>,
    running: Option<Pin<Box<dyn Future<Output = Done> + Send>>>,
}

impl WorkQueue {
    pub(super) fn new(hub: Arc<Hub>, identity: Identity, owner: LockOwner) -> Self {
        Self { hub, identity, owner, waiting: VecDeque::new(), running: None }
    }

    pub(super) fn push(&mut self, work: Work) {
        self.waiting.push_back(work);
    }

    /// Whether the socket may be read.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < PENDING_MAX
    }

    /// Whether nothing waits or runs.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_none()
    }

    /// Ready with the outcome of the oldest operation.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        if self.running.is_none() {
            let Some(work) = self.waiting.pop_front() else { return Poll::Pending };
            self.running = Some(Box::pin(perform(self.hub.clone(), self.identity.clone(), self.owner, work)));
        }
        let Some(running) = &mut self.running else { return Poll::Pending };
        let done = ready!(running.as_mut().poll(cx));
        self.running = None;
        Poll::Ready(done)
    }
}

async fn perform(hub: Arc<Hub>, identity: Identity, owner: LockOwner, work: Work) -> Done {
    let twins = &hub.twins;
    match work {
        Work::TwinGet { rid, receipt } => Done::TwinGet { rid, receipt, view: twins.device_view(&identity).await },
        Work::ReportedPatch { rid, base_version, patch, receipt } => {
            let version = twins.patch_reported(&identity, patch, base_version).await;
            Done::ReportedPatch { rid, receipt, version }
        }
        Work::Subscribe { stored, receipt, results } => Done::Subscribed { receipt, results, stored: store(&hub, &identity, stored).await },
        Work::Unsubscribe { stored, receipt, results } => {
            Done::Unsubscribed { receipt, results, stored: store(&hub, &identity, stored).await }
        }
        Work::LockCommands { limit } => Done::Commands { asked: limit, commands: twins.lock_commands(&identity, owner, limit).await },
        Work::Complete { lock } => Done::Settled(twins.complete_command(&identity, lock).await),
        Work::Reject { lock } => Done::Settled(twins.reject_command(&identity, lock).await),
        Work::ReadDesired => Done::Desired(twins.desired_document(&identity).await),
    }
}

/// Sessions that end with their connection store nothing.
async fn store(hub: &Hub, identity: &Identity, subscriptions: Option<Vec<StoredSubscription>>) -> Result<(), SubscriptionError> {
    match subscriptions {
        Some(subscriptions) => hub.twins.store_subscriptions(identity, subscriptions).await,
        None => Ok(()),
    }
}
