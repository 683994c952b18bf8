//! What happens to commands and messages to the service without anybody looking at them.

use std::collections::BTreeSet;

use model::api::DeadLetterReason;
use model::{Identity, Timestamp};
use tokio::sync::watch;

use crate::error::StoreError;
use crate::handle::Twins;
use crate::service_queue::ServiceQueue;
use crate::store::{Stop, Unit};

/// Commands that one sweep dead-letters, of 1 MiB at the most, and locks it takes back, so that others
/// get between.
const SWEPT_MAX: usize = 512;

/// What a sweep found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Commands that had expired.
    pub expired: u64,
    /// Identities with commands that are to be had again because a reader's lock has ended; who
    /// waits for commands of theirs is to be told.
    pub available: Vec<Identity>,
    /// When to sweep again, at once if that has passed; never unless something changes when
    /// absent.
    pub next: Option<Timestamp>,
}

impl Twins {
    /// Dead-letters commands whose time has passed, takes back commands and messages to the service
    /// whose locks have ended, gathers feedback, and drops messages nobody has read in time. All
    /// that is found by indexes; what is not due is not looked at.
    ///
    /// To be called when the moment in [`Twins::command_deadline`] has come:
    ///
    /// ```no_run
    /// # async fn sleep_until(moment: Option<model::Timestamp>) {}
    /// # async fn sweep(twins: twins::Twins) -> Result<(), twins::StoreError> {
    /// let mut deadline = twins.command_deadline();
    /// loop {
    ///     let next = *deadline.borrow_and_update();
    ///     tokio::select! {
    ///         changed = deadline.changed() => if changed.is_err() { return Ok(()) },
    ///         () = sleep_until(next) => drop(twins.sweep_commands().await?),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep_commands(&self) -> Result<Swept, StoreError> {
        self.inner.writer.submit(0, |unit| unit.sweep()).await
    }

    /// The next moment at which something happens to commands or feedback by itself, none if
    /// nothing will. It may be early: what it was for has been settled meanwhile. It changes with
    /// each commit that brings it forward and with each sweep; the sender is gone when the store
    /// is closed. Copy it out: while a borrow of it is held, the writer waits.
    pub fn command_deadline(&self) -> watch::Receiver<Option<Timestamp>> {
        self.inner.writer.deadline()
    }
}

impl Unit<'_> {
    fn sweep(&mut self) -> Result<Swept, Stop<StoreError>> {
        let back = self.take_back_ended();
        let expired = self.expire_commands()?;
        self.form_messages()?;
        for queue in ServiceQueue::ALL {
            self.expire_messages(queue)?;
        }
        let available = back.into_iter().filter_map(|id| self.identity_with_commands(id).transpose());
        let available = available.collect::<Result<_, rusqlite::Error>>()?;
        Ok(Swept { expired, available, next: self.agenda.next(self.locks.next_end()) })
    }

    /// Takes back what ended locks were on; says from which queues of commands.
    fn take_back_ended(&mut self) -> BTreeSet<i64> {
        let mut back = BTreeSet::new();
        for (queue, expiry) in self.locks.take_ended(self.now(), SWEPT_MAX) {
            if let Some(queue) = ServiceQueue::of_lock_key(queue) {
                self.agenda.note_message(queue, expiry);
            } else {
                self.agenda.note_command(expiry);
                back.insert(queue);
            }
        }
        back
    }

    fn expire_commands(&mut self) -> Result<u64, rusqlite::Error> {
        if !self.is_due(self.agenda.command_expiry) {
            return Ok(0);
        }
        let (expired, has_more) = self.expired_commands(SWEPT_MAX)?;
        for (id, sequence) in &expired {
            self.dead_letter(*id, *sequence, DeadLetterReason::Expired)?;
        }
        self.agenda.command_expiry = if has_more { Some(self.now()) } else { self.next_command_expiry()? };
        Ok(expired.len() as u64)
    }
}
