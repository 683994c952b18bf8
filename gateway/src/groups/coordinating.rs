//! The coordinator, one caller at a time.

use std::ops::{Deref, DerefMut};
use std::sync::{MutexGuard, PoisonError};

use super::coordinator::Coordinator;
use super::{Groups, Inner};

/// The coordinator for a moment; whoever has to act on what was done is told at its end.
pub(super) struct Coordinating<'a> {
    guard: MutexGuard<'a, Coordinator>,
    inner: &'a Inner,
}

impl Deref for Coordinating<'_> {
    type Target = Coordinator;
    fn deref(&self) -> &Coordinator {
        &self.guard
    }
}

impl DerefMut for Coordinating<'_> {
    fn deref_mut(&mut self) -> &mut Coordinator {
        &mut self.guard
    }
}

impl Drop for Coordinating<'_> {
    fn drop(&mut self) {
        if self.guard.take_rescheduled() {
            self.inner.rescheduled.notify_one();
        }
        if self.guard.has_emptied() {
            self.inner.emptied.notify_one();
        }
    }
}

impl Groups {
    pub(super) fn coordinator(&self) -> Coordinating<'_> {
        // A panic in the middle of a transition is a defect; members then go by their timeouts.
        let guard = self.inner.coordinator.lock().unwrap_or_else(PoisonError::into_inner);
        Coordinating { guard, inner: &self.inner }
    }
}
