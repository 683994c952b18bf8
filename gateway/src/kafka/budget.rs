//! Memory for requests and answers, over all connections of the endpoint.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of requests being read or carried out.
const REQUEST_BYTES: usize = 64 * 1024 * 1024;
/// The same of peers that have not authenticated, so that they take nothing from those who have.
const STRANGER_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of events in answers to fetches, from reading them until they are sent.
const FETCHED_BYTES: usize = 64 * 1024 * 1024;
/// A fetch gets at most this part of what is free …
const FETCHED_PARTS: usize = 16;
/// … and at least so much.
const FETCHED_BYTES_MIN: usize = 64 * 1024;
/// Batches decompressed at once: each may grow to 32 MiB, and keeps a thread busy.
const EXPANSIONS: usize = 2;

/// What all connections share.
#[derive(Debug, Clone)]
pub(crate) struct Budgets {
    requests: Arc<Semaphore>,
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
            strangers: budget(STRANGER_BYTES),
            fetched: budget(FETCHED_BYTES),
            expansions: budget(EXPANSIONS),
        }
    }
}

impl Budgets {
    /// Waits for room for a request of `bytes`.
    pub(super) async fn request(&self, bytes: usize) -> Share {
        take(&self.requests, bytes).await
    }

    /// The same for a peer that has not authenticated.
    pub(super) async fn stranger(&self, bytes: usize) -> Share {
        take(&self.strangers, bytes).await
    }

    /// Waits for room for events: at most `bytes`, less where many take their time to read, so
    /// that those who read nothing cannot soon hold all there is.
    pub(super) async fn fetched(&self, bytes: usize) -> Share {
        let fair = (self.fetched.available_permits() / FETCHED_PARTS).max(FETCHED_BYTES_MIN);
        take(&self.fetched, bytes.min(fair)).await
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
