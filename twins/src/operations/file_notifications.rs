//! Notifications of uploaded files, as the service reads them: the queue of feedback messages
//! once more, with files in it.

use std::time::Duration;

use model::Timestamp;
use model::api::{DeadLetterReason, FileNotification};

use super::command_types::SettleError;
use super::commands::lock_time;
use crate::command_queue::{CommandQueue, LockHolder, LockLost, LockToken, Settled, Settlement};
use crate::error::StoreError;
use crate::handle::Twins;
use crate::store::{FILE_NOTIFICATION_QUEUE, Stop, Unit, refuse};

/// A notification handed to a reader, which must settle it before its lock ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFileNotification {
    /// Names this handing-out when settling.
    pub lock: LockToken,
    /// Its own message id.
    pub message_id: String,
    /// Its position among file notifications, from 1, never used again.
    pub sequence_number: u64,
    /// How often it was abandoned before.
    pub delivery_count: u32,
    /// When it stops being of use.
    pub expiry_time: Timestamp,
    /// Which file; the message's body as JSON.
    pub notification: FileNotification,
}

impl Twins {
    /// Hands out the oldest file notification that nobody has, if there is one. It is to be had
    /// again when it was not settled after `lock`, 5 to 300 s and by default as feedback, or after
    /// a restart.
    ///
    /// Those nobody reads are dropped with a line in the log: when they expire, and the oldest
    /// when there are 10,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn receive_file_notification(&self, lock: Option<Duration>) -> Result<Option<LockedFileNotification>, StoreError> {
        let lock = lock_time(lock, self.inner.settings.feedback.lock);
        self.inner.writer.submit(0, move |unit| unit.receive_notification(lock)).await
    }

    /// Removes a file notification that was handed out: it is done with. Durable when this returns.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn complete_file_notification(&self, lock: LockToken) -> Result<(), SettleError> {
        self.inner.writer.submit(0, move |unit| unit.settle_notification(lock, Settlement::Complete)).await
    }

    /// Puts a file notification that was handed out back in its place and counts that; too many
    /// counts drop it with a line in the log. Durable when this returns.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn abandon_file_notification(&self, lock: LockToken) -> Result<(), SettleError> {
        self.inner.writer.submit(0, move |unit| unit.settle_notification(lock, Settlement::Abandon)).await
    }
}

impl Unit<'_> {
    fn receive_notification(&mut self, lock: Duration) -> Result<Option<LockedFileNotification>, Stop<StoreError>> {
        self.expire_notifications()?;
        let entries = self.first_notifications(1 + self.locks.count(FILE_NOTIFICATION_QUEUE))?;
        let holder = LockHolder::Until(self.now().saturating_add(lock));
        let token = LockToken(rand::random());
        let Some(entry) = CommandQueue::new(entries).lock(holder, 1, self.now(), || token).pop() else { return Ok(None) };
        let row = self.notification_row(entry.sequence)?;
        self.locks.set(FILE_NOTIFICATION_QUEUE, &entry);
        Ok(Some(LockedFileNotification {
            lock: token,
            message_id: row.message_id,
            sequence_number: entry.sequence,
            delivery_count: row.delivery_count,
            expiry_time: row.expiry,
            notification: row.notification,
        }))
    }

    fn settle_notification(&mut self, lock: LockToken, settlement: Settlement) -> Result<(), Stop<SettleError>> {
        let Some(sequence) = self.locks.sequence_of(FILE_NOTIFICATION_QUEUE, lock) else { return refuse(LockLost) };
        let mut queue = CommandQueue::new(self.notification_entry(sequence)?.into_iter().collect());
        let settled = queue.settle(lock, settlement, self.now(), self.settings.feedback.delivery_count_max);
        match settled.map_err(|lost| Stop::Refused(lost.into()))? {
            Settled::Completed(entry) => self.delete_notification(entry.sequence)?,
            Settled::DeadLettered { sequence, reason } => self.drop_notification(sequence, dropped(reason))?,
            Settled::Requeued(entry) => self.requeue_notification(&entry)?,
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
