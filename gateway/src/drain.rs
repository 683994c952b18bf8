//! Stopping: connections are told once, and waited for within a bound.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The state of a hub's stop, shared by everything that must end with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drain {
    begun: CancellationToken,
    deadline: Arc<OnceLock<Instant>>,
    tasks: TaskTracker,
}

impl Drain {
    /// A hub that runs.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins the stop: nothing new is accepted, and what was accepted has `patience` to finish.
    /// Only the first call counts.
    pub(crate) fn begin(&self, patience: Duration) {
        self.deadline.get_or_init(|| Instant::now() + patience);
        self.begun.cancel();
        self.tasks.close();
    }

    /// Whether the stop has begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until the stop begins. Cheap to keep in a `select!`.
    pub(crate) async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// When patience ends, once the stop has begun.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    /// Runs `task` on the runtime as one that the stop waits for.
    pub(crate) fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task);
    }

    /// Carries `task` to its end even if whoever waits for it goes away, and gives its outcome. The
    /// stop waits for it. A panic of the task goes on in the caller.
    pub(crate) async fn carry_out<F>(&self, task: F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        match self.tasks.spawn(task.in_current_span()).await {
            Ok(outcome) => outcome,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Nobody cancels it but the runtime when it ends, and then nobody waits.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Waits for every task that the stop waits for, at most until the deadline; gives the number
    /// of tasks that were still running then. To be called after [`Drain::begin`].
    pub(crate) async fn finished(&self) -> usize {
        let deadline = self.deadline().unwrap_or_else(Instant::now);
        match tokio::time::timeout_at(deadline, self.tasks.wait()).await {
            Ok(()) => 0,
            Err(_) => self.tasks.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_stop_waits_for_what_finishes_in_time() {
        let drain = Drain::new();
        let told = drain.clone();
        drain.spawn(async move { told.begun().await });
        assert!(!drain.is_draining());
        drain.begin(Duration::from_secs(10));
        assert!(drain.is_draining());
        assert_eq!(drain.finished().await, 0);
    }

    #[tokio::test]
    async fn what_must_be_carried_out_outlasts_who_waits_for_it() {
        let drain = Drain::new();
        let (begin, begun) = tokio::sync::oneshot::channel::<()>();
        let (end, ended) = tokio::sync::oneshot::channel();
        let mut waiting = Box::pin(drain.carry_out(async move {
            begun.await.expect("begun");
            end.send(()).expect("somebody waits");
        }));
        tokio::select! {
            biased;
            () = &mut waiting => panic!("it has not begun"),
            () = std::future::ready(()) => {}
        }
        drop(waiting);
        begin.send(()).expect("it goes on");
        ended.await.expect("carried out");
        assert_eq!(drain.carry_out(async { 7 }).await, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn the_stop_does_not_wait_for_ever() {
        let drain = Drain::new();
        drain.spawn(std::future::pending());
        drain.begin(Duration::from_secs(10));
        let first = drain.deadline();
        drain.begin(Duration::from_secs(600));
        assert_eq!(drain.deadline(), first, "a second call does not move the deadline");
        assert_eq!(drain.finished().await, 1);
    }
}
