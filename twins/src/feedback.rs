//! The rules of feedback: who wants to know which outcome, and when records become a message.
//! Pure.
//!
//! ```text
//! outcome ──asked for──▶ record ──64 of them, or the oldest 15 s old──▶ message: Enqueued
//! ```
//!
//! A feedback message goes through the states of [`crate::command_queue`] like a command, with
//! bounds of its own; where a command would be dead-lettered, it is dropped with a line in the log.

use std::fmt;
use std::str::FromStr;

use model::Timestamp;
use model::api::FeedbackStatus;
use model::limits::{FEEDBACK_RECORDS_MAX, FEEDBACK_WAIT};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Which feedback a sender wants of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ack {
    /// None.
    #[default]
    None,
    /// When it was completed.
    Positive,
    /// When it was dead-lettered or purged.
    Negative,
    /// Either.
    Full,
}

/// A text that is not `none`, `positive`, `negative` or `full`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not none, positive, negative or full")]
pub struct InvalidAck(pub String);

impl Ack {
    /// As property `iothub-ack` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Full => "full",
        }
    }

    /// Whether a sender who asked for this is told of that outcome.
    pub fn wants(self, outcome: FeedbackStatus) -> bool {
        let is_success = match outcome {
            FeedbackStatus::Success => true,
            FeedbackStatus::Expired | FeedbackStatus::DeliveryCountExceeded | FeedbackStatus::Rejected | FeedbackStatus::Purged => false,
        };
        match self {
            Self::None => false,
            Self::Positive => is_success,
            Self::Negative => !is_success,
            Self::Full => true,
        }
    }
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Ack {
    type Err = InvalidAck;

    fn from_str(text: &str) -> Result<Self, InvalidAck> {
        [Self::None, Self::Positive, Self::Negative, Self::Full]
            .into_iter()
            .find(|ack| ack.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| InvalidAck(text.to_owned()))
    }
}

/// Records that wait to become a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gathering {
    /// How many.
    pub records: usize,
    /// When the oldest was written, if there is one.
    pub oldest: Option<Timestamp>,
}

impl Gathering {
    /// One more, written at `now`.
    pub fn add(&mut self, records: usize, now: Timestamp) {
        if records > 0 {
            self.records += records;
            self.oldest.get_or_insert(now);
        }
    }

    /// When they become a message at the latest.
    pub fn deadline(self) -> Option<Timestamp> {
        self.oldest.map(|oldest| oldest.saturating_add(FEEDBACK_WAIT))
    }

    /// Whether they are to become a message now.
    pub fn is_due(self, now: Timestamp) -> bool {
        self.records >= FEEDBACK_RECORDS_MAX || self.deadline().is_some_and(|deadline| deadline <= now)
    }
}
