//! Telling that the clock is behind the log.

use std::time::Duration;

use model::Timestamp;

/// So far the clock may be set back without a word: a correction.
const UNSAID: Duration = Duration::from_secs(60);

/// Warns once when the clock is behind the latest append time, and again only after it had caught
/// up.
#[derive(Debug, Default)]
pub(crate) struct ClockLag {
    is_said: bool,
}

impl ClockLag {
    /// Compares the clock with the latest append time; says whether it warned.
    pub(crate) fn look(&mut self, now: Timestamp, latest: Timestamp) -> bool {
        let lag = latest.saturating_since(now);
        if lag.is_zero() {
            self.is_said = false;
        }
        if self.is_said || lag <= UNSAID {
            return false;
        }
        self.is_said = true;
        tracing::warn!(
            clock = %now,
            latest_append = %latest,
            lag_seconds = lag.as_secs(),
            "the clock is behind the event log: until it comes to the latest append time events get that time, and retention by time \
             removes none of them. If the clock is wrong, set it right; if it was wrong then, let size bound the event hubs until it \
             has caught up"
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_behind_the_log_is_told_once_until_it_has_caught_up() {
        let at = |seconds: i64| Timestamp::from_milliseconds(seconds * 1000);
        let mut lag = ClockLag::default();
        for (now, latest, is_said) in [
            (1000, 1000, false),
            (1000, 1060, false),
            (1000, 1061, true),
            (1001, 1061, false),
            (1060, 1061, false),
            (900, 1061, false),
            (1061, 1061, false),
            (1000, 1061, true),
        ] {
            assert_eq!(lag.look(at(now), at(latest)), is_said, "{now} beside {latest}");
        }
        assert!(!ClockLag::default().look(at(0), Timestamp::NEVER), "a new log");
    }
}
