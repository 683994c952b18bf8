//! Rows of commands and dead letters.

use model::{Timestamp, property_bag};
use rusqlite::params;

use super::row::{ReadRow, from_unsigned, to_unsigned};
use super::unit::{Stop, Unit};
use crate::command_queue::{CommandQueue, DeadLetterReason, Entry};
use crate::error::{SqliteFailure, StoreError};

/// Dead letters kept of one identity; of more the oldest go.
pub(crate) const DEAD_LETTERS_MAX: i64 = 100;

const COLUMNS: &str = "sequence, message_id, delivery_count, enqueued, expiry, ack, properties, body";

pub(crate) const SELECT_DEAD_LETTERS: &str = "SELECT l.sequence, l.message_id, l.delivery_count, l.enqueued, l.expiry, l.ack, \
     l.properties, l.body, l.reason, l.time FROM dead_letters l JOIN identities i ON i.id = l.identity \
     WHERE i.device = ?1 AND i.module = ?2 ORDER BY l.sequence";

/// A command, or a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandRow {
    pub(crate) sequence: u64,
    pub(crate) message_id: String,
    pub(crate) delivery_count: u32,
    pub(crate) enqueued: Timestamp,
    pub(crate) expiry: Timestamp,
    pub(crate) ack: String,
    /// All properties as a property bag.
    pub(crate) properties: String,
    pub(crate) body: Vec<u8>,
}

impl CommandRow {
    pub(crate) fn read(row: &impl ReadRow) -> Result<Self, SqliteFailure> {
        Ok(Self {
            sequence: row.unsigned(0)?,
            message_id: row.column(1)?,
            delivery_count: u32::try_from(row.unsigned(2)?).unwrap_or(u32::MAX),
            enqueued: Timestamp::from_milliseconds(row.column(3)?),
            expiry: Timestamp::from_milliseconds(row.column(4)?),
            ack: row.column(5)?,
            properties: row.column(6)?,
            body: row.column(7)?,
        })
    }

    /// The properties that the bag holds.
    pub(crate) fn message_properties(&self) -> Result<model::MessageProperties, StoreError> {
        property_bag::parse(&self.properties).map_err(|reason| StoreError::Inconsistent {
            table: "commands",
            column: "properties",
            reason: reason.to_string(),
        })
    }
}

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

impl Unit<'_> {
    /// The queue of the identity with row id `id`. What is past its time is dead-lettered first.
    pub(crate) fn command_queue<E>(&mut self, id: i64) -> Result<CommandQueue, Stop<E>> {
        let mut queue = CommandQueue::new(self.read_entries(id)?);
        for sequence in queue.expire(self.now()) {
            self.dead_letter(id, sequence, DeadLetterReason::Expired)?;
        }
        Ok(queue)
    }

    fn read_entries(&self, id: i64) -> Result<Vec<Entry>, rusqlite::Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT sequence, expiry, delivery_count FROM commands WHERE identity = ?1 ORDER BY sequence")?;
        let entries = statement.query_map([id], |row| {
            let sequence = to_unsigned(row.get(0)?);
            let expiry = Timestamp::from_milliseconds(row.get(1)?);
            Ok(Entry { sequence, expiry, delivery_count: row.get(2)?, lock: self.locks.of(id, sequence) })
        })?;
        entries.collect()
    }

    /// A sequence number of the queue that was never given before.
    pub(crate) fn next_sequence(&self, id: i64) -> Result<u64, rusqlite::Error> {
        let mut statement =
            self.connection.prepare_cached("UPDATE identities SET last_command = last_command + 1 WHERE id = ?1 RETURNING last_command")?;
        statement.query_row([id], |row| row.get(0)).map(to_unsigned)
    }

    /// Stores a command.
    pub(crate) fn insert_command(&self, id: i64, row: &CommandRow) -> Result<(), rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO commands (identity, sequence, message_id, delivery_count, enqueued, expiry, ack, properties, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        statement.execute(params![
            id,
            from_unsigned(row.sequence),
            row.message_id,
            row.delivery_count,
            row.enqueued.as_milliseconds(),
            row.expiry.as_milliseconds(),
            row.ack,
            row.properties,
            row.body,
        ])?;
        Ok(())
    }

    /// One command in full.
    pub(crate) fn command_row<E>(&self, id: i64, sequence: u64) -> Result<CommandRow, Stop<E>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sequence, message_id, delivery_count, enqueued, expiry, ack, properties, body \
             FROM commands WHERE identity = ?1 AND sequence = ?2",
        )?;
        let mut rows = statement.query(params![id, from_unsigned(sequence)])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(CommandRow::read(row)?)
    }

    /// Writes how often a command was abandoned.
    pub(crate) fn set_delivery_count(&self, id: i64, sequence: u64, count: u32) -> Result<(), rusqlite::Error> {
        let mut statement =
            self.connection.prepare_cached("UPDATE commands SET delivery_count = ?3 WHERE identity = ?1 AND sequence = ?2")?;
        statement.execute(params![id, from_unsigned(sequence), count])?;
        Ok(())
    }

    /// Removes a command.
    pub(crate) fn delete_command(&self, id: i64, sequence: u64) -> Result<(), rusqlite::Error> {
        let mut statement = self.connection.prepare_cached("DELETE FROM commands WHERE identity = ?1 AND sequence = ?2")?;
        statement.execute(params![id, from_unsigned(sequence)])?;
        Ok(())
    }

    /// Removes every command of a queue.
    pub(crate) fn delete_commands(&self, id: i64) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached("DELETE FROM commands WHERE identity = ?1")?.execute([id])?;
        Ok(())
    }

    /// Moves a command to the dead letters, and drops the oldest of too many.
    pub(crate) fn dead_letter(&self, id: i64, sequence: u64, reason: DeadLetterReason) -> Result<(), rusqlite::Error> {
        let sql = format!(
            "INSERT INTO dead_letters (identity, {COLUMNS}, reason, time) \
             SELECT identity, {COLUMNS}, ?3, ?4 FROM commands WHERE identity = ?1 AND sequence = ?2"
        );
        let now = self.now().as_milliseconds();
        self.connection.prepare_cached(&sql)?.execute(params![id, from_unsigned(sequence), reason_column(reason), now])?;
        self.delete_command(id, sequence)?;
        let mut trim = self.connection.prepare_cached(
            "DELETE FROM dead_letters WHERE identity = ?1 AND sequence <= \
             (SELECT sequence FROM dead_letters WHERE identity = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)",
        )?;
        trim.execute([id, DEAD_LETTERS_MAX])?;
        Ok(())
    }
}
