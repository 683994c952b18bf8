//! Rows of file uploads that are under way, and of notifications of those that ended well.

use model::Timestamp;
use model::api::FileNotification;
use model::limits::FILE_NOTIFICATIONS_MAX;
use rusqlite::{OptionalExtension as _, params};

use super::lock_table::FILE_NOTIFICATION_QUEUE;
use super::row::{from_unsigned, to_unsigned};
use super::unit::Unit;
use crate::command_queue::{CommandQueue, Entry, guid};

/// An upload to be written.
#[derive(Debug)]
pub(crate) struct UploadRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) identity: i64,
    pub(crate) container: &'a str,
    pub(crate) blob: &'a str,
    pub(crate) expiry: Timestamp,
}

/// A stored notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotificationRow {
    pub(crate) message_id: String,
    pub(crate) delivery_count: u32,
    pub(crate) expiry: Timestamp,
    pub(crate) notification: FileNotification,
}

impl Unit<'_> {
    /// Removes the uploads whose time is over, and counts those of an identity that are left.
    pub(crate) fn uploads_under_way(&mut self, identity: i64) -> Result<usize, rusqlite::Error> {
        let mut expire = self.connection.prepare_cached("DELETE FROM file_uploads WHERE expiry <= ?1 AND identity = ?2")?;
        expire.execute(params![self.now().as_milliseconds(), identity])?;
        let mut count = self.connection.prepare_cached("SELECT count(*) FROM file_uploads WHERE identity = ?1")?;
        count.query_row([identity], |row| row.get(0).map(to_unsigned)).map(|count| count as usize)
    }

    pub(crate) fn insert_upload(&mut self, upload: &UploadRow<'_>) -> Result<(), rusqlite::Error> {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO file_uploads (id, identity, container, blob, expiry) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        let UploadRow { id, identity, container, blob, expiry } = upload;
        insert.execute(params![id, identity, container, blob, expiry.as_milliseconds()]).map(drop)
    }

    /// Removes an upload of a device; says whether there was one whose time is not over.
    pub(crate) fn delete_upload(&mut self, id: &str, device: &str) -> Result<bool, rusqlite::Error> {
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM file_uploads WHERE id = ?1 AND identity = (SELECT id FROM identities WHERE device = ?2 AND module = '') \
             RETURNING expiry",
        )?;
        let expiry: Option<i64> = delete.query_row([id, device], |row| row.get(0)).optional()?;
        Ok(expiry.is_some_and(|expiry| Timestamp::from_milliseconds(expiry) > self.now()))
    }

    /// Writes a notification; when too many wait the oldest goes, for devices must not be held up
    /// by a service that does not read.
    pub(crate) fn insert_notification(&mut self, notification: &FileNotification, expiry: Timestamp) -> Result<(), rusqlite::Error> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO file_notifications (message_id, delivery_count, enqueued, expiry, device, blob_uri, blob_name, last_updated, size) \
             VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        insert.execute(params![
            guid(rand::random()),
            notification.enqueued_time_utc.as_milliseconds(),
            expiry.as_milliseconds(),
            notification.device_id,
            notification.blob_uri,
            notification.blob_name,
            notification.last_updated_time.as_milliseconds(),
            from_unsigned(notification.blob_size_in_bytes),
        ])?;
        let mut count = self.connection.prepare_cached("SELECT count(*), min(sequence) FROM file_notifications")?;
        let (waiting, oldest): (u64, Option<i64>) = count.query_row([], |row| Ok((to_unsigned(row.get(0)?), row.get(1)?)))?;
        match oldest {
            Some(oldest) if waiting > FILE_NOTIFICATIONS_MAX => self.drop_notification(to_unsigned(oldest), "too many wait to be read"),
            Some(_) | None => Ok(()),
        }
    }

    /// Drops the notifications that are past their time.
    pub(crate) fn expire_notifications(&mut self) -> Result<(), rusqlite::Error> {
        let now = self.now();
        let sql = "SELECT sequence, expiry, delivery_count, 'none' FROM file_notifications WHERE expiry <= ?1 ORDER BY sequence";
        let mut statement = self.connection.prepare_cached(sql)?;
        let expired = self.entries(&mut statement, FILE_NOTIFICATION_QUEUE, [now.as_milliseconds()])?;
        for sequence in CommandQueue::new(expired).expire(now) {
            self.drop_notification(sequence, "nobody read it in time")?;
        }
        Ok(())
    }

    /// The first `limit` notifications.
    pub(crate) fn first_notifications(&self, limit: usize) -> Result<Vec<Entry>, rusqlite::Error> {
        let sql = "SELECT sequence, expiry, delivery_count, 'none' FROM file_notifications ORDER BY sequence LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        self.entries(&mut statement, FILE_NOTIFICATION_QUEUE, [from_unsigned(limit as u64)])
    }

    /// One notification as the state machine sees it.
    pub(crate) fn notification_entry(&self, sequence: u64) -> Result<Option<Entry>, rusqlite::Error> {
        let sql = "SELECT sequence, expiry, delivery_count, 'none' FROM file_notifications WHERE sequence = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(self.entries(&mut statement, FILE_NOTIFICATION_QUEUE, [from_unsigned(sequence)])?.pop())
    }

    /// One notification.
    pub(crate) fn notification_row(&self, sequence: u64) -> Result<NotificationRow, rusqlite::Error> {
        let sql = "SELECT message_id, delivery_count, enqueued, expiry, device, blob_uri, blob_name, last_updated, size \
                   FROM file_notifications WHERE sequence = ?1";
        self.connection.prepare_cached(sql)?.query_row([from_unsigned(sequence)], |row| {
            let time = |index| row.get(index).map(Timestamp::from_milliseconds);
            Ok(NotificationRow {
                message_id: row.get(0)?,
                delivery_count: row.get(1)?,
                expiry: time(3)?,
                notification: FileNotification {
                    device_id: row.get(4)?,
                    blob_uri: row.get(5)?,
                    blob_name: row.get(6)?,
                    last_updated_time: time(7)?,
                    blob_size_in_bytes: to_unsigned(row.get(8)?),
                    enqueued_time_utc: time(2)?,
                },
            })
        })
    }

    /// Writes how often a notification was abandoned; it is to be had again.
    pub(crate) fn requeue_notification(&mut self, entry: &Entry) -> Result<(), rusqlite::Error> {
        let mut update = self.connection.prepare_cached("UPDATE file_notifications SET delivery_count = ?2 WHERE sequence = ?1")?;
        update.execute(params![from_unsigned(entry.sequence), entry.delivery_count])?;
        self.locks.set(FILE_NOTIFICATION_QUEUE, entry);
        Ok(())
    }

    /// Removes a notification that nobody will read.
    pub(crate) fn drop_notification(&mut self, sequence: u64, reason: &'static str) -> Result<(), rusqlite::Error> {
        tracing::warn!(sequence, reason, "a file notification is dropped unread");
        self.delete_notification(sequence)
    }

    /// Removes a notification with its lock.
    pub(crate) fn delete_notification(&mut self, sequence: u64) -> Result<(), rusqlite::Error> {
        let mut delete = self.connection.prepare_cached("DELETE FROM file_notifications WHERE sequence = ?1")?;
        delete.execute([from_unsigned(sequence)])?;
        self.locks.clear(FILE_NOTIFICATION_QUEUE, sequence);
        Ok(())
    }
}
