//! Time as a value. Domain code is handed a [`Clock`]; only `main` makes the system one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// What the service API writes for "never": `0001-01-01T00:00:00Z`.
    pub const NEVER: Self = Self(-62_135_596_800_000);
    /// The latest moment that RFC 3339 can write, `9999-12-31T23:59:59.999Z`.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The moment `milliseconds` after the epoch, held within years 1 to 9999.
    pub fn from_milliseconds(milliseconds: i64) -> Self {
        Self(milliseconds.clamp(Self::NEVER.0, Self::MAX.0))
    }

    /// Milliseconds since the epoch.
    pub fn as_milliseconds(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment and `duration` later, no later than [`Timestamp::MAX`].
    pub fn saturating_add(self, duration: Duration) -> Self {
        let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_milliseconds(self.0.saturating_add(milliseconds))
    }

    /// The time from `earlier` to this moment, zero if it lies after it.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads an RFC 3339 date and time; digits below a millisecond are dropped.
    ///
    /// # Errors
    /// The text when it is not such a date.
    pub fn parse_rfc3339(text: &str) -> Result<Self, InvalidTimestamp> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp(text.to_owned()))?;
        let milliseconds = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Self::from_milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX)))
    }
}

/// A text that is not an RFC 3339 date and time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date and time like 2026-01-31T12:00:00Z")]
pub struct InvalidTimestamp(String);

impl fmt::Display for Timestamp {
    /// `2026-01-31T12:00:00.123Z`, without the fraction when it is zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp(self.as_seconds()).map_err(|_| fmt::Error)?;
        let (date, time) = (moment.date(), moment.time());
        write!(f, "{:04}-{:02}-{:02}T", date.year(), u8::from(date.month()), date.day())?;
        write!(f, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        match self.0.rem_euclid(1000) {
            0 => f.write_str("Z"),
            milliseconds => write!(f, ".{milliseconds:03}Z"),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(de::Error::custom)
    }
}

/// Where domain code reads the time: the system's, or one that a test sets.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's wall clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it; clones move together.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(milliseconds) => Timestamp(milliseconds.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; the system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(milliseconds) = &self.0 {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            milliseconds.fetch_add(by, Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system clock")]
fn system_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_milliseconds(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_as_it_was_written() {
        for text in ["0001-01-01T00:00:00Z", "2026-11-21T05:29:23.007Z", "1969-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"] {
            assert_eq!(Timestamp::parse_rfc3339(text).expect(text).to_string(), text);
        }
        assert_eq!(Timestamp::NEVER.to_string(), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn other_offsets_and_finer_fractions_are_accepted() {
        let moment = Timestamp::parse_rfc3339("2026-01-01T02:00:00.1239999+02:00").expect("a date");
        assert_eq!(moment.to_string(), "2026-01-01T00:00:00.123Z");
        assert!(Timestamp::parse_rfc3339("yesterday").is_err());
    }
}
