//! Rows of feedback: records of outcomes, and the messages that they are gathered into.

use std::collections::BTreeSet;

use model::api::{FeedbackRecord, FeedbackStatus};
use model::limits::FEEDBACK_RECORDS_MAX;
use model::{ModuleId, Timestamp};
use rusqlite::{Connection, params};

use super::identity_rows::read_identity;
use super::pieces::Span;
use super::row::{ReadRow, from_unsigned, to_unsigned};
use super::unit::{Stop, Unit};
use crate::command_queue::guid;
use crate::error::{SqliteFailure, StoreError};
use crate::feedback::Gathering;
use crate::service_queue::ServiceQueue;

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

    /// Writes the outcome of the commands in a span that are about to be purged.
    pub(crate) fn record_purged(&mut self, id: i64, span: Span) -> Result<(), rusqlite::Error> {
        self.form_messages()?;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO feedback_records (identity, message_id, status, time) SELECT identity, message_id, ?2, ?3 FROM commands \
             WHERE identity = ?1 AND sequence > ?4 AND sequence <= ?5 AND ack IN ('negative', 'full') ORDER BY sequence",
        )?;
        let now = self.now();
        let (after, last) = (from_unsigned(span.after), from_unsigned(span.last));
        let written = insert.execute(params![id, status_column(FeedbackStatus::Purged), now.as_milliseconds(), after, last])?;
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
        self.message_added(ServiceQueue::Feedback, expiry)
    }

    /// The records of one feedback message in the order of the outcomes.
    pub(crate) fn message_records(&self, sequence: u64) -> Result<Vec<FeedbackRecord>, Stop<StoreError>> {
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

    /// Removes the feedback of an identity that is deleted, and messages that it leaves empty.
    pub(crate) fn delete_feedback_of(&mut self, id: i64) -> Result<(), rusqlite::Error> {
        let mut delete = self.connection.prepare_cached("DELETE FROM feedback_records WHERE identity = ?1 RETURNING message")?;
        let messages: BTreeSet<Option<i64>> = delete.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut left = self.connection.prepare_cached("SELECT 1 FROM feedback_records WHERE message = ?1")?;
        for message in messages {
            match message {
                None => self.agenda.gathering = read_gathering(self.connection)?,
                Some(message) if !left.exists([message])? => self.delete_message(ServiceQueue::Feedback, to_unsigned(message))?,
                Some(_) => {}
            }
        }
        Ok(())
    }
}
