//! What an event hub can be told: how long it keeps its events and how large they may be; and the
//! names of its policies.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{EVENT_HUB_MESSAGE_BYTES, POLICY_NAME_BYTES_MAX, RETENTION_BYTES_MIN, RETENTION_TIME, RETENTION_TIME_DEFAULT};

/// How long an event hub keeps its events. Whichever bound is reached first counts, and whole
/// files go, so that events may stay somewhat longer than either says.
///
/// There is no "for ever": the longest time is 10 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Events older than this may go, by the time they were appended. 1 minute to 10 years, in
    /// whole milliseconds.
    pub time: Duration,
    /// The oldest events may go while the others take this many bytes, over all partitions; at
    /// least 1 MiB. Without it only time counts.
    pub bytes: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { time: RETENTION_TIME_DEFAULT, bytes: None }
    }
}

/// Why an event hub cannot be told so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidEventHubSetting {
    /// A retention time out of bounds.
    #[error("events are kept for 1 minute to 10 years (3650 days), not for {} seconds", given.as_secs())]
    RetentionTime {
        /// The time given.
        given: Duration,
    },
    /// Too few bytes.
    #[error("a bound on what is kept is {RETENTION_BYTES_MIN} bytes or more, not {given}")]
    RetentionBytes {
        /// The bytes given.
        given: u64,
    },
    /// A largest event out of bounds.
    #[error(
        "the largest event of an event hub has {} to {} bytes, not {given}",
        EVENT_HUB_MESSAGE_BYTES.start(), EVENT_HUB_MESSAGE_BYTES.end()
    )]
    MessageBytes {
        /// The bytes given.
        given: u32,
    },
}

impl Retention {
    /// The same in whole milliseconds, if it is within bounds.
    ///
    /// # Errors
    /// [`InvalidEventHubSetting`].
    pub fn checked(self) -> Result<Self, InvalidEventHubSetting> {
        if !RETENTION_TIME.contains(&self.time) {
            return Err(InvalidEventHubSetting::RetentionTime { given: self.time });
        }
        if let Some(given) = self.bytes.filter(|bytes| *bytes < RETENTION_BYTES_MIN) {
            return Err(InvalidEventHubSetting::RetentionBytes { given });
        }
        Ok(Self { time: Duration::from_millis(self.milliseconds()), bytes: self.bytes })
    }

    /// The time in milliseconds.
    pub fn milliseconds(&self) -> u64 {
        u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX)
    }
}

/// `bytes`, if an event hub's largest event may have so many.
///
/// # Errors
/// [`InvalidEventHubSetting::MessageBytes`].
pub fn checked_message_bytes_max(bytes: u32) -> Result<u32, InvalidEventHubSetting> {
    if EVENT_HUB_MESSAGE_BYTES.contains(&bytes) { Ok(bytes) } else { Err(InvalidEventHubSetting::MessageBytes { given: bytes }) }
}

/// The name of an event hub's policy; letters of different case differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyName(Arc<str>);

/// A text that is no policy's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a policy's name: 1 to {POLICY_NAME_BYTES_MAX} letters, digits, dots, hyphens and underscores")]
pub struct InvalidPolicyName(String);

impl PolicyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PolicyName {
    type Err = InvalidPolicyName;

    fn from_str(text: &str) -> Result<Self, InvalidPolicyName> {
        let valid =
            (1..=POLICY_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if valid { Ok(Self(text.into())) } else { Err(InvalidPolicyName(text.to_owned())) }
    }
}

impl TryFrom<String> for PolicyName {
    type Error = InvalidPolicyName;
    fn try_from(text: String) -> Result<Self, InvalidPolicyName> {
        text.parse()
    }
}

impl From<PolicyName> for String {
    fn from(name: PolicyName) -> String {
        name.as_str().to_owned()
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_has_bounds_and_counts_whole_milliseconds() {
        let check = |time, bytes| Retention { time, bytes }.checked();
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(Retention::default().checked(), Ok(Retention { time: 7 * day, bytes: None }));
        assert_eq!(check(day + Duration::from_nanos(1), None), check(day, None));
        assert!(check(Duration::from_secs(60), Some(1 << 20)).is_ok());
        assert!(check(3650 * day, None).is_ok());
        let short = Duration::from_millis(59_999);
        assert_eq!(check(short, None), Err(InvalidEventHubSetting::RetentionTime { given: short }));
        assert!(check(3650 * day + Duration::from_millis(1), None).is_err());
        assert_eq!(check(day, Some(1023)), Err(InvalidEventHubSetting::RetentionBytes { given: 1023 }));
    }

    #[test]
    fn the_largest_event_has_between_one_kibibyte_and_one_mebibyte() {
        assert_eq!(checked_message_bytes_max(1024), Ok(1024));
        assert_eq!(checked_message_bytes_max(1024 * 1024), Ok(1024 * 1024));
        for given in [0, 1023, 1024 * 1024 + 1] {
            assert_eq!(checked_message_bytes_max(given), Err(InvalidEventHubSetting::MessageBytes { given }));
        }
    }

    #[test]
    fn a_policy_name_needs_no_encoding_anywhere() {
        for good in ["a", "RootManageSharedAccessKey", "site-3_read.only", &"x".repeat(64)] {
            assert!(good.parse::<PolicyName>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "a;b", "a=b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<PolicyName>().is_err(), "{bad}");
        }
    }
}
