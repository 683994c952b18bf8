//! Memory for requests and answers, over all connections of the endpoint.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of requests being read or carried out.
const REQUEST_BYTES: usize = 64 * 1024 * 1024;
/// Requests up to this size have a budget of their own: a heartbeat does not wait until large
/// batches have come over slow lines.
const SMALL_REQUEST: usize = 16 * 1024;
const SMALL_REQUEST_BYTES: usize = 16 * 1024 * 1024;
/// The same of peers that have not authenticated, so that they take nothing from those who have.
const STRANGER_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of events in answers to fetches, from reading them until they are sent.
const FETCHED_BYTES: usize = 64 * 1024 * 1024;
/// A fetch gets at most this part of what is free …
const FETCHED_PARTS: usize = 16;
/// … and at least so much, whatever it asks for: its first batch comes whole.
const FETCHED_BYTES_MIN: usize = model::limits::EVENT_BYTES_MAX;
/// Batches decompressed at once: each may grow to 32 MiB, and keeps a thread busy.
const EXPANSIONS: usize = 2;

/// What all connections share.
#[derive(Debug, Clone)]
pub(crate) struct Budgets {
    requests: Arc<Semaphore>,
    small_requests: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    fetched: Arc<Semaphore>,
    expansions: Arc<Semaphore>,
}

/// A share of a budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
}

impl Default for Budgets {
    fn default() -> Self {
        let budget = |size| Arc::new(Semaphore::new(size));
        Self {
            requests: budget(REQUEST_BYTES),
            small_requests: budget(SMALL_REQUEST_BYTES),
            strangers: budget(STRANGER_BYTES),
            fetched: budget(FETCHED_BYTES),
            expansions: budget(EXPANSIONS),
        }
    }
}

impl Budgets {
    /// Waits for room for a request of `bytes`.
    pub(super) async fn request(&self, bytes: usize) -> Share {
        take(if bytes <= SMALL_REQUEST { &self.small_requests } else { &self.requests }, bytes).await
    }

    /// The same for a peer that has not authenticated.
    pub(super) async fn stranger(&self, bytes: usize) -> Share {
        take(&self.strangers, bytes).await
    }

    /// Waits for room for events: `bytes`, less where many take their time to read, so that those
    /// who read nothing cannot soon hold all there is; and never less than one batch may take.
    pub(super) async fn fetched(&self, bytes: usize) -> Share {
        let fair = (self.fetched.available_permits() / FETCHED_PARTS).max(FETCHED_BYTES_MIN);
        take(&self.fetched, bytes.min(fair).max(FETCHED_BYTES_MIN)).await
    }

    /// Bytes that no answer holds.
    #[cfg(test)]
    pub(super) fn fetched_free(&self) -> usize {
        self.fetched.available_permits()
    }

    /// Waits for its turn to decompress a batch.
    pub(super) async fn expansion(&self) -> Share {
        take(&self.expansions, 1).await
    }
}

impl Share {
    /// Nothing of any budget.
    pub(super) fn none() -> Self {
        Self { permit: None }
    }

    /// How much it is.
    pub(super) fn amount(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Gives back what is more than `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.permit {
            let surplus = permit.num_permits().saturating_sub(bytes);
            drop(permit.split(surplus));
        }
    }
}

async fn take(budget: &Arc<Semaphore>, amount: usize) -> Share {
    let amount = u32::try_from(amount).unwrap_or(u32::MAX);
    // Budgets are never closed.
    Share { permit: Arc::clone(budget).acquire_many_owned(amount).await.ok() }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use model::limits::EVENT_BYTES_MAX;

    use super::*;

    #[test]
    fn small_requests_do_not_wait_for_large_ones_that_come_slowly() {
        let budgets = Budgets::default();
        let slow: Vec<_> = std::iter::from_fn(|| budgets.request(2 * EVENT_BYTES_MAX).now_or_never()).collect();
        assert_eq!(slow.len(), REQUEST_BYTES / (2 * EVENT_BYTES_MAX));
        assert!(budgets.request(SMALL_REQUEST).now_or_never().is_some());
    }

    #[test]
    fn a_fetch_has_room_for_a_whole_batch_and_no_fetch_takes_all() {
        let budgets = Budgets::default();
        assert_eq!(budgets.fetched(1).now_or_never().map(|share| share.amount()), Some(EVENT_BYTES_MAX));
        let stuck: Vec<_> = std::iter::from_fn(|| budgets.fetched(usize::MAX).now_or_never()).collect();
        assert_eq!(stuck.first().map(Share::amount), Some(FETCHED_BYTES / FETCHED_PARTS));
        assert_eq!(stuck.iter().map(Share::amount).sum::<usize>() / EVENT_BYTES_MAX, FETCHED_BYTES / EVENT_BYTES_MAX - 1);
    }
}
