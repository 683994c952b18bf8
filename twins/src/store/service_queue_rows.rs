//! Rows of the queues that the service reads. Every kind of message has an envelope of the same
//! columns; what it says is read by the kind.

use model::Timestamp;
use model::limits::{FEEDBACK_MESSAGES_MAX, FILE_NOTIFICATIONS_MAX};
use rusqlite::params;

use super::row::{from_unsigned, to_unsigned};
use super::unit::Unit;
use crate::command_queue::{CommandQueue, Entry};
use crate::service_queue::ServiceQueue;

/// A message without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvelopeRow {
    pub(crate) message_id: String,
    pub(crate) delivery_count: u32,
    pub(crate) enqueued: Timestamp,
    pub(crate) expiry: Timestamp,
}

/// What is asked of the table of a queue.
struct Statements {
    envelope: &'static str,
    first: &'static str,
    one: &'static str,
    expired: &'static str,
    next_expiry: &'static str,
    requeue: &'static str,
    delete: &'static str,
    waiting: &'static str,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            envelope: concat!("SELECT message_id, delivery_count, enqueued, expiry FROM ", $table, " WHERE sequence = ?1"),
            first: concat!("SELECT sequence, expiry, delivery_count, 'none' FROM ", $table, " ORDER BY sequence LIMIT ?1"),
            one: concat!("SELECT sequence, expiry, delivery_count, 'none' FROM ", $table, " WHERE sequence = ?1"),
            expired: concat!("SELECT sequence, expiry, delivery_count, 'none' FROM ", $table, " WHERE expiry <= ?1 ORDER BY sequence"),
            next_expiry: concat!("SELECT min(expiry) FROM ", $table, " WHERE expiry > ?1"),
            requeue: concat!("UPDATE ", $table, " SET delivery_count = ?2 WHERE sequence = ?1"),
            delete: concat!("DELETE FROM ", $table, " WHERE sequence = ?1"),
            waiting: concat!("SELECT count(*), min(sequence) FROM ", $table),
        }
    };
}

impl ServiceQueue {
    fn statements(self) -> &'static Statements {
        const FEEDBACK: &Statements = &statements!("feedback_messages");
        const FILE_NOTIFICATIONS: &Statements = &statements!("file_notifications");
        match self {
            Self::Feedback => FEEDBACK,
            Self::FileNotifications => FILE_NOTIFICATIONS,
        }
    }

    /// How many messages may wait: of more the oldest goes.
    fn waiting_max(self) -> u64 {
        match self {
            Self::Feedback => FEEDBACK_MESSAGES_MAX as u64,
            Self::FileNotifications => FILE_NOTIFICATIONS_MAX,
        }
    }
}

/// The first expiry behind `moment` in a queue.
pub(crate) fn next_expiry(
    connection: &rusqlite::Connection,
    queue: ServiceQueue,
    moment: Timestamp,
) -> Result<Option<Timestamp>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(queue.statements().next_expiry)?;
    let expiry: Option<i64> = statement.query_row([moment.as_milliseconds()], |row| row.get(0))?;
    Ok(expiry.map(Timestamp::from_milliseconds))
}

impl Unit<'_> {
    /// A message was written, and makes room for itself. Whoever writes must
    /// not be held up by a service that does not read.
    pub(crate) fn message_added(&mut self, queue: ServiceQueue, expiry: Timestamp) -> Result<(), rusqlite::Error> {
        self.agenda.note_message(queue, expiry);
        let mut waiting = self.connection.prepare_cached(queue.statements().waiting)?;
        let (waiting, oldest): (u64, Option<i64>) = waiting.query_row([], |row| Ok((to_unsigned(row.get(0)?), row.get(1)?)))?;
        match oldest {
            Some(oldest) if waiting > queue.waiting_max() => self.drop_message(queue, to_unsigned(oldest), "too many wait to be read"),
            Some(_) | None => Ok(()),
        }
    }

    /// Drops the messages of a queue that are past their time.
    pub(crate) fn expire_messages(&mut self, queue: ServiceQueue) -> Result<(), rusqlite::Error> {
        let noted = *self.agenda.message_expiry(queue);
        if !self.is_due(noted) {
            return Ok(());
        }
        let now = self.now();
        let mut statement = self.connection.prepare_cached(queue.statements().expired)?;
        let expired = self.entries(&mut statement, queue.lock_key(), [now.as_milliseconds()])?;
        for sequence in CommandQueue::new(expired).expire(now) {
            self.drop_message(queue, sequence, "nobody read it in time")?;
        }
        *self.agenda.message_expiry(queue) = next_expiry(self.connection, queue, now)?;
        Ok(())
    }

    /// The first `limit` messages of a queue.
    pub(crate) fn first_messages(&self, queue: ServiceQueue, limit: usize) -> Result<Vec<Entry>, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(queue.statements().first)?;
        self.entries(&mut statement, queue.lock_key(), [from_unsigned(limit as u64)])
    }

    /// One message as the state machine sees it.
    pub(crate) fn message_entry(&self, queue: ServiceQueue, sequence: u64) -> Result<Option<Entry>, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(queue.statements().one)?;
        Ok(self.entries(&mut statement, queue.lock_key(), [from_unsigned(sequence)])?.pop())
    }

    /// The envelope of a message that is there.
    pub(crate) fn message_envelope(&self, queue: ServiceQueue, sequence: u64) -> Result<EnvelopeRow, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(queue.statements().envelope)?;
        statement.query_row([from_unsigned(sequence)], |row| {
            Ok(EnvelopeRow {
                message_id: row.get(0)?,
                delivery_count: row.get(1)?,
                enqueued: Timestamp::from_milliseconds(row.get(2)?),
                expiry: Timestamp::from_milliseconds(row.get(3)?),
            })
        })
    }

    /// Writes how often a message was abandoned; it is to be had again.
    pub(crate) fn requeue_message(&mut self, queue: ServiceQueue, entry: &Entry) -> Result<(), rusqlite::Error> {
        let mut requeue = self.connection.prepare_cached(queue.statements().requeue)?;
        requeue.execute(params![from_unsigned(entry.sequence), entry.delivery_count])?;
        self.locks.set(queue.lock_key(), entry);
        self.agenda.note_message(queue, entry.expiry);
        Ok(())
    }

    /// Removes a message that nobody will read.
    pub(crate) fn drop_message(&mut self, queue: ServiceQueue, sequence: u64, reason: &'static str) -> Result<(), rusqlite::Error> {
        tracing::warn!(%queue, sequence, reason, "a message to the service is dropped unread");
        self.delete_message(queue, sequence)
    }

    /// Removes a message with what it says and its lock.
    pub(crate) fn delete_message(&mut self, queue: ServiceQueue, sequence: u64) -> Result<(), rusqlite::Error> {
        let mut delete = self.connection.prepare_cached(queue.statements().delete)?;
        delete.execute([from_unsigned(sequence)])?;
        self.locks.clear(queue.lock_key(), sequence);
        Ok(())
    }
}
