//! Messages to the service: handed out, and settled by their lock. Of its own each kind has only
//! what it says.

use std::time::Duration;

use model::Timestamp;
use model::api::{DeadLetterReason, FeedbackRecord, FileNotification};

use super::command_types::SettleError;
use super::commands::lock_time;
use crate::command_queue::{CommandQueue, LockHolder, LockLost, LockToken, Settled, Settlement};
use crate::error::StoreError;
use crate::handle::Twins;
use crate::service_queue::ServiceQueue;
use crate::store::{Stop, Unit, refuse};

/// A message handed to a reader, which must settle it before its lock ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceMessage<T> {
    /// Names this handing-out when settling.
    pub lock: LockToken,
    /// Its own message id.
    pub message_id: String,
    /// Its position in its queue, from 1, never used again.
    pub sequence_number: u64,
    /// How often it was abandoned before.
    pub delivery_count: u32,
    /// When it was written.
    pub enqueued_time: Timestamp,
    /// When it stops being of use.
    pub expiry_time: Timestamp,
    /// What it says; as JSON it is the message's body.
    pub content: T,
}

/// Outcomes of commands in their order, at most 64.
pub type FeedbackMessage = ServiceMessage<Vec<FeedbackRecord>>;

/// Which file was uploaded.
pub type FileNotificationMessage = ServiceMessage<FileNotification>;

impl Twins {
    /// Hands out the oldest feedback message that nobody has, if there is one. It is to be had
    /// again when it was not settled after `lock`, 5 to 300 s and by default the configured time,
    /// or after a restart.
    ///
    /// A message is formed of 64 records or once the oldest is 15 s old. Those nobody reads are
    /// dropped with a line in the log: when they expire, and the oldest when there are 1,024.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn receive_feedback(&self, lock: Option<Duration>) -> Result<Option<FeedbackMessage>, StoreError> {
        let lock = lock_time(lock, self.inner.settings.feedback.lock);
        let receive = move |unit: &mut Unit<'_>| {
            unit.form_messages()?;
            unit.receive_message(ServiceQueue::Feedback, lock, Unit::message_records)
        };
        self.inner.writer.submit(0, receive).await
    }

    /// Hands out the oldest file notification that nobody has, if there is one, as
    /// [`Self::receive_feedback`] does; of these the oldest is dropped when there are 10,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn receive_file_notification(&self, lock: Option<Duration>) -> Result<Option<FileNotificationMessage>, StoreError> {
        let lock = lock_time(lock, self.inner.settings.feedback.lock);
        let read = |unit: &Unit<'_>, sequence| Ok(unit.notification(sequence)?);
        self.inner.writer.submit(0, move |unit| unit.receive_message(ServiceQueue::FileNotifications, lock, read)).await
    }

    /// Removes a message that was handed out: it is done with. Durable when this returns.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn complete_message(&self, queue: ServiceQueue, lock: LockToken) -> Result<(), SettleError> {
        self.inner.writer.submit(0, move |unit| unit.settle_message(queue, lock, Settlement::Complete)).await
    }

    /// Puts a message that was handed out back in its place and counts that; too many counts drop
    /// it with a line in the log, for nobody reads dead letters of these. Durable when this
    /// returns.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn abandon_message(&self, queue: ServiceQueue, lock: LockToken) -> Result<(), SettleError> {
        self.inner.writer.submit(0, move |unit| unit.settle_message(queue, lock, Settlement::Abandon)).await
    }
}

impl Unit<'_> {
    /// Hands out the first message that nobody has; `read` reads what it says.
    fn receive_message<T>(
        &mut self,
        queue: ServiceQueue,
        lock: Duration,
        read: impl FnOnce(&Self, u64) -> Result<T, Stop<StoreError>>,
    ) -> Result<Option<ServiceMessage<T>>, Stop<StoreError>> {
        self.expire_messages(queue)?;
        let entries = self.first_messages(queue, 1 + self.locks.count(queue.lock_key()))?;
        let holder = LockHolder::Until(self.now().saturating_add(lock));
        let token = LockToken(rand::random());
        let Some(entry) = CommandQueue::new(entries).lock(holder, 1, self.now(), || token).pop() else { return Ok(None) };
        let envelope = self.message_envelope(queue, entry.sequence)?;
        let content = read(self, entry.sequence)?;
        self.locks.set(queue.lock_key(), &entry);
        Ok(Some(ServiceMessage {
            lock: token,
            message_id: envelope.message_id,
            sequence_number: entry.sequence,
            delivery_count: envelope.delivery_count,
            enqueued_time: envelope.enqueued,
            expiry_time: envelope.expiry,
            content,
        }))
    }

    fn settle_message(&mut self, queue: ServiceQueue, lock: LockToken, settlement: Settlement) -> Result<(), Stop<SettleError>> {
        self.expire_messages(queue)?;
        let Some(sequence) = self.locks.sequence_of(queue.lock_key(), lock) else { return refuse(LockLost) };
        let mut entries = CommandQueue::new(self.message_entry(queue, sequence)?.into_iter().collect());
        let settled = entries.settle(lock, settlement, self.now(), self.settings.feedback.delivery_count_max);
        match settled.map_err(|lost| Stop::Refused(lost.into()))? {
            Settled::Completed(entry) => self.delete_message(queue, entry.sequence)?,
            Settled::DeadLettered { entry, reason } => self.drop_message(queue, entry.sequence, dropped(reason))?,
            Settled::Requeued(entry) => self.requeue_message(queue, &entry)?,
        }
        Ok(())
    }
}

fn dropped(reason: DeadLetterReason) -> &'static str {
    match reason {
        DeadLetterReason::Expired => "nobody read it in time",
        DeadLetterReason::Rejected => "its reader rejected it",
        DeadLetterReason::DeliveryCountExceeded => "it was abandoned too often",
    }
}
