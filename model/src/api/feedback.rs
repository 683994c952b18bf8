//! Feedback: what the sender of a command is told of its outcome.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Content type of a feedback message, whose body is a JSON array of [`FeedbackRecord`]s.
pub const FEEDBACK_CONTENT_TYPE: &str = "application/vnd.microsoft.iothub.feedback.json";

/// What became of a command, `statusCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FeedbackStatus {
    /// It was completed.
    Success,
    /// Nobody completed it in time.
    Expired,
    /// It was abandoned too often.
    DeliveryCountExceeded,
    /// The device rejected it.
    Rejected,
    /// Its queue was emptied.
    Purged,
}

impl FeedbackStatus {
    /// The text for people that goes with it. The first and the fourth have been seen from the
    /// service; the others are ours, after their pattern, and no SDK reads them.
    pub fn description(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Expired => "Message expired",
            Self::DeliveryCountExceeded => "Message delivery count exceeded",
            Self::Rejected => "Message rejected",
            Self::Purged => "Message purged",
        }
    }
}

/// The outcome of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedbackRecord {
    /// The command's message id.
    pub original_message_id: String,
    /// [`FeedbackStatus::description`].
    pub description: String,
    /// The generation of the identity that it was sent to.
    pub device_generation_id: String,
    /// The device that it was sent to.
    pub device_id: String,
    /// The module, if it was sent to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
    /// When the outcome came about.
    pub enqueued_time_utc: Timestamp,
    /// The outcome.
    pub status_code: FeedbackStatus,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_written_as_service_sdks_read_it() {
        let record = FeedbackRecord {
            original_message_id: "m1".into(),
            description: FeedbackStatus::Success.description().into(),
            device_generation_id: "638388855582764406".into(),
            device_id: "dev1".into(),
            module_id: None,
            enqueued_time_utc: Timestamp::parse_rfc3339("2026-01-01T00:00:00.123Z").expect("a date"),
            status_code: FeedbackStatus::Success,
        };
        let json = r#"{"originalMessageId":"m1","description":"Success","deviceGenerationId":"638388855582764406","deviceId":"dev1","enqueuedTimeUtc":"2026-01-01T00:00:00.123Z","statusCode":"Success"}"#;
        assert_eq!(serde_json::to_string(&record).expect("written"), json);
        let module = FeedbackRecord { module_id: Some("m".into()), status_code: FeedbackStatus::DeliveryCountExceeded, ..record };
        let json = serde_json::to_string(&module).expect("written");
        assert!(json.contains(r#""moduleId":"m""#) && json.contains(r#""statusCode":"DeliveryCountExceeded""#), "{json}");
    }
}
