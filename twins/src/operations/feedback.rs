//! Feedback messages, as the service reads them.

use std::time::Duration;

use model::Timestamp;
use model::api::{DeadLetterReason, FeedbackRecord};

use super::command_types::SettleError;
use super::commands::lock_time;
use crate::command_queue::{CommandQueue, LockHolder, LockLost, LockToken, Settled, Settlement};
use crate::error::StoreError;
use crate::handle::Twins;
use crate::store::{FEEDBACK_QUEUE, Stop, Unit, refuse};

/// A feedback message handed to a reader, which must settle it before its lock ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackMessage {
    /// Names this handing-out when settling.
    pub lock: LockToken,
    /// Its own message id.
    pub message_id: String,
    /// Its position among feedback messages, from 1, never used again.
    pub sequence_number: u64,
    /// How often it was abandoned before.
    pub delivery_count: u32,
    /// When it was formed.
    pub enqueued_time: Timestamp,
    /// When it stops being of use.
    pub expiry_time: Timestamp,
    /// Outcomes in their order, at most 64; as a JSON array they are the message's body.
    pub records: Vec<FeedbackRecord>,
}

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
        self.inner.writer.submit(0, move |unit| unit.receive_feedback(lock)).await
    }

    /// Removes a feedback message that was handed out: it is done with. Durable when this returns.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn complete_feedback(&self, lock: LockToken) -> Result<(), SettleError> {
        self.inner.writer.submit(0, move |unit| unit.settle_feedback(lock, Settlement::Complete)).await
    }

    /// Puts a feedback message that was handed out back in its place and counts that; too many
    /// counts drop it with a line in the log, for nobody reads dead letters of feedback. Durable
    /// when this returns.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn abandon_feedback(&self, lock: LockToken) -> Result<(), SettleError> {
        self.inner.writer.submit(0, move |unit| unit.settle_feedback(lock, Settlement::Abandon)).await
    }
}

impl Unit<'_> {
    fn receive_feedback(&mut self, lock: Duration) -> Result<Option<FeedbackMessage>, Stop<StoreError>> {
        self.form_messages()?;
        self.expire_messages()?;
        let entries = self.first_messages(1 + self.locks.count(FEEDBACK_QUEUE))?;
        let holder = LockHolder::Until(self.now().saturating_add(lock));
        let token = LockToken(rand::random());
        let Some(entry) = CommandQueue::new(entries).lock(holder, 1, self.now(), || token).pop() else { return Ok(None) };
        let row = self.message_row(entry.sequence)?;
        let records = self.message_records::<StoreError>(entry.sequence)?;
        self.locks.set(FEEDBACK_QUEUE, &entry);
        Ok(Some(FeedbackMessage {
            lock: token,
            message_id: row.message_id,
            sequence_number: entry.sequence,
            delivery_count: row.delivery_count,
            enqueued_time: row.enqueued,
            expiry_time: row.expiry,
            records,
        }))
    }

    fn settle_feedback(&mut self, lock: LockToken, settlement: Settlement) -> Result<(), Stop<SettleError>> {
        self.expire_messages()?;
        let Some(sequence) = self.locks.sequence_of(FEEDBACK_QUEUE, lock) else { return refuse(LockLost) };
        let mut queue = CommandQueue::new(self.message_entry(sequence)?.into_iter().collect());
        let settled = queue.settle(lock, settlement, self.now(), self.settings.feedback.delivery_count_max);
        match settled.map_err(|lost| Stop::Refused(lost.into()))? {
            Settled::Completed { sequence } => self.delete_message(sequence)?,
            Settled::DeadLettered { sequence, reason } => self.drop_message(sequence, dropped(reason))?,
            Settled::Requeued(entry) => self.requeue_message(&entry)?,
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
