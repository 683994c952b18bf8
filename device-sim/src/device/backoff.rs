//! How long a device waits before it connects again.

use std::time::Duration;

/// The first wait and the longest; each is twice the one before.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// The longest that a device waits because the hub says so.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// What the next wait depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// The last connection was of use: the waits begin anew.
    Shortest,
    /// It was of none.
    Longer,
    /// The hub asked for this one.
    Asked(Duration),
}

/// Waits that grow.
#[derive(Debug)]
pub(super) struct Backoff {
    last: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { last: WAITS.0 }
    }

    /// The next wait. One that the hub asks for is cut to a minute and is never shorter than the
    /// first.
    pub(super) fn wait(&mut self, pause: Pause) -> Duration {
        self.last = match pause {
            Pause::Shortest => WAITS.0,
            Pause::Longer => WAITS.1.min(self.last * 2),
            Pause::Asked(asked) => return asked.clamp(WAITS.0, ASKED_MAX),
        };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(waits: &mut Backoff, pauses: &[Pause]) -> Vec<u128> {
        pauses.iter().map(|pause| waits.wait(*pause).as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_useful_connection() {
        let waits = milliseconds(&mut Backoff::new(), &[Pause::Longer; 6]);
        assert_eq!(waits, [200, 400, 800, 1600, 3000, 3000]);
        let waits = milliseconds(&mut Backoff::new(), &[Pause::Longer, Pause::Longer, Pause::Shortest, Pause::Longer]);
        assert_eq!(waits, [200, 400, 100, 200]);
    }

    #[test]
    fn a_wait_the_hub_asks_for_is_kept_within_bounds_and_leaves_the_others_as_they_were() {
        let seconds = |seconds| Pause::Asked(Duration::from_secs(seconds));
        let waits = milliseconds(&mut Backoff::new(), &[Pause::Longer, seconds(5), seconds(0), seconds(u64::MAX), Pause::Longer]);
        assert_eq!(waits, [200, 5000, 100, 60_000, 400]);
    }
}
