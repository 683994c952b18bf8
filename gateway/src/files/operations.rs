//! What can be done with files: uploads begun, received and ended; files read, listed, removed.

use model::api::FileNotification;
use model::{DeviceId, Timestamp};
use thiserror::Error;
use tokio::task::spawn_blocking;
use twins::{BeginFileUploadError, EndFileUploadError, FileUpload, NewFileUpload, StoreError};

use super::block_list::BlockId;
use super::link::{InvalidLink, Permission};
use super::listing::{FilePage, page};
use super::name::{BlobName, ContainerName, InvalidBlobName};
use super::part::{Part, PartError, Whole};
use super::storage::{Precondition, PutError, Stored};
use super::{Files, Inner};

/// Why an upload was not begun.
#[derive(Debug, Error)]
pub(crate) enum BeginError {
    /// Its name.
    #[error(transparent)]
    Name(#[from] InvalidBlobName),
    /// The device, its other uploads, or the store.
    #[error(transparent)]
    Upload(#[from] BeginFileUploadError),
}

/// Why an upload was not ended.
#[derive(Debug, Error)]
pub(crate) enum EndError {
    /// The device has no such upload under way.
    #[error("no upload of the device that is under way has this correlation id")]
    Unknown,
    /// The device says that the file is there, and it is not.
    #[error("no file was uploaded under this correlation id")]
    NoFile,
    /// The disk.
    #[error("the disk cannot be read: {0}")]
    Disk(#[from] std::io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a link lets nobody in.
#[derive(Debug, Error)]
pub(crate) enum LinkRefusal {
    /// The link itself.
    #[error(transparent)]
    Link(#[from] InvalidLink),
    /// Its upload has ended, or its device is gone or disabled.
    #[error("the upload is not under way any more")]
    Ended,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Files {
    /// Notes that a device wants to upload what it calls `name`; gives the upload and the query
    /// of its link.
    ///
    /// # Errors
    /// [`BeginError`]
    pub(crate) async fn begin(&self, device: &DeviceId, name: &str) -> Result<(FileUpload, String), BeginError> {
        let Inner { settings, twins, signer, .. } = &*self.inner;
        let blob = BlobName::of_device(device, name)?;
        let new = NewFileUpload {
            container: settings.container.to_string(),
            blob: blob.to_string(),
            lifetime: settings.upload_lifetime,
            concurrent_max: settings.uploads_max,
        };
        let upload = twins.begin_file_upload(device, new).await?;
        let link = signer.sign(&settings.container, &blob, &Permission::Write { upload: upload.id.clone() }, upload.expiry);
        Ok((upload, link))
    }

    /// Ends an upload of a device. One that succeeded is told to the service, with the file's
    /// address as `address` writes it; durable when this returns.
    ///
    /// # Errors
    /// [`EndError`]; then the upload is still under way.
    pub(crate) async fn end(
        &self,
        device: &DeviceId,
        id: &str,
        is_success: bool,
        address: impl FnOnce(&ContainerName, &BlobName) -> String,
    ) -> Result<(), EndError> {
        let Inner { settings, twins, clock, .. } = &*self.inner;
        let upload = twins.file_upload(id).await?.filter(|upload| upload.device == *device).ok_or(EndError::Unknown)?;
        let notification = if is_success {
            let (container, blob) = names(&upload).ok_or(EndError::Unknown)?;
            let stored = self.stat(&container, &blob).await?.ok_or(EndError::NoFile)?;
            let notification = FileNotification {
                device_id: device.to_string(),
                blob_uri: address(&container, &blob),
                blob_name: upload.blob.clone(),
                last_updated_time: stored.modified,
                blob_size_in_bytes: stored.bytes,
                enqueued_time_utc: clock.now(),
            };
            Some((notification, clock.now().saturating_add(settings.notification_lifetime)))
        } else {
            None
        };
        twins.end_file_upload(device, id, notification).await.map_err(|error| match error {
            EndFileUploadError::Unknown => EndError::Unknown,
            EndFileUploadError::Store(error) => error.into(),
        })?;
        self.forget_blocks(id).await;
        Ok(())
    }

    /// What the link in `query` permits on a file now.
    ///
    /// # Errors
    /// [`LinkRefusal`]
    pub(crate) async fn permitted(&self, container: &ContainerName, blob: &BlobName, query: &str) -> Result<Permission, LinkRefusal> {
        let Inner { signer, clock, .. } = &*self.inner;
        let permission = signer.verify(container, blob, query, clock.now())?;
        if let Permission::Write { upload } = &permission {
            self.check_under_way(upload).await?;
        }
        Ok(permission)
    }

    /// # Errors
    /// [`LinkRefusal`] when an upload has ended or its device may do nothing any more.
    pub(crate) async fn check_under_way(&self, upload: &str) -> Result<(), LinkRefusal> {
        let twins = &self.inner.twins;
        let upload = twins.file_upload(upload).await?.ok_or(LinkRefusal::Ended)?;
        let record = twins.identity(&model::Identity::device(upload.device));
        if record.is_some_and(|record| record.enabled) { Ok(()) } else { Err(LinkRefusal::Ended) }
    }

    /// The query of a link that lets its holder read a file until `expiry`.
    pub(crate) fn link_to_read(&self, container: &ContainerName, blob: &BlobName, expiry: Timestamp) -> String {
        self.inner.signer.sign(container, blob, &Permission::Read, expiry)
    }

    /// Begins to receive a body.
    ///
    /// # Errors
    /// [`PartError`]
    pub(crate) async fn receive(&self) -> Result<Part, PartError> {
        let Inner { storage, settings, .. } = &*self.inner;
        Part::begin(&storage.uploading(), storage.rooms.begin()?, settings.file_bytes_max).await
    }

    /// Makes a received body whole.
    ///
    /// # Errors
    /// [`PartError`]
    pub(crate) async fn finish(&self, part: Part) -> Result<Whole, PartError> {
        part.finish(self.inner.clock.now()).await
    }

    /// Puts a whole body in a file's place. Durable when this returns. Blocks of the upload are
    /// forgotten.
    ///
    /// # Errors
    /// [`PutError`]
    pub(crate) async fn put(
        &self,
        upload: &str,
        container: ContainerName,
        blob: BlobName,
        whole: Whole,
        condition: Precondition,
    ) -> Result<Stored, PutError> {
        let stored = self.blocking(move |inner| inner.storage.put(&container, &blob, whole, &condition)).await?;
        self.forget_blocks(upload).await;
        Ok(stored)
    }

    /// Keeps a block of an upload. Durable when this returns.
    ///
    /// # Errors
    /// [`PutError`]
    pub(crate) async fn put_block(&self, upload: &str, id: BlockId, whole: Whole) -> Result<(), PutError> {
        let upload = upload.to_owned();
        self.blocking(move |inner| inner.storage.put_block(&upload, &id, whole)).await
    }

    /// Puts a file together from blocks of an upload, which are forgotten. Durable when this
    /// returns.
    ///
    /// # Errors
    /// [`PutError`]; then the blocks are as they were.
    pub(crate) async fn put_blocks(
        &self,
        upload: &str,
        container: ContainerName,
        blob: BlobName,
        ids: Vec<BlockId>,
        condition: Precondition,
    ) -> Result<Stored, PutError> {
        let id = upload.to_owned();
        let put = move |inner: &Inner| {
            let joined = inner.storage.join(&id, &ids, inner.settings.file_bytes_max, inner.clock.now())?;
            inner.storage.put_joined(&container, &blob, joined, &condition)
        };
        let stored = self.blocking(put).await?;
        self.forget_blocks(upload).await;
        Ok(stored)
    }

    /// What is known of a file, if it is there.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn stat(&self, container: &ContainerName, blob: &BlobName) -> std::io::Result<Option<Stored>> {
        let (container, blob) = (container.clone(), blob.clone());
        self.blocking(move |inner| inner.storage.stat(&container, &blob)).await
    }

    /// A file for reading, if it is there.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn read(&self, container: &ContainerName, blob: &BlobName) -> std::io::Result<Option<(Stored, tokio::fs::File)>> {
        let (container, blob) = (container.clone(), blob.clone());
        let read = self.blocking(move |inner| inner.storage.read(&container, &blob)).await?;
        Ok(read.map(|(stored, file)| (stored, tokio::fs::File::from_std(file))))
    }

    /// At most `limit` files of the container in the order of their names, those behind the name
    /// `after`, of one device if it is given.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn list(&self, device: Option<String>, after: Option<String>, limit: usize) -> std::io::Result<FilePage> {
        // What is no device's id has no files.
        let Ok(device) = device.map(|device| device.parse::<DeviceId>()).transpose() else { return Ok(FilePage::default()) };
        let page = move |inner: &Inner| page(&inner.storage.container(&inner.settings.container), device.as_ref(), after.as_deref(), limit);
        self.blocking(page).await
    }

    /// Removes a file; says whether it was there. Durable when this returns.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn remove(&self, container: &ContainerName, blob: &BlobName) -> std::io::Result<bool> {
        let (container, blob) = (container.clone(), blob.clone());
        self.blocking(move |inner| inner.storage.remove(&container, &blob)).await
    }

    /// Removes blocks of uploads that are not under way. Directories are looked at first: an
    /// upload that has one by then is known by the time the store is asked.
    pub(super) async fn sweep(&self) -> Result<(), StoreError> {
        let with_blocks = self.blocking(|inner| inner.storage.uploads_with_blocks()).await;
        let with_blocks = match with_blocks {
            Ok(uploads) if uploads.is_empty() => return Ok(()),
            Ok(uploads) => uploads,
            Err(error) => {
                tracing::warn!(%error, "the directory of uploads cannot be read");
                return Ok(());
            }
        };
        let under_way = self.inner.twins.file_uploads().await?;
        for upload in with_blocks.iter().filter(|upload| !under_way.contains(upload)) {
            self.forget_blocks(upload).await;
        }
        Ok(())
    }

    /// What is left is looked for again by [`Self::sweep`].
    async fn forget_blocks(&self, upload: &str) {
        let id = upload.to_owned();
        if let Err(error) = self.blocking(move |inner| inner.storage.remove_blocks(&id)).await {
            tracing::warn!(upload, %error, "blocks of an upload cannot be removed");
        }
    }

    /// Does what blocks beside the runtime.
    async fn blocking<T, E>(&self, work: impl FnOnce(&Inner) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<std::io::Error> + Send + 'static,
    {
        let inner = self.inner.clone();
        match spawn_blocking(move || work(&inner)).await {
            Ok(outcome) => outcome,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(std::io::Error::other("the runtime is ending").into()),
            },
        }
    }
}

fn names(upload: &FileUpload) -> Option<(ContainerName, BlobName)> {
    Some((upload.container.parse().ok()?, upload.blob.parse().ok()?))
}
