//! Who is connected: one entry an identity, the newest connection wins.
//!
//! A [`Handle`] reaches the task that owns a connection. Facts that must never be lost and may be
//! told twice are flags; calls of direct methods and desired changes travel through a bounded
//! queue. The store holds the truth, so a signal is only a hurry-up: what overflows is re-read.
//!
//! Devices without a connection of their own ask over HTTPS; those are in [`Polls`]. A connection
//! that takes methods goes before the polls of its identity.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use model::Identity;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::methods::DeviceCall;

mod offer;
mod polls;

pub(crate) use polls::{CallId, NextCall, Polls, TooManyPolls, Wanted};

/// How often the activity of a busy device is noted for the registry, which need not know it exactly.
pub(crate) const ACTIVITY_INTERVAL: Duration = Duration::from_secs(1);
/// Method calls and desired changes waiting for one connection's task.
const SIGNALS_MAX: usize = 64;
/// How long a new connection waits for the one it replaces to leave.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Numbers connections in the order they were admitted; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub u64);

/// Something the owner of a connection does for somebody else.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Send a direct method to the device and answer the caller. Boxed, as every connection's queue
    /// has room for dozens of signals from the start.
    Call(Box<DeviceCall>),
    /// Tell the device that its desired properties changed.
    Desired(Arc<twins::DesiredChange>),
}

/// Facts a connection's task has not acted on yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts(u8);

impl Facts {
    const TAKEN_OVER: u8 = 1;
    const GRANTS_CHANGED: u8 = 2;
    const COMMANDS_WAIT: u8 = 4;
    const DESIRED_LOST: u8 = 8;
    const STOPPING: u8 = 16;

    /// A newer connection of the same identity has been admitted.
    pub(crate) fn taken_over(self) -> bool {
        self.0 & Self::TAKEN_OVER != 0
    }

    /// The grant may no longer hold.
    pub(crate) fn grants_changed(self) -> bool {
        self.0 & Self::GRANTS_CHANGED != 0
    }

    /// The command queue may hold something new.
    pub(crate) fn commands_wait(self) -> bool {
        self.0 & Self::COMMANDS_WAIT != 0
    }

    /// The hub is stopping.
    pub(crate) fn stopping(self) -> bool {
        self.0 & Self::STOPPING != 0
    }

    /// A desired change found the queue full: re-read the document.
    pub(crate) fn desired_lost(self) -> bool {
        self.0 & Self::DESIRED_LOST != 0
    }
}

#[derive(Debug, Default)]
struct Shared {
    facts: AtomicU8,
    waker: AtomicWaker,
    takes_methods: AtomicBool,
    left: CancellationToken,
}

impl Shared {
    fn tell(&self, fact: u8) {
        self.facts.fetch_or(fact, Ordering::AcqRel);
        self.waker.wake();
    }
}

/// Reaches the task that owns a connection.
#[derive(Debug, Clone)]
struct Handle {
    id: ConnectionId,
    shared: Arc<Shared>,
    signals: mpsc::Sender<Signal>,
}

impl Handle {
    fn takes_methods(&self) -> bool {
        self.shared.takes_methods.load(Ordering::Acquire)
    }
}

/// The receiving end, owned by the connection's task. Dropping it takes the entry out.
#[derive(Debug)]
pub(crate) struct Seat {
    /// This connection's number.
    pub id: ConnectionId,
    identity: Identity,
    shared: Arc<Shared>,
    signals: mpsc::Receiver<Signal>,
    presence: Presence,
}

/// Everyone connected. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presence(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    connected: Mutex<HashMap<Identity, Handle>>,
    last_id: AtomicU64,
    /// Told whenever an identity begins to take methods.
    ready: Notify,
    /// Who is waited for, and by whom: one an identity, the latest.
    awaited: Mutex<HashMap<Identity, CancellationToken>>,
    polls: Polls,
}

/// Why a signal did not reach a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreached {
    /// The identity neither takes methods on a connection nor polls for them.
    NotOnline,
    /// As many calls wait for it as may.
    Full,
}

