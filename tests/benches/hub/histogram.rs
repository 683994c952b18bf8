//! Latencies in buckets 3 % wide, so that recording one costs a few instructions.

use std::time::Duration;

/// Each power of two is cut into this many buckets.
const BUCKETS_PER_OCTAVE: u32 = 32;

/// Counts of latencies.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; (64 * BUCKETS_PER_OCTAVE) as usize], count: 0 }
    }
}

impl Histogram {
    /// Counts one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(u64::from(BUCKETS_PER_OCTAVE));
        let octave = nanoseconds.ilog2();
        let within = (nanoseconds >> (octave - BUCKETS_PER_OCTAVE.ilog2())) as u32 - BUCKETS_PER_OCTAVE;
        if let Some(bucket) = self.buckets.get_mut((octave * BUCKETS_PER_OCTAVE + within) as usize) {
            *bucket += 1;
            self.count += 1;
        }
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency that the share `quantile` of all did not exceed, to 3 %.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        let wanted = (self.count as f64 * quantile).ceil() as u64;
        let mut passed = 0;
        for (bucket, count) in (0_u32..).zip(&self.buckets) {
            passed += count;
            if passed >= wanted && passed > 0 {
                let (octave, within) = (bucket / BUCKETS_PER_OCTAVE, bucket % BUCKETS_PER_OCTAVE);
                let width = 1_u64 << octave.saturating_sub(BUCKETS_PER_OCTAVE.ilog2());
                return Duration::from_nanos(u64::from(BUCKETS_PER_OCTAVE + within) * width + width / 2);
            }
        }
        Duration::ZERO
    }
}
