//! Uploaded files, and what is told of them.

use std::time::Duration;

use model::DeviceId;
use model::api::{FileInfo, FileLink, FileNotification};
use reqwest::{Method, Response, StatusCode};

use super::{ClientError, HubClient, Request, lost, unintelligible};

/// A notification that was handed out, to be completed or abandoned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedFileNotification {
    /// Names this handing-out.
    pub lock: String,
    /// Which file was uploaded.
    pub notification: FileNotification,
}

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

    /// The oldest notification that nobody has, if there is one. It comes again unless it is
    /// completed within a minute.
    ///
    /// # Errors
    /// See [`Self::files`].
    pub async fn receive_file_notification(&self) -> Result<Option<ReceivedFileNotification>, ClientError> {
        let request = notifications(Method::GET, &[]);
        let response = self.send(&request).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let lock = response.headers().get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or_default().trim_matches('"').to_owned();
        let body = response.bytes().await.map_err(|error| lost(&error))?;
        let notification = serde_json::from_slice(&body).map_err(|error| unintelligible(&request, &error))?;
        Ok(Some(ReceivedFileNotification { lock, notification }))
    }

    /// Says that a notification is done with.
    ///
    /// # Errors
    /// See [`Self::files`].
    pub async fn complete_file_notification(&self, lock: &str) -> Result<(), ClientError> {
        self.perform(&notifications(Method::DELETE, &[lock])).await
    }

    /// Gives a notification back.
    ///
    /// # Errors
    /// See [`Self::files`].
    pub async fn abandon_file_notification(&self, lock: &str) -> Result<(), ClientError> {
        self.perform(&notifications(Method::POST, &[lock, "abandon"])).await
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

fn notifications(method: Method, rest: &[&str]) -> Request {
    let segments: Vec<&str> = ["messages", "serviceBound", "filenotifications"].iter().chain(rest).copied().collect();
    Request::new(method, &segments)
}
