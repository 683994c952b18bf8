//! Rows of commands.

use model::api::{DeadLetterReason, FeedbackStatus};
use model::{Timestamp, property_bag};
use rusqlite::{Statement, params};

use super::pieces::{BYTES_MAX, Piece};
use super::row::{ReadRow, from_unsigned, to_unsigned};
use super::unit::{Stop, Unit};
use crate::command_queue::{CommandQueue, Entry};
use crate::error::{SqliteFailure, StoreError};
use crate::feedback::Ack;

/// The columns of [`CommandRow`], in its order.
macro_rules! command_columns {
    () => {
        "sequence, message_id, delivery_count, enqueued, expiry, ack, properties, body"
    };
}
pub(crate) use command_columns;

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

impl Unit<'_> {
    /// Dead-letters what of one queue is past its time. Every operation on a queue begins with it.
    pub(crate) fn expire_commands_of(&mut self, id: i64) -> Result<(), rusqlite::Error> {
        if !self.is_due(self.agenda.command_expiry) {
            return Ok(());
        }
        let now = self.now();
        let sql = "SELECT sequence, expiry, delivery_count, ack FROM commands WHERE identity = ?1 AND expiry <= ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut queue = CommandQueue::new(self.entries(&mut statement, id, params![id, now.as_milliseconds()])?);
        for sequence in queue.expire(now) {
            self.dead_letter(id, sequence, DeadLetterReason::Expired)?;
        }
        Ok(())
    }

    /// Up to `limit` commands of any queue that are past their time and not handed out, in the
    /// order of expiry, and no more than a piece has bytes; and whether there are more.
    pub(crate) fn expired_commands(&self, limit: usize) -> Result<(Vec<(i64, u64)>, bool), rusqlite::Error> {
        let now = self.now();
        let mut statement = self.connection.prepare_cached(
            "SELECT identity, sequence, length(body) + length(properties) FROM commands WHERE expiry <= ?1 \
             ORDER BY expiry, identity, sequence",
        )?;
        let mut rows = statement.query([now.as_milliseconds()])?;
        let (mut expired, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let (id, sequence) = (row.get(0)?, to_unsigned(row.get(1)?));
            if self.locks.of(id, sequence).is_some_and(|lock| lock.holds(now)) {
                continue;
            }
            bytes += to_unsigned(row.get(2)?);
            if expired.len() == limit || (bytes > BYTES_MAX && !expired.is_empty()) {
                return Ok((expired, true));
            }
            expired.push((id, sequence));
        }
        Ok((expired, false))
    }

    /// The first expiry that is still to come.
    pub(crate) fn next_command_expiry(&self) -> Result<Option<Timestamp>, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached("SELECT min(expiry) FROM commands WHERE expiry > ?1")?;
        let expiry: Option<i64> = statement.query_row([self.now().as_milliseconds()], |row| row.get(0))?;
        Ok(expiry.map(Timestamp::from_milliseconds))
    }

    /// The first `limit` commands of a queue behind `after`.
    pub(crate) fn entries_after(&self, id: i64, after: u64, limit: usize) -> Result<Vec<Entry>, rusqlite::Error> {
        // Without LIMIT: SQLite prepares a statement anew whenever a parameter of that is bound.
        let sql = "SELECT sequence, expiry, delivery_count, ack FROM commands WHERE identity = ?1 AND sequence > ?2 ORDER BY sequence";
        let mut statement = self.connection.prepare_cached(sql)?;
        let entries = statement.query_map(params![id, from_unsigned(after)], |row| self.read_entry(id, row))?;
        entries.take(limit).collect()
    }

    /// One command without its contents.
    pub(crate) fn entry(&self, id: i64, sequence: u64) -> Result<Option<Entry>, rusqlite::Error> {
        let sql = "SELECT sequence, expiry, delivery_count, ack FROM commands WHERE identity = ?1 AND sequence = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(self.entries(&mut statement, id, params![id, from_unsigned(sequence)])?.pop())
    }

    /// Reads sequence number, expiry, delivery count and feedback wanted, and joins the locks of a queue.
    pub(crate) fn entries(
        &self,
        statement: &mut Statement<'_>,
        queue: i64,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<Entry>, rusqlite::Error> {
        statement.query_map(parameters, |row| self.read_entry(queue, row))?.collect()
    }

    fn read_entry(&self, queue: i64, row: &rusqlite::Row<'_>) -> Result<Entry, rusqlite::Error> {
        let sequence = to_unsigned(row.get(0)?);
        let expiry = Timestamp::from_milliseconds(row.get(1)?);
        // A row of before this was checked may hold anything, which asks for nothing.
        let ack = row.get_ref(3)?.as_str()?.parse().unwrap_or_default();
        Ok(Entry { sequence, expiry, delivery_count: row.get(2)?, ack, lock: self.locks.of(queue, sequence) })
    }

    /// How many commands a queue holds, handed out or not.
    pub(crate) fn command_count(&self, id: i64) -> Result<usize, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM commands WHERE identity = ?1")?;
        statement.query_row([id], |row| row.get(0).map(to_unsigned)).map(|count| count as usize)
    }

    /// A sequence number of the queue that was never given before.
    pub(crate) fn next_sequence(&self, id: i64) -> Result<u64, rusqlite::Error> {
        let last: i64 =
            self.connection.prepare_cached("SELECT last_command FROM identities WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
        self.connection.prepare_cached("UPDATE identities SET last_command = ?2 WHERE id = ?1")?.execute([id, last + 1])?;
        Ok(to_unsigned(last + 1))
    }

    /// Stores a command.
    pub(crate) fn insert_command(&mut self, id: i64, row: &CommandRow) -> Result<(), rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(concat!(
            "INSERT INTO commands (identity, ",
            command_columns!(),
            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        ))?;
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
        self.agenda.note_command(row.expiry);
        Ok(())
    }

    /// One command in full.
    pub(crate) fn command_row<E>(&self, id: i64, sequence: u64) -> Result<CommandRow, Stop<E>> {
        let mut statement = self.connection.prepare_cached(concat!(
            "SELECT ",
            command_columns!(),
            " FROM commands WHERE identity = ?1 AND sequence = ?2"
        ))?;
        let mut rows = statement.query(params![id, from_unsigned(sequence)])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(CommandRow::read(row)?)
    }

    /// Writes how often a command was abandoned.
    pub(crate) fn write_delivery_count(&self, id: i64, entry: &Entry) -> Result<(), rusqlite::Error> {
        let mut statement =
            self.connection.prepare_cached("UPDATE commands SET delivery_count = ?3 WHERE identity = ?1 AND sequence = ?2")?;
        statement.execute(params![id, from_unsigned(entry.sequence), entry.delivery_count])?;
        Ok(())
    }

    /// The same of a command that is to be had again.
    pub(crate) fn requeue_command(&mut self, id: i64, entry: &Entry) -> Result<(), rusqlite::Error> {
        self.write_delivery_count(id, entry)?;
        self.locks.set(id, entry);
        self.agenda.note_command(entry.expiry);
        Ok(())
    }

    /// Removes a command with its lock, and writes its feedback if that was asked for.
    pub(crate) fn finish_command(&mut self, id: i64, sequence: u64, ack: Ack, outcome: FeedbackStatus) -> Result<(), rusqlite::Error> {
        let key = params![id, from_unsigned(sequence)];
        if ack.wants(outcome) {
            let sql = "SELECT message_id FROM commands WHERE identity = ?1 AND sequence = ?2";
            let message_id: String = self.connection.prepare_cached(sql)?.query_row(key, |row| row.get(0))?;
            self.record_feedback(id, &message_id, outcome)?;
        }
        // Not RETURNING, which would double what removing costs.
        self.connection.prepare_cached("DELETE FROM commands WHERE identity = ?1 AND sequence = ?2")?.execute(key)?;
        self.locks.clear(id, sequence);
        Ok(())
    }

    /// Removes the commands of a piece with their locks and writes the feedback asked for.
    pub(crate) fn purge_commands(&mut self, id: i64, piece: &Piece) -> Result<(), rusqlite::Error> {
        self.record_purged(id, piece.covers)?;
        let sql = "DELETE FROM commands WHERE identity = ?1 AND sequence > ?2 AND sequence <= ?3";
        let span = params![id, from_unsigned(piece.covers.after), from_unsigned(piece.covers.last)];
        self.connection.prepare_cached(sql)?.execute(span)?;
        piece.sequences.iter().for_each(|sequence| self.locks.clear(id, *sequence));
        Ok(())
    }
}
