//! Uploads of files: which are under way, and that they have ended.

use std::time::Duration;

use model::api::FileNotification;
use model::{DeviceId, Identity, Timestamp};
use thiserror::Error;

use crate::error::{StoreError, UnknownIdentity};
use crate::handle::Twins;
use crate::store::file_rows::UploadRow;
use crate::store::{ReadRow as _, Stop, Unit, refuse};

/// A file that a device wants to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFileUpload {
    /// Where to.
    pub container: String,
    /// Under which name, the device's own prefix included.
    pub blob: String,
    /// How long it may take.
    pub lifetime: Duration,
    /// How many the device may have under way, this one included.
    pub concurrent_max: usize,
}

/// An upload that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUpload {
    /// Names it: 32 hexadecimal digits, never given twice.
    pub id: String,
    /// Whose it is.
    pub device: DeviceId,
    /// Where to.
    pub container: String,
    /// Under which name.
    pub blob: String,
    /// When its time is over.
    pub expiry: Timestamp,
}

/// Why an upload was not begun. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BeginFileUploadError {
    /// No such device.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// As many are under way as may.
    #[error("{max} uploads of the device are under way already, the most that may; tell the end of one first")]
    TooMany {
        /// How many may.
        max: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an upload was not ended. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EndFileUploadError {
    /// No upload of this device has this id: it never had, has ended before, or its time is over.
    #[error("no upload of the device that is under way has this correlation id")]
    Unknown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Twins {
    /// Notes that a device begins to upload a file. Durable when this returns.
    ///
    /// # Errors
    /// [`BeginFileUploadError`].
    pub async fn begin_file_upload(&self, device: &DeviceId, new: NewFileUpload) -> Result<FileUpload, BeginFileUploadError> {
        let device = device.clone();
        self.inner.writer.submit(new.blob.len(), move |unit| unit.begin_upload(device, new)).await
    }

    /// An upload that is under way and whose time is not over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn file_upload(&self, id: &str) -> Result<Option<FileUpload>, StoreError> {
        let query = sqlx::query(
            "SELECT i.device, u.container, u.blob, u.expiry FROM file_uploads u JOIN identities i ON i.id = u.identity \
             WHERE u.id = ?1 AND u.expiry > ?2",
        );
        let query = query.bind(id).bind(self.inner.clock.now().as_milliseconds());
        let Some(row) = query.fetch_optional(&self.inner.readers.0).await? else { return Ok(None) };
        let text = |index| row.column::<String>(index).map_err(StoreError::Read);
        let inconsistent =
            |reason: model::InvalidId| StoreError::Inconsistent { table: "identities", column: "device", reason: reason.to_string() };
        Ok(Some(FileUpload {
            id: id.to_owned(),
            device: text(0)?.parse().map_err(inconsistent)?,
            container: text(1)?,
            blob: text(2)?,
            expiry: Timestamp::from_milliseconds(row.column(3).map_err(StoreError::Read)?),
        }))
    }

    /// The ids of the uploads that are under way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn file_uploads(&self) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query("SELECT id FROM file_uploads WHERE expiry > ?1").bind(self.inner.clock.now().as_milliseconds());
        let rows = query.fetch_all(&self.inner.readers.0).await?;
        rows.iter().map(|row| row.column(0).map_err(StoreError::Read)).collect()
    }

    /// Ends an upload of a device. With a notification, the service is to be told of it until
    /// `notification.1`; both are durable when this returns, or neither.
    ///
    /// # Errors
    /// [`EndFileUploadError`].
    pub async fn end_file_upload(
        &self,
        device: &DeviceId,
        id: &str,
        notification: Option<(FileNotification, Timestamp)>,
    ) -> Result<(), EndFileUploadError> {
        let (device, id) = (device.clone(), id.to_owned());
        self.inner.writer.submit(id.len(), move |unit| unit.end_upload(&device, &id, notification)).await
    }
}

impl Unit<'_> {
    fn begin_upload(&mut self, device: DeviceId, new: NewFileUpload) -> Result<FileUpload, Stop<BeginFileUploadError>> {
        let Some(identity) = self.identity_id(&Identity::device(device.clone()))? else {
            return refuse(UnknownIdentity::Device(device));
        };
        if self.uploads_under_way(identity)? >= new.concurrent_max {
            return refuse(BeginFileUploadError::TooMany { max: new.concurrent_max });
        }
        let NewFileUpload { container, blob, lifetime, .. } = new;
        let id = format!("{:032x}", rand::random::<u128>());
        let expiry = self.now().saturating_add(lifetime);
        self.insert_upload(&UploadRow { id: &id, identity, container: &container, blob: &blob, expiry })?;
        Ok(FileUpload { id, device, container, blob, expiry })
    }

    fn end_upload(
        &mut self,
        device: &DeviceId,
        id: &str,
        notification: Option<(FileNotification, Timestamp)>,
    ) -> Result<(), Stop<EndFileUploadError>> {
        if !self.delete_upload(id, device.as_str())? {
            return refuse(EndFileUploadError::Unknown);
        }
        match notification {
            Some((notification, expiry)) => Ok(self.insert_notification(&notification, expiry)?),
            None => Ok(()),
        }
    }
}