impl Presence {
    /// Enters a connection. An earlier one of the same identity is told and waited for, at most
    /// five seconds, so that what it held is free when this returns.
    pub(crate) async fn enter(&self, identity: &Identity) -> Seat {
        let (sender, signals) = mpsc::channel(SIGNALS_MAX);
        let shared = Arc::new(Shared::default());
        let id = ConnectionId(self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let handle = Handle { id, shared: shared.clone(), signals: sender };
        let seat = Seat { id, identity: identity.clone(), shared, signals, presence: self.clone() };
        let earlier = self.connected().insert(identity.clone(), handle);
        if let Some(awaited) = self.awaited().remove(identity) {
            awaited.cancel();
        }
        if let Some(earlier) = earlier {
            earlier.shared.tell(Facts::TAKEN_OVER);
            // A task stuck in a write must not keep its successor out.
            let _ = tokio::time::timeout(TAKEOVER_TIMEOUT, earlier.shared.left.cancelled()).await;
        }
        seat
    }

    /// Waits until the identity has a connection, at most `patience`; says whether it came. Only
    /// the latest to wait for an identity goes on waiting: for those before, it has come.
    pub(crate) async fn returns(&self, identity: &Identity, patience: impl Future<Output = ()>) -> bool {
        let returned = CancellationToken::new();
        if let Some(earlier) = self.awaited().insert(identity.clone(), returned.clone()) {
            earlier.cancel();
        }
        // Listening before looking: one that enters in between is seen either way.
        let came = self.is_connected(identity)
            || tokio::select! {
                biased;
                () = returned.cancelled() => true,
                () = patience => false,
            };
        let mut awaited = self.awaited();
        // Cancelled under this lock, so what is not cancelled is still ours to take out.
        if !returned.is_cancelled() {
            awaited.remove(identity);
        }
        came
    }

    /// Whether the identity has a connection.
    pub(crate) fn is_connected(&self, identity: &Identity) -> bool {
        self.connected().contains_key(identity)
    }

    /// How many identities have one.
    pub(crate) fn connected_count(&self) -> usize {
        self.connected().len()
    }

    /// Tells every connection that the hub is stopping, and callers of devices that poll.
    pub(crate) fn stop_all(&self) {
        self.0.polls.give_up();
        for handle in self.connected().values() {
            handle.shared.tell(Facts::STOPPING);
        }
    }

    /// Makes every connection compare its grant, and close if it no longer holds.
    pub(crate) fn recheck_grants(&self) {
        for handle in self.connected().values() {
            handle.shared.tell(Facts::GRANTS_CHANGED);
        }
        self.0.polls.tell_each(|_| true);
    }

    /// The same for one identity and, of a device, its modules.
    pub(crate) fn recheck(&self, identity: &Identity) {
        let is_concerned = |other: &Identity| other == identity || (identity.module.is_none() && other.device == identity.device);
        for (_, handle) in self.connected().iter().filter(|(other, _)| is_concerned(other)) {
            handle.shared.tell(Facts::GRANTS_CHANGED);
        }
        self.0.polls.tell_each(is_concerned);
    }

    /// The polls over HTTPS.
    pub(crate) fn polls(&self) -> &Polls {
        &self.0.polls
    }

    /// Tells the identity's connection and polls, if there are any, to look into its command queue.
    pub(crate) fn commands_wait(&self, identity: &Identity) {
        self.0.polls.tell(identity);
        if let Some(handle) = self.connected().get(identity) {
            handle.shared.tell(Facts::COMMANDS_WAIT);
        }
    }

    /// Passes a desired change to the identity's connection, if there is one.
    pub(crate) fn desired_changed(&self, identity: &Identity, change: Arc<twins::DesiredChange>) {
        if let Some(handle) = self.connected().get(identity)
            && handle.signals.try_send(Signal::Desired(change)).is_err()
        {
            handle.shared.tell(Facts::DESIRED_LOST);
        }
    }

    /// Passes a method call to the identity's connection, or else to a poll of it. Waits for either
    /// at most `patience`, and never shorter than an identity that has just polled is given to poll
    /// again. A caller that drops this has taken the call back.
    ///
    /// # Errors
    /// [`Unreached`], and then the device never sees the call.
    pub(crate) async fn call(&self, identity: &Identity, call: DeviceCall, patience: Duration) -> Result<(), Unreached> {
        let call = match self.try_call(identity, call) {
            Err((Unreached::NotOnline, call)) => call,
            Err((Unreached::Full, _)) => return Err(Unreached::Full),
            Ok(()) => return Ok(()),
        };
        let patience = patience.max(self.0.polls.grace(identity));
        if patience.is_zero() {
            return Err(Unreached::NotOnline);
        }
        let offer = self.0.polls.offer(identity, call).map_err(|_| Unreached::Full)?;
        tokio::select! {
            biased;
            () = offer.taken() => return Ok(()),
            () = self.takes_methods(identity) => {}
            () = tokio::time::sleep(patience) => {}
        }
        match offer.withdraw() {
            Some(call) => self.try_call(identity, call).map_err(|(unreached, _)| unreached),
            None => Ok(()),
        }
    }

    /// A connection of the identity goes before a poll.
    fn try_call(&self, identity: &Identity, call: DeviceCall) -> Result<(), (Unreached, DeviceCall)> {
        let signals = self.connected().get(identity).filter(|handle| handle.takes_methods()).map(|handle| handle.signals.clone());
        let Some(signals) = signals else {
            return self.0.polls.pass(identity, call).map_err(|call| (Unreached::NotOnline, call));
        };
        match signals.try_reserve() {
            Ok(place) => {
                place.send(Signal::Call(Box::new(call)));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(())) => Err((Unreached::Full, call)),
            Err(mpsc::error::TrySendError::Closed(())) => Err((Unreached::NotOnline, call)),
        }
    }

    /// Waits until a connection of the identity takes methods.
    async fn takes_methods(&self, identity: &Identity) {
        loop {
            let told = self.0.ready.notified();
            if self.connected().get(identity).is_some_and(Handle::takes_methods) {
                return;
            }
            told.await;
        }
    }

    fn awaited(&self) -> MutexGuard<'_, HashMap<Identity, CancellationToken>> {
        self.0.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connected(&self) -> MutexGuard<'_, HashMap<Identity, Handle>> {
        // A panic while it was held cannot have left the map half changed.
        self.0.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Facts told since the last call. Empty: `cx` is woken when there are some.
    pub(crate) fn poll_facts(&self, cx: &mut Context<'_>) -> Poll<Facts> {
        self.shared.waker.register(cx.waker());
        match self.shared.facts.swap(0, Ordering::AcqRel) {
            0 => Poll::Pending,
            facts => Poll::Ready(Facts(facts)),
        }
    }

    /// The next signal.
    pub(crate) fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        match self.signals.poll_recv(cx) {
            Poll::Ready(Some(signal)) => Poll::Ready(signal),
            // The sender lives in the map until this seat is dropped or replaced.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Says whether the device has subscribed to direct methods.
    pub(crate) fn set_takes_methods(&self, takes: bool) {
        self.shared.takes_methods.store(takes, Ordering::Release);
        if takes {
            self.presence.0.ready.notify_waiters();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut connected = self.presence.connected();
        if connected.get(&self.identity).is_some_and(|handle| handle.id == self.id) {
            connected.remove(&self.identity);
        }
        drop(connected);
        self.shared.left.cancel();
    }
}

#[cfg(test)]
mod tests;
