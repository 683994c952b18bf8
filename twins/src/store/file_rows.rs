//! Rows of file uploads that are under way, and of notifications of those that ended well.

use model::Timestamp;
use model::api::FileNotification;
use rusqlite::{OptionalExtension as _, params};

use super::row::{from_unsigned, to_unsigned};
use super::unit::Unit;
use crate::command_queue::guid;
use crate::service_queue::ServiceQueue;

/// An upload to be written.
#[derive(Debug)]
pub(crate) struct UploadRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) identity: i64,
    pub(crate) container: &'a str,
    pub(crate) blob: &'a str,
    pub(crate) expiry: Timestamp,
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

    /// Writes a notification.
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
        self.message_added(ServiceQueue::FileNotifications, expiry)
    }

    /// What one notification says.
    pub(crate) fn notification(&self, sequence: u64) -> Result<FileNotification, rusqlite::Error> {
        let sql = "SELECT enqueued, device, blob_uri, blob_name, last_updated, size FROM file_notifications WHERE sequence = ?1";
        self.connection.prepare_cached(sql)?.query_row([from_unsigned(sequence)], |row| {
            let time = |index| row.get(index).map(Timestamp::from_milliseconds);
            Ok(FileNotification {
                enqueued_time_utc: time(0)?,
                device_id: row.get(1)?,
                blob_uri: row.get(2)?,
                blob_name: row.get(3)?,
                last_updated_time: time(4)?,
                blob_size_in_bytes: to_unsigned(row.get(5)?),
            })
        })
    }
}
