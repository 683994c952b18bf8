//! When commands and messages to the service change by themselves, so that nobody has to look for it.

use model::Timestamp;
use rusqlite::Connection;

use super::feedback_rows::read_gathering;
use super::service_queue_rows::next_expiry;
use crate::error::StoreError;
use crate::feedback::Gathering;
use crate::service_queue::ServiceQueue;

/// Moments before which nothing happens; that one has come does not mean that something does. A
/// copy made before a transaction is put back when that fails.
///
/// The ends of locks are in the table of locks. What is handed out is not in here while its expiry
/// has passed: it is noted again when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Agenda {
    /// No command expires before this.
    pub(crate) command_expiry: Option<Timestamp>,
    /// No feedback message expires before this.
    feedback_expiry: Option<Timestamp>,
    /// No file notification expires before this.
    notification_expiry: Option<Timestamp>,
    /// Records that wait to become a feedback message.
    pub(crate) gathering: Gathering,
}

impl Agenda {
    /// What the rows say at start.
    pub(crate) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::Read(error.into());
        let command: Option<i64> = connection.query_row("SELECT min(expiry) FROM commands", [], |row| row.get(0)).map_err(failed)?;
        // Whatever has expired meanwhile, too.
        let message_expiry = |queue| next_expiry(connection, queue, Timestamp::from_milliseconds(i64::MIN)).map_err(failed);
        Ok(Self {
            command_expiry: command.map(Timestamp::from_milliseconds),
            feedback_expiry: message_expiry(ServiceQueue::Feedback)?,
            notification_expiry: message_expiry(ServiceQueue::FileNotifications)?,
            gathering: read_gathering(connection).map_err(failed)?,
        })
    }

    /// There is a command with this expiry that nobody has.
    pub(crate) fn note_command(&mut self, expiry: Timestamp) {
        self.command_expiry = earliest([self.command_expiry, Some(expiry)]);
    }

    /// There is a message with this expiry in a queue that nobody has.
    pub(crate) fn note_message(&mut self, queue: ServiceQueue, expiry: Timestamp) {
        let noted = self.message_expiry(queue);
        *noted = earliest([*noted, Some(expiry)]);
    }

    /// Before which no message of a queue expires.
    pub(crate) fn message_expiry(&mut self, queue: ServiceQueue) -> &mut Option<Timestamp> {
        match queue {
            ServiceQueue::Feedback => &mut self.feedback_expiry,
            ServiceQueue::FileNotifications => &mut self.notification_expiry,
        }
    }

    /// The next moment at which something may happen; `lock_end` is the first end of a lock.
    pub(crate) fn next(&self, lock_end: Option<Timestamp>) -> Option<Timestamp> {
        let messages = [self.feedback_expiry, self.notification_expiry, self.gathering.deadline()];
        earliest(messages.into_iter().chain([self.command_expiry, lock_end]))
    }
}

/// The first of the moments that there are.
pub(crate) fn earliest(moments: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    moments.into_iter().flatten().min()
}
