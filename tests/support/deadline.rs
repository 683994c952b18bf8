//! Waiting for facts. Nothing here waits for time to pass: a fact comes about, or the test fails.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a fact may take that a healthy hub brings about at once. Generous: the machine may
/// be busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Between two looks at something that cannot be waited for otherwise.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Looks until `fact` gives a value.
///
/// # Panics
/// When there is none within `patience`.
pub(crate) fn wait_for<T>(what: &str, patience: Duration, mut fact: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = fact() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// The same for a fact that has to be asked for.
///
/// # Panics
/// When there is none within `patience`.
pub(crate) async fn wait_until<T, F>(what: &str, patience: Duration, mut fact: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = fact().await {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Awaits `fact`.
///
/// # Panics
/// When it has not come about within `patience`.
pub(crate) async fn within<T>(what: &str, patience: Duration, fact: impl Future<Output = T>) -> T {
    match tokio::time::timeout(patience, fact).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {patience:?}"),
    }
}
