//! Rows of feedback: records of outcomes, and the messages that they are gathered into.

use std::collections::BTreeSet;

use model::api::{FeedbackRecord, FeedbackStatus};
use model::limits::{FEEDBACK_MESSAGES_MAX, FEEDBACK_RECORDS_MAX};
use model::{ModuleId, Timestamp};
use rusqlite::{Connection, params};

use super::identity_rows::read_identity;
use super::lock_table::FEEDBACK_QUEUE;
use super::row::{ReadRow, from_unsigned, to_unsigned};
use super::unit::{Stop, Unit};
use crate::command_queue::{CommandQueue, Entry, guid};
use crate::error::{SqliteFailure, StoreError};
use crate::feedback::Gathering;

/// A feedback message without its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageRow {
    pub(crate) message_id: String,
    pub(crate) delivery_count: u32,
    pub(crate) enqueued: Timestamp,
    pub(crate) expiry: Timestamp,
}

fn status_column(status: FeedbackStatus) -> i64 {
    match status {
        FeedbackStatus::Success => 0,
        FeedbackStatus::Expired => 1,
        FeedbackStatus::DeliveryCountExceeded => 2,
        FeedbackStatus::Rejected => 3,
        FeedbackStatus::Purged => 4,
    }
}

fn read_status(status: i64) -> Result<FeedbackStatus, StoreError> {
    match status {
        0 => Ok(FeedbackStatus::Success),
        1 => Ok(FeedbackStatus::Expired),
        2 => Ok(FeedbackStatus::DeliveryCountExceeded),
        3 => Ok(FeedbackStatus::Rejected),
        4 => Ok(FeedbackStatus::Purged),
        other => Err(StoreError::Inconsistent { table: "feedback_records", column: "status", reason: other.to_string() }),
    }
}

fn read_record(row: &impl ReadRow) -> Result<FeedbackRecord, StoreError> {
    let text = |index| -> Result<String, SqliteFailure> { row.column(index) };
    let failed = StoreError::Read;
    let identity = read_identity(&text(0).map_err(failed)?, &text(1).map_err(failed)?)?;
    let status_code = read_status(row.column(4).map_err(failed)?)?;
    Ok(FeedbackRecord {
        original_message_id: text(3).map_err(failed)?,
        description: status_code.description().to_owned(),
        device_generation_id: text(2).map_err(failed)?,
        device_id: identity.device.to_string(),
        module_id: identity.module.as_ref().map(ModuleId::to_string),
        enqueued_time_utc: Timestamp::from_milliseconds(row.column(5).map_err(failed)?),
        status_code,
    })
}

/// What waits to become a message.
pub(crate) fn read_gathering(connection: &Connection) -> Result<Gathering, rusqlite::Error> {
    let mut statement = connection.prepare_cached("SELECT count(*), min(time) FROM feedback_records WHERE message IS NULL")?;
    statement.query_row([], |row| {
        let oldest: Option<i64> = row.get(1)?;
        Ok(Gathering { records: to_unsigned(row.get(0)?) as usize, oldest: oldest.map(Timestamp::from_milliseconds) })
    })
}

