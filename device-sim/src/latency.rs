//! Acknowledgement times in bounded memory: counted in buckets no wider than an eighth of their
//! value.

use std::time::Duration;

/// Buckets for each doubling.
const STEPS: u32 = 8;
/// Enough doublings of a microsecond for five hours.
const BUCKETS: usize = (STEPS * 35) as usize;

/// A histogram of durations.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }
}

impl Latencies {
    /// Counts one more.
    pub(crate) fn record(&mut self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
        let index = bucket(microseconds).min(BUCKETS - 1);
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
            self.count += 1;
        }
    }

    /// The time that the share `quantile` (0 to 1) of all stayed within; None without any.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let rank = ((self.count as f64 * quantile).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        let index = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_micros(upper_bound(index)))
    }
}

/// Doublings, then eighths within the doubling.
fn bucket(microseconds: u64) -> usize {
    let doublings = microseconds.ilog2();
    let base = 1u64 << doublings;
    let step = u128::from(microseconds - base) * u128::from(STEPS) / u128::from(base);
    (doublings * STEPS) as usize + step as usize
}

fn upper_bound(index: usize) -> u64 {
    let (doublings, step) = (index as u32 / STEPS, index as u64 % u64::from(STEPS));
    let base = 1u64 << doublings;
    base + (base * (step + 1)) / u64::from(STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_an_eighth_above() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        for milliseconds in 1..=1000 {
            latencies.record(Duration::from_millis(milliseconds));
        }
        let check = |quantile, exact: f64| {
            let measured = latencies.quantile(quantile).expect("some").as_secs_f64() * 1000.0;
            assert!((exact..=exact * 1.13).contains(&measured), "{quantile}: {measured}");
        };
        check(0.5, 500.0);
        check(0.99, 990.0);
        check(1.0, 1000.0);
        check(0.0, 1.0);
    }

    #[test]
    fn the_shortest_and_the_longest_find_a_bucket() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::ZERO);
        latencies.record(Duration::MAX);
        assert_eq!(latencies.quantile(0.1), Some(Duration::from_micros(1)));
        assert!(latencies.quantile(1.0).is_some_and(|longest| longest > Duration::from_secs(3600)));
    }
}
