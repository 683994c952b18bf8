//! Uploaded files.

use std::time::Duration;

use model::DeviceId;
use model::api::{FileInfo, FileLink};
use reqwest::{Method, Response};

use super::{ClientError, HubClient, Request, lost};

impl HubClient {
    /// The uploaded files in the order of their names, those of one device if it is given.
    ///
    /// # Errors
    /// Every function here fails with a [`ClientError`]: not reached, lost, refused or not
    /// understood.
    pub async fn files(&self, device: Option<&DeviceId>) -> Result<Vec<FileInfo>, ClientError> {
        let request = Request::new(Method::GET, &["files"]);
        self.fetch_pages(device.into_iter().fold(request, |request, device| request.query("device", device)), usize::MAX).await
    }

    /// Begins to read the file `container/device/name`.
    ///
    /// # Errors
    /// See [`Self::files`].
    pub async fn file(&self, file: &str) -> Result<FileContent, ClientError> {
        self.send(&request(Method::GET, file).timeout(None)).await.map(FileContent)
    }

    /// Makes a link by which anybody reads a file for `lifetime`, 1 s to 7 days.
    ///
    /// # Errors
    /// See [`Self::files`].
    pub async fn link_file(&self, file: &str, lifetime: Duration) -> Result<FileLink, ClientError> {
        self.fetch(&request(Method::POST, file).query("seconds", lifetime.as_secs())).await
    }

    /// Removes a file.
    ///
    /// # Errors
    /// See [`Self::files`].
    pub async fn delete_file(&self, file: &str) -> Result<(), ClientError> {
        self.perform(&request(Method::DELETE, file)).await
    }
}

/// A file on its way.
#[derive(Debug)]
pub struct FileContent(Response);

impl FileContent {
    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::Lost`]
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let piece = self.0.chunk().await.map_err(|error| lost(&error))?;
        Ok(piece.map(|piece| piece.to_vec()))
    }
}

/// `files/{file}`, each part between slashes a segment.
fn request(method: Method, file: &str) -> Request {
    let segments: Vec<&str> = std::iter::once("files").chain(file.split('/')).collect();
    Request::new(method, &segments)
}
