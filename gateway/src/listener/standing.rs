//! How the requests of one connection for admission went. A protocol that ends its connection at
//! the first refusal has no need of it; over HTTPS a client may send the next request at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use tokio::sync::Notify;

/// Refusals one after the other that end a connection. A client whose token has run out comes back
/// with another one, but may have as many requests under way by then as HTTP/2 lets it: 64.
const REFUSALS_MAX: u32 = 100;

/// Bytes that are listened to of strangers one after the other: two of the blocks in which SDKs send
/// files.
const HEARD_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What one connection has shown of itself. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whether the last to ask was let in.
    is_known: AtomicBool,
    /// Bytes of strangers that were listened to.
    heard: AtomicU64,
    /// One after the other.
    refusals: AtomicU32,
    spent: Notify,
}

impl Standing {
    /// Somebody was let in.
    pub(super) fn admitted(&self) {
        // What other threads see of it a moment later decides nothing.
        self.inner.refusals.store(0, Ordering::Relaxed);
        self.inner.heard.store(0, Ordering::Relaxed);
        self.inner.is_known.store(true, Ordering::Relaxed);
    }

    /// Somebody was not; says whether that was one too many, once.
    pub(super) fn refused(&self) -> bool {
        self.inner.is_known.store(false, Ordering::Relaxed);
        let is_last = self.inner.refusals.fetch_add(1, Ordering::Relaxed) + 1 == REFUSALS_MAX;
        if is_last {
            self.inner.spent.notify_one();
        }
        is_last
    }

    /// Whether to listen to so many more bytes that nobody wants. A client whose token has run out, or
    /// whose link, is in the midst of sending when it is told, so a stranger is heard for a while.
    pub(crate) fn hears(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        self.inner.is_known.load(Ordering::Relaxed) || self.inner.heard.fetch_add(bytes, Ordering::Relaxed) + bytes <= HEARD_BYTES_MAX
    }

    /// Whether there were too many refusals.
    pub(crate) fn is_spent(&self) -> bool {
        self.inner.refusals.load(Ordering::Relaxed) >= REFUSALS_MAX
    }

    /// Waits until there was one refusal too many. For one caller.
    pub(crate) async fn spent(&self) {
        self.inner.spent.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn refuse(standing: &Standing, times: u32) -> Vec<bool> {
        (0..times).map(|_| standing.refused()).collect()
    }

    #[test]
    fn refusals_in_a_row_are_too_many_at_some_point_and_that_is_said_once() {
        let standing = Standing::default();
        assert_eq!(refuse(&standing, REFUSALS_MAX - 1), [false; REFUSALS_MAX as usize - 1]);
        assert!(standing.spent().now_or_never().is_none());
        assert_eq!((standing.is_spent(), refuse(&standing, 3)), (false, vec![true, false, false]));
        assert!(standing.is_spent());
        assert!(standing.spent().now_or_never().is_some(), "who looks later learns of it, too");
    }

    #[test]
    fn an_admission_makes_up_for_what_was_before() {
        let standing = Standing::default();
        for _ in 0..3 {
            assert!(!refuse(&standing, REFUSALS_MAX - 1).contains(&true));
            standing.admitted();
        }
    }

    #[test]
    fn a_stranger_is_heard_for_a_while() {
        let standing = Standing::default();
        let heard = |standing: &Standing| [standing.hears(1), standing.hears(HEARD_BYTES_MAX as usize - 1), standing.hears(1)];
        assert_eq!(heard(&standing), [true, true, false]);
        standing.admitted();
        assert_eq!(heard(&standing), [true, true, true]);
        standing.refused();
        assert_eq!(heard(&standing), [true, true, false]);
    }
}
