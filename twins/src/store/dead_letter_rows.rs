//! Rows of dead letters.

use model::api::{DeadLetterReason, FeedbackStatus};
use rusqlite::{OptionalExtension as _, params};

use super::command_rows::{CommandRow, command_columns};
use super::row::{from_unsigned, to_unsigned};
use super::unit::{Stop, Unit};
use crate::error::StoreError;

/// Sequence numbers and sizes of an identity's dead letters behind one, in order.
pub(crate) const SELECT_SIZES: &str = "SELECT l.sequence, length(l.body) FROM dead_letters l JOIN identities i ON i.id = l.identity \
     WHERE i.device = ?1 AND i.module = ?2 AND l.sequence > ?3 ORDER BY l.sequence LIMIT ?4";

/// An identity's dead letters between two sequence numbers, the first not included.
pub(crate) const SELECT_DEAD_LETTERS: &str = "SELECT l.sequence, l.message_id, l.delivery_count, l.enqueued, l.expiry, l.ack, \
     l.properties, l.body, l.reason, l.time FROM dead_letters l JOIN identities i ON i.id = l.identity \
     WHERE i.device = ?1 AND i.module = ?2 AND l.sequence > ?3 AND l.sequence <= ?4 ORDER BY l.sequence";

/// The reason in a dead letter's row.
pub(crate) fn read_reason(reason: i64) -> Result<DeadLetterReason, StoreError> {
    match reason {
        0 => Ok(DeadLetterReason::Expired),
        1 => Ok(DeadLetterReason::Rejected),
        2 => Ok(DeadLetterReason::DeliveryCountExceeded),
        other => Err(StoreError::Inconsistent { table: "dead_letters", column: "reason", reason: other.to_string() }),
    }
}

fn reason_column(reason: DeadLetterReason) -> i64 {
    match reason {
        DeadLetterReason::Expired => 0,
        DeadLetterReason::Rejected => 1,
        DeadLetterReason::DeliveryCountExceeded => 2,
    }
}

fn outcome(reason: DeadLetterReason) -> FeedbackStatus {
    match reason {
        DeadLetterReason::Expired => FeedbackStatus::Expired,
        DeadLetterReason::Rejected => FeedbackStatus::Rejected,
        DeadLetterReason::DeliveryCountExceeded => FeedbackStatus::DeliveryCountExceeded,
    }
}

impl Unit<'_> {
    /// Moves a command to the dead letters, writes its feedback if that was asked for, and drops
    /// the oldest of too many dead letters.
    pub(crate) fn dead_letter(&mut self, id: i64, sequence: u64, reason: DeadLetterReason) -> Result<(), rusqlite::Error> {
        let mut copy = self.connection.prepare_cached(concat!(
            "INSERT INTO dead_letters (identity, ",
            command_columns!(),
            ", reason, time) SELECT identity, ",
            command_columns!(),
            ", ?3, ?4 FROM commands WHERE identity = ?1 AND sequence = ?2"
        ))?;
        copy.execute(params![id, from_unsigned(sequence), reason_column(reason), self.now().as_milliseconds()])?;
        self.finish_command(id, sequence, outcome(reason))?;
        let mut trim = self.connection.prepare_cached(
            "DELETE FROM dead_letters WHERE identity = ?1 AND sequence <= \
             (SELECT sequence FROM dead_letters WHERE identity = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)",
        )?;
        trim.execute(params![id, from_unsigned(self.settings.dead_letters_max as u64)])?;
        Ok(())
    }

    /// Sequence numbers of an identity's dead letters, the first `limit` in order.
    pub(crate) fn dead_letter_sequences(&self, id: i64, limit: usize) -> Result<Vec<u64>, rusqlite::Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT sequence FROM dead_letters WHERE identity = ?1 ORDER BY sequence LIMIT ?2")?;
        let sequences = statement.query_map(params![id, from_unsigned(limit as u64)], |row| row.get(0).map(to_unsigned))?;
        sequences.collect()
    }

    /// How many dead letters an identity has.
    pub(crate) fn dead_letter_count(&self, id: i64) -> Result<u64, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM dead_letters WHERE identity = ?1")?;
        statement.query_row([id], |row| row.get(0)).map(to_unsigned)
    }

    /// Whether an identity has one dead letter.
    pub(crate) fn has_dead_letter(&self, id: i64, sequence: u64) -> Result<bool, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM dead_letters WHERE identity = ?1 AND sequence = ?2")?;
        Ok(statement.query_row(params![id, from_unsigned(sequence)], |_| Ok(())).optional()?.is_some())
    }

    /// Takes a dead letter out.
    pub(crate) fn take_dead_letter<E>(&self, id: i64, sequence: u64) -> Result<CommandRow, Stop<E>> {
        let sql = concat!("DELETE FROM dead_letters WHERE identity = ?1 AND sequence = ?2 RETURNING ", command_columns!());
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![id, from_unsigned(sequence)])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(CommandRow::read(row)?)
    }

    /// Removes one dead letter, or all of an identity; says how many there were.
    pub(crate) fn delete_dead_letters(&self, id: i64, sequence: Option<u64>) -> Result<usize, rusqlite::Error> {
        let mut statement =
            self.connection.prepare_cached("DELETE FROM dead_letters WHERE identity = ?1 AND (?2 IS NULL OR sequence = ?2)")?;
        statement.execute(params![id, sequence.map(from_unsigned)])
    }
}
