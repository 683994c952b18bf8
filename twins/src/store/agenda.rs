//! When commands and feedback change by themselves, so that nobody has to look for it.

use model::Timestamp;
use rusqlite::Connection;

use super::feedback_rows::read_gathering;
use crate::error::StoreError;
use crate::feedback::Gathering;

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
    pub(crate) message_expiry: Option<Timestamp>,
    /// Records that wait to become a feedback message.
    pub(crate) gathering: Gathering,
    /// Since when there has been a feedback message that no sweep has told of.
    pub(crate) message_since: Option<Timestamp>,
}

impl Agenda {
    /// What the rows say at start.
    pub(crate) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::Read(error.into());
        let first = |sql| connection.query_row(sql, [], |row| row.get(0)).map_err(failed);
        let moment = |milliseconds: Option<i64>| milliseconds.map(Timestamp::from_milliseconds);
        Ok(Self {
            command_expiry: moment(first("SELECT min(expiry) FROM commands")?),
            message_expiry: moment(first("SELECT min(expiry) FROM feedback_messages")?),
            gathering: read_gathering(connection).map_err(failed)?,
            message_since: moment(first("SELECT min(enqueued) FROM feedback_messages")?),
        })
    }

    /// There is a command with this expiry that nobody has.
    pub(crate) fn note_command(&mut self, expiry: Timestamp) {
        self.command_expiry = earliest([self.command_expiry, Some(expiry)]);
    }

    /// There is a feedback message with this expiry that nobody has.
    pub(crate) fn note_message(&mut self, expiry: Timestamp) {
        self.message_expiry = earliest([self.message_expiry, Some(expiry)]);
    }

    /// The next moment at which something may happen; `lock_end` is the first end of a lock.
    pub(crate) fn next(&self, lock_end: Option<Timestamp>) -> Option<Timestamp> {
        earliest([self.command_expiry, self.message_expiry, self.gathering.deadline(), self.message_since, lock_end])
    }
}

/// The first of the moments that there are.
pub(crate) fn earliest(moments: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    moments.into_iter().flatten().min()
}