impl Unit<'_> {
    /// Writes the outcome of one command, and a message when that is due.
    pub(crate) fn record_feedback(&mut self, id: i64, message_id: &str, outcome: FeedbackStatus) -> Result<(), rusqlite::Error> {
        self.form_messages()?;
        let mut insert =
            self.connection.prepare_cached("INSERT INTO feedback_records (identity, message_id, status, time) VALUES (?1, ?2, ?3, ?4)")?;
        let now = self.now();
        insert.execute(params![id, message_id, status_column(outcome), now.as_milliseconds()])?;
        self.agenda.gathering.add(1, now);
        self.form_messages()
    }

    /// Writes the outcome of every command in a queue that is about to be emptied.
    pub(crate) fn record_purged(&mut self, id: i64) -> Result<(), rusqlite::Error> {
        self.form_messages()?;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO feedback_records (identity, message_id, status, time) SELECT identity, message_id, ?2, ?3 FROM commands \
             WHERE identity = ?1 AND ack IN ('negative', 'full') ORDER BY sequence",
        )?;
        let now = self.now();
        let written = insert.execute(params![id, status_column(FeedbackStatus::Purged), now.as_milliseconds()])?;
        self.agenda.gathering.add(written, now);
        self.form_messages()
    }

    /// Gathers records into messages as long as that is due.
    pub(crate) fn form_messages(&mut self) -> Result<(), rusqlite::Error> {
        let now = self.now();
        while self.agenda.gathering.is_due(now) {
            self.form_message()?;
            self.agenda.gathering = read_gathering(self.connection)?;
        }
        Ok(())
    }

    fn form_message(&mut self) -> Result<(), rusqlite::Error> {
        let now = self.now();
        let expiry = now.saturating_add(self.settings.feedback.expiry);
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO feedback_messages (message_id, delivery_count, enqueued, expiry) VALUES (?1, 0, ?2, ?3)")?;
        let sequence = insert.insert(params![guid(rand::random()), now.as_milliseconds(), expiry.as_milliseconds()])?;
        let mut gather = self.connection.prepare_cached(
            "UPDATE feedback_records SET message = ?1 \
             WHERE id IN (SELECT id FROM feedback_records WHERE message IS NULL ORDER BY id LIMIT ?2)",
        )?;
        gather.execute(params![sequence, from_unsigned(FEEDBACK_RECORDS_MAX as u64)])?;
        self.agenda.note_message(expiry);
        self.agenda.message_since.get_or_insert(now);
        self.make_room_for_messages()
    }

    /// Feedback never keeps a device from settling its commands: nobody has read the oldest.
    fn make_room_for_messages(&mut self) -> Result<(), rusqlite::Error> {
        let mut count = self.connection.prepare_cached("SELECT count(*), min(sequence) FROM feedback_messages")?;
        let (messages, oldest): (u64, Option<i64>) = count.query_row([], |row| Ok((to_unsigned(row.get(0)?), row.get(1)?)))?;
        match oldest {
            Some(oldest) if messages > FEEDBACK_MESSAGES_MAX as u64 => self.drop_message(to_unsigned(oldest), "too many wait to be read"),
            Some(_) | None => Ok(()),
        }
    }

    /// Removes a feedback message that nobody will read.
    pub(crate) fn drop_message(&mut self, sequence: u64, reason: &'static str) -> Result<(), rusqlite::Error> {
        tracing::warn!(sequence, reason, "a feedback message is dropped unread");
        self.delete_message(sequence)
    }

    /// Removes a feedback message with its records and its lock.
    pub(crate) fn delete_message(&mut self, sequence: u64) -> Result<(), rusqlite::Error> {
        let mut delete = self.connection.prepare_cached("DELETE FROM feedback_messages WHERE sequence = ?1")?;
        delete.execute([from_unsigned(sequence)])?;
        self.locks.clear(FEEDBACK_QUEUE, sequence);
        Ok(())
    }

    /// Drops the feedback messages that are past their time.
    pub(crate) fn expire_messages(&mut self) -> Result<(), rusqlite::Error> {
        if !self.is_due(self.agenda.message_expiry) {
            return Ok(());
        }
        let now = self.now();
        let sql = "SELECT sequence, expiry, delivery_count FROM feedback_messages ORDER BY sequence";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut queue = CommandQueue::new(self.entries(&mut statement, FEEDBACK_QUEUE, [])?);
        for sequence in queue.expire(now) {
            self.drop_message(sequence, "nobody read it in time")?;
        }
        let to_come = queue.entries().iter().map(|entry| entry.expiry).filter(|expiry| *expiry > now);
        self.agenda.message_expiry = to_come.min();
        Ok(())
    }

    /// The first `limit` feedback messages.
    pub(crate) fn first_messages(&self, limit: usize) -> Result<Vec<Entry>, rusqlite::Error> {
        let sql = "SELECT sequence, expiry, delivery_count FROM feedback_messages ORDER BY sequence LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        self.entries(&mut statement, FEEDBACK_QUEUE, [from_unsigned(limit as u64)])
    }

    /// One feedback message as the state machine sees it.
    pub(crate) fn message_entry(&self, sequence: u64) -> Result<Option<Entry>, rusqlite::Error> {
        let sql = "SELECT sequence, expiry, delivery_count FROM feedback_messages WHERE sequence = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(self.entries(&mut statement, FEEDBACK_QUEUE, [from_unsigned(sequence)])?.pop())
    }

    /// One feedback message.
    pub(crate) fn message_row(&self, sequence: u64) -> Result<MessageRow, rusqlite::Error> {
        let sql = "SELECT message_id, delivery_count, enqueued, expiry FROM feedback_messages WHERE sequence = ?1";
        self.connection.prepare_cached(sql)?.query_row([from_unsigned(sequence)], |row| {
            Ok(MessageRow {
                message_id: row.get(0)?,
                delivery_count: row.get(1)?,
                enqueued: Timestamp::from_milliseconds(row.get(2)?),
                expiry: Timestamp::from_milliseconds(row.get(3)?),
            })
        })
    }

    /// The records of one feedback message in the order of the outcomes.
    pub(crate) fn message_records<E: From<StoreError>>(&self, sequence: u64) -> Result<Vec<FeedbackRecord>, Stop<E>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT i.device, i.module, i.generation, r.message_id, r.status, r.time FROM feedback_records r \
             JOIN identities i ON i.id = r.identity WHERE r.message = ?1 ORDER BY r.id",
        )?;
        let mut rows = statement.query([from_unsigned(sequence)])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(read_record(row)?);
        }
        Ok(records)
    }

    /// Writes how often a feedback message was abandoned; it is to be had again.
    pub(crate) fn requeue_message(&mut self, entry: &Entry) -> Result<(), rusqlite::Error> {
        let mut update = self.connection.prepare_cached("UPDATE feedback_messages SET delivery_count = ?2 WHERE sequence = ?1")?;
        update.execute(params![from_unsigned(entry.sequence), entry.delivery_count])?;
        self.locks.set(FEEDBACK_QUEUE, entry);
        self.agenda.note_message(entry.expiry);
        self.agenda.message_since.get_or_insert(self.now());
        Ok(())
    }

    /// Removes the feedback of an identity that is deleted, and messages that it leaves empty.
    pub(crate) fn delete_feedback_of(&mut self, id: i64) -> Result<(), rusqlite::Error> {
        let mut delete = self.connection.prepare_cached("DELETE FROM feedback_records WHERE identity = ?1 RETURNING message")?;
        let messages: BTreeSet<Option<i64>> = delete.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut left = self.connection.prepare_cached("SELECT 1 FROM feedback_records WHERE message = ?1")?;
        for message in messages {
            match message {
                None => self.agenda.gathering = read_gathering(self.connection)?,
                Some(message) if !left.exists([message])? => self.delete_message(to_unsigned(message))?,
                Some(_) => {}
            }
        }
        Ok(())
    }
}
