//! The promise of durability: a ticket for each staged batch, one shared state for each commit
//! group.

use std::future::Future;
use std::pin::Pin;

use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use model::SequenceNumber;

use crate::error::LogFailed;
use crate::sync::lock;

/// Proof that a batch lies on disk. Only a resolved [`Ticket`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    first: SequenceNumber,
}

impl Durable {
    /// The sequence number of the batch's first event.
    pub fn first(self) -> SequenceNumber {
        self.first
    }
}

/// Resolves when the commit group of a staged batch is durable, or never will be.
///
/// A connection keeps its tickets in order and polls the front one: all tickets of a group resolve
/// together, so one registered waker a group is enough. A ticket is a shared pointer and a number;
/// a clone costs one count.
#[derive(Debug)]
pub struct Ticket {
    group: Arc<GroupState>,
    first: SequenceNumber,
    slot: Option<usize>,
}

impl Ticket {
    pub(crate) fn new(group: Arc<GroupState>, first: SequenceNumber) -> Self {
        Self { group, first, slot: None }
    }

    /// The sequence number given to the batch's first event, valid once the ticket resolves well.
    pub fn first(&self) -> SequenceNumber {
        self.first
    }

    /// The outcome, if it is known.
    pub fn try_get(&self) -> Option<Result<Durable, LogFailed>> {
        let outcome = self.group.outcome.get()?;
        Some(outcome.clone().map(|()| Durable { first: self.first }))
    }

    /// Whether both tickets resolve at the same moment.
    pub fn same_group(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.group, &other.group)
    }
}

impl Clone for Ticket {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.group), self.first)
    }
}

impl Future for Ticket {
    type Output = Result<Durable, LogFailed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = self.get_mut();
        if let Some(outcome) = ticket.try_get() {
            return Poll::Ready(outcome);
        }
        ticket.slot = ticket.group.register(ticket.slot, context.waker());
        // Registered first, looked second: a resolution in between is either seen here or wakes.
        ticket.try_get().map_or(Poll::Pending, Poll::Ready)
    }
}

/// What the tickets of one commit group share.
#[derive(Debug, Default)]
pub(crate) struct GroupState {
    outcome: OnceLock<Result<(), LogFailed>>,
    waiters: Mutex<Vec<Waker>>,
}

impl GroupState {
    /// The state of groups that were durable before the log was opened, shared by all of them.
    pub(crate) fn durable() -> Arc<Self> {
        static DURABLE: OnceLock<Arc<GroupState>> = OnceLock::new();
        Arc::clone(DURABLE.get_or_init(|| Arc::new(Self { outcome: OnceLock::from(Ok(())), waiters: Mutex::default() })))
    }

    pub(crate) fn is_durable(&self) -> bool {
        matches!(self.outcome.get(), Some(Ok(())))
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.outcome.get(), Some(Err(_)))
    }

    /// Makes the outcome known and wakes who waits for it. Only the first call counts.
    pub(crate) fn resolve(&self, outcome: Result<(), LogFailed>) {
        if self.outcome.set(outcome).is_err() {
            return;
        }
        let waiters = std::mem::take(&mut *lock(&self.waiters));
        waiters.into_iter().for_each(Waker::wake);
    }

    fn register(&self, slot: Option<usize>, waker: &Waker) -> Option<usize> {
        let mut waiters = lock(&self.waiters);
        if self.outcome.get().is_some() {
            return slot;
        }
        if let Some(registered) = slot.and_then(|slot| waiters.get_mut(slot)) {
            registered.clone_from(waker);
            return slot;
        }
        waiters.push(waker.clone());
        Some(waiters.len() - 1)
    }
}
