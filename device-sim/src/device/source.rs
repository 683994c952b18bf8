//! Where a device's messages come from.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use crate::sensor::Sensor;

/// A sensor sampled at intervals, or the rows of a recording.
#[derive(Debug)]
pub(crate) enum Source {
    Sensor(Box<Sampling>),
    Recording(mpsc::Receiver<Bytes>),
}

/// A sensor and when to look at it.
#[derive(Debug)]
pub(crate) struct Sampling {
    sensor: Sensor,
    /// What applies while nobody asks for another.
    default_interval: Duration,
    ticks: Interval,
    samples: u64,
}

impl Source {
    /// A sensor first looked at after `delay`, which keeps a fleet from sending all at once.
    pub(crate) fn sensor(sensor: Sensor, interval: Duration, delay: Duration) -> Self {
        let ticks = ticks(interval, delay);
        Self::Sensor(Box::new(Sampling { sensor, default_interval: interval, ticks, samples: 0 }))
    }

    /// What kind it is, as twins and status answers name it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Sensor(sampling) => sampling.sensor.kind().name(),
            Self::Recording(_) => "recording",
        }
    }

    /// The sampling interval; a recording has none.
    pub(super) fn interval(&self) -> Option<Duration> {
        match self {
            Self::Sensor(sampling) => Some(sampling.ticks.period()),
            Self::Recording(_) => None,
        }
    }

    /// Samples at `interval` from now on, None being its own. A recording keeps its pace.
    pub(super) fn set_interval(&mut self, interval: Option<Duration>) {
        if let Self::Sensor(sampling) = self {
            let interval = interval.unwrap_or(sampling.default_interval);
            if sampling.ticks.period() != interval {
                sampling.ticks = ticks(interval, interval);
            }
        }
    }

    /// The next body, None after a recording's last. Nothing is lost when the wait is dropped.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Recording(rows) => rows.recv().await,
            Self::Sensor(sampling) => {
                sampling.ticks.tick().await;
                sampling.samples += 1;
                let seconds = sampling.ticks.period().as_secs_f64();
                Some(Bytes::from(sampling.sensor.sample(sampling.samples, seconds)))
            }
        }
    }
}

fn ticks(interval: Duration, delay: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + delay, interval);
    // What could not be sampled in time is not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::SensorKind;

    #[tokio::test(start_paused = true)]
    async fn a_new_interval_counts_at_once() {
        let sensor = Sensor::new(SensorKind::Door, 1);
        let mut source = Source::sensor(sensor, Duration::from_secs(3600), Duration::ZERO);
        assert!(source.next().await.is_some());
        source.set_interval(Some(Duration::from_secs(1)));
        let before = tokio::time::Instant::now();
        source.next().await;
        assert_eq!(before.elapsed(), Duration::from_secs(1));
        source.set_interval(None);
        assert_eq!(source.interval(), Some(Duration::from_secs(3600)));
    }

    #[tokio::test]
    async fn a_recording_ends_after_its_last_row() {
        let (sender, rows) = mpsc::channel(2);
        sender.send(Bytes::from_static(b"{}")).await.expect("taken");
        drop(sender);
        let mut source = Source::Recording(rows);
        assert_eq!(source.next().await.as_deref(), Some(&b"{}"[..]));
        assert_eq!(source.next().await, None);
        assert_eq!(source.interval(), None);
    }
}
