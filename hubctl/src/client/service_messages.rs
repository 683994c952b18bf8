//! What the hub tells the service: feedback on commands, and notifications of uploaded files. Each
//! message is handed out, and comes again unless it is completed within a minute.

use model::api::{FeedbackRecord, FileNotification};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::{ClientError, HubClient, Request, lost, unintelligible};

const FEEDBACK: &str = "feedback";
const FILE_NOTIFICATIONS: &str = "filenotifications";

/// A message that was handed out, to be completed or abandoned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<T> {
    /// Names this handing-out.
    pub lock: String,
    /// What it says.
    pub content: T,
}

impl HubClient {
    /// The oldest feedback message that nobody has, if there is one: up to 64 outcomes of commands.
    ///
    /// # Errors
    /// Every function here fails with a [`ClientError`]: not reached, lost, refused or not
    /// understood.
    pub async fn receive_feedback(&self) -> Result<Option<Received<Vec<FeedbackRecord>>>, ClientError> {
        self.receive(FEEDBACK).await
    }

    /// Says that a feedback message is done with.
    ///
    /// # Errors
    /// See [`Self::receive_feedback`].
    pub async fn complete_feedback(&self, lock: &str) -> Result<(), ClientError> {
        self.perform(&request(Method::DELETE, FEEDBACK, &[lock])).await
    }

    /// Gives a feedback message back, which counts: one that is given back too often is dropped.
    ///
    /// # Errors
    /// See [`Self::receive_feedback`].
    pub async fn abandon_feedback(&self, lock: &str) -> Result<(), ClientError> {
        self.perform(&request(Method::POST, FEEDBACK, &[lock, "abandon"])).await
    }

    /// The oldest file notification that nobody has, if there is one.
    ///
    /// # Errors
    /// See [`Self::receive_feedback`].
    pub async fn receive_file_notification(&self) -> Result<Option<Received<FileNotification>>, ClientError> {
        self.receive(FILE_NOTIFICATIONS).await
    }

    /// Says that a file notification is done with.
    ///
    /// # Errors
    /// See [`Self::receive_feedback`].
    pub async fn complete_file_notification(&self, lock: &str) -> Result<(), ClientError> {
        self.perform(&request(Method::DELETE, FILE_NOTIFICATIONS, &[lock])).await
    }

    /// Gives a file notification back, which counts: one that is given back too often is dropped.
    ///
    /// # Errors
    /// See [`Self::receive_feedback`].
    pub async fn abandon_file_notification(&self, lock: &str) -> Result<(), ClientError> {
        self.perform(&request(Method::POST, FILE_NOTIFICATIONS, &[lock, "abandon"])).await
    }

    async fn receive<T: DeserializeOwned>(&self, queue: &str) -> Result<Option<Received<T>>, ClientError> {
        let request = request(Method::GET, queue, &[]);
        let response = self.send(&request).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let lock = response.headers().get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or_default().trim_matches('"').to_owned();
        let body = response.bytes().await.map_err(|error| lost(&error))?;
        let content = serde_json::from_slice(&body).map_err(|error| unintelligible(&request, &error))?;
        Ok(Some(Received { lock, content }))
    }
}

fn request(method: Method, queue: &str, rest: &[&str]) -> Request {
    let segments: Vec<&str> = ["messages", "serviceBound", queue].iter().chain(rest).copied().collect();
    Request::new(method, &segments)
}
