//! A call that waits for its device to ask: whoever takes it out first has it, the poll that
//! comes or the caller who gives up.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::methods::DeviceCall;

/// The place of a call, seen from both sides.
#[derive(Debug, Default)]
pub(super) struct Offered {
    call: Mutex<Option<DeviceCall>>,
    taken: Notify,
}

/// A call that is offered for as long as its caller keeps this.
#[derive(Debug)]
pub(super) struct Offer(Arc<Offered>);

impl Offered {
    pub(super) fn new(call: DeviceCall) -> Self {
        Self { call: Mutex::new(Some(call)), taken: Notify::new() }
    }

    /// One that found its poll before it had to be offered.
    pub(super) fn taken_at_once() -> Self {
        let offered = Self::default();
        offered.taken.notify_one();
        offered
    }

    /// The call, for the first to ask.
    pub(super) fn take(&self) -> Option<DeviceCall> {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).take();
        if call.is_some() {
            self.taken.notify_one();
        }
        call
    }

    /// Whether nobody needs its place any more.
    pub(super) fn is_over(&self) -> bool {
        self.call.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(|call| call.answer.is_closed())
    }
}

impl Offer {
    pub(super) fn new(offered: Arc<Offered>) -> Self {
        Self(offered)
    }

    /// Resolves when a poll has taken the call.
    pub(super) async fn taken(&self) {
        self.0.taken.notified().await;
    }

    /// Takes the call back; nothing when a poll has it.
    pub(super) fn withdraw(self) -> Option<DeviceCall> {
        self.0.take()
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        // The caller has hung up: nobody is to be handed this.
        drop(self.0.take());
    }
}
