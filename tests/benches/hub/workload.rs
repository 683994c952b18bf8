//! What all loads have in common: so much under way at any time, and windows in which it is counted.

use std::time::{Duration, Instant};

use crate::histogram::Histogram;

/// A load on a server, from one thread.
pub(crate) trait Workload {
    /// Sends the first of everything.
    ///
    /// # Errors
    /// When a connection has ended.
    fn begin(&mut self) -> anyhow::Result<()>;

    /// Waits for answers, counts them and, while `going_on`, sends something new for each.
    ///
    /// # Errors
    /// When a connection ends, or the server stops answering or refuses.
    fn turn(&mut self, tally: &mut Tally, going_on: bool) -> anyhow::Result<()>;

    /// Whether everything that was sent is answered.
    fn is_done(&self) -> bool;

    /// Goes on for `warm_up`, then for `window`, taking a `sample` at both ends of it; then waits
    /// until everything is answered.
    ///
    /// # Errors
    /// As [`Workload::turn`], and when a sample cannot be taken.
    fn run<T>(&mut self, warm_up: Duration, window: Duration, mut sample: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<Window<T>> {
        self.begin()?;
        let mut go_on = |end: Instant| {
            let mut tally = Tally::default();
            while Instant::now() < end {
                self.turn(&mut tally, true)?;
            }
            anyhow::Ok(tally)
        };
        go_on(Instant::now() + warm_up)?;
        let (before, begun) = (sample()?, Instant::now());
        let tally = go_on(begun + window)?;
        let (elapsed, after) = (begun.elapsed(), sample()?);
        while !self.is_done() {
            self.turn(&mut Tally::default(), false)?;
        }
        Ok(Window { before, after, elapsed, done: tally.done, latencies: tally.latencies })
    }
}

/// What happened within a measured window.
#[derive(Debug)]
pub(crate) struct Window<T> {
    /// What the caller sampled when it began.
    pub(crate) before: T,
    /// What the caller sampled when it ended.
    pub(crate) after: T,
    /// How long it really was.
    pub(crate) elapsed: Duration,
    /// What was finished in it: messages acknowledged, requests answered.
    pub(crate) done: u64,
    /// How long each took.
    pub(crate) latencies: Histogram,
}

/// A window that is being counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) latencies: Histogram,
}
