//! Rows of dead letters.

use model::api::{DeadLetterReason, FeedbackStatus};
use rusqlite::params;

use super::command_rows::{CommandRow, command_columns};
use super::pieces::Span;
use super::row::{from_unsigned, to_unsigned};
use super::unit::{Stop, Unit};
use crate::error::StoreError;
use crate::feedback::Ack;

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
        let ack = self.entry(id, sequence)?.map_or(Ack::None, |entry| entry.ack);
        self.finish_command(id, sequence, ack, outcome(reason))?;
        let mut trim = self.connection.prepare_cached(
            "DELETE FROM dead_letters WHERE identity = ?1 AND sequence <= \
             (SELECT sequence FROM dead_letters WHERE identity = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)",
        )?;
        trim.execute(params![id, from_unsigned(self.settings.dead_letters_max as u64)])?;
        Ok(())
    }

    /// How many dead letters an identity has in a span.
    pub(crate) fn dead_letter_count(&self, id: i64, span: Span) -> Result<u64, rusqlite::Error> {
        let sql = "SELECT count(*) FROM dead_letters WHERE identity = ?1 AND sequence > ?2 AND sequence <= ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_row(params![id, from_unsigned(span.after), from_unsigned(span.last)], |row| row.get(0)).map(to_unsigned)
    }

    /// One dead letter in full.
    pub(crate) fn dead_letter_row<E>(&self, id: i64, sequence: u64) -> Result<CommandRow, Stop<E>> {
        let sql = concat!("SELECT ", command_columns!(), " FROM dead_letters WHERE identity = ?1 AND sequence = ?2");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![id, from_unsigned(sequence)])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(CommandRow::read(row)?)
    }

    /// Removes the dead letters of an identity in a span.
    pub(crate) fn delete_dead_letters(&self, id: i64, span: Span) -> Result<(), rusqlite::Error> {
        let sql = "DELETE FROM dead_letters WHERE identity = ?1 AND sequence > ?2 AND sequence <= ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute(params![id, from_unsigned(span.after), from_unsigned(span.last)])?;
        Ok(())
    }
}
