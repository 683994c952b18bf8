//! Who is connected: one entry an identity, the newest connection wins.
//!
//! A [`Handle`] reaches the task that owns a connection. Facts that must never be lost and may be
//! told twice are flags; calls of direct methods and desired changes travel through a bounded
//! queue. The store holds the truth, so a signal is only a hurry-up: what overflows is re-read.

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
}

/// Why a signal did not reach a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreached {
    /// The identity is not connected, or does not take methods.
    NotOnline,
    /// Its queue is full.
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

    /// Tells every connection that the hub is stopping.
    pub(crate) fn stop_all(&self) {
        for handle in self.connected().values() {
            handle.shared.tell(Facts::STOPPING);
        }
    }

    /// Makes every connection compare its grant, and close if it no longer holds.
    pub(crate) fn recheck_grants(&self) {
        for handle in self.connected().values() {
            handle.shared.tell(Facts::GRANTS_CHANGED);
        }
    }

    /// The same for one identity and, of a device, its modules.
    pub(crate) fn recheck(&self, identity: &Identity) {
        for (other, handle) in self.connected().iter() {
            if other == identity || (identity.module.is_none() && other.device == identity.device) {
                handle.shared.tell(Facts::GRANTS_CHANGED);
            }
        }
    }

    /// Tells the identity's connection, if there is one, to look into its command queue.
    pub(crate) fn commands_wait(&self, identity: &Identity) {
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

    /// Passes a method call to the identity's connection.
    ///
    /// # Errors
    /// [`Unreached`], and then the device never sees the call.
    pub(crate) fn call(&self, identity: &Identity, call: DeviceCall) -> Result<(), Unreached> {
        let connected = self.connected();
        let handle = connected.get(identity).filter(|handle| handle.shared.takes_methods.load(Ordering::Acquire));
        let handle = handle.ok_or(Unreached::NotOnline)?;
        handle.signals.try_send(Signal::Call(Box::new(call))).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Unreached::Full,
            mpsc::error::TrySendError::Closed(_) => Unreached::NotOnline,
        })
    }

    /// Waits until the identity takes methods, at most `patience`; says whether it does.
    pub(crate) async fn takes_methods(&self, identity: &Identity, patience: Duration) -> bool {
        let ready = async {
            loop {
                let told = self.0.ready.notified();
                if self.takes_methods_now(identity) {
                    return;
                }
                told.await;
            }
        };
        tokio::time::timeout(patience, ready).await.is_ok()
    }

    fn takes_methods_now(&self, identity: &Identity) -> bool {
        self.connected().get(identity).is_some_and(|handle| handle.shared.takes_methods.load(Ordering::Acquire))
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
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn identity(text: &str) -> Identity {
        text.parse().expect("an identity")
    }

    #[tokio::test]
    async fn the_newer_connection_wins_and_waits_for_the_older_to_leave() {
        let presence = Presence::default();
        let older = presence.enter(&identity("d")).await;
        let leaving = tokio::spawn(async move {
            let facts = poll_fn(|cx| older.poll_facts(cx)).await;
            assert!(facts.taken_over());
            older.id
        });
        let newer = presence.enter(&identity("d")).await;
        let older = leaving.await.expect("the older connection left");
        assert!(older < newer.id);
        assert!(presence.is_connected(&identity("d")));
        drop(newer);
        assert!(!presence.is_connected(&identity("d")));
    }

    #[tokio::test]
    async fn a_device_and_its_module_are_connected_side_by_side() {
        let presence = Presence::default();
        let _device = presence.enter(&identity("d")).await;
        let module = presence.enter(&identity("d/m")).await;
        assert_eq!(presence.connected_count(), 2);
        presence.recheck(&identity("d"));
        assert!(poll_fn(|cx| module.poll_facts(cx)).await.grants_changed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_an_identity_learns_that_it_came_though_it_went_again() {
        let presence = Presence::default();
        let wait = |patience| {
            let presence = presence.clone();
            tokio::spawn(async move { presence.returns(&identity("d"), tokio::time::sleep(patience)).await })
        };
        let (long, longer) = (Duration::from_secs(60), Duration::from_secs(120));
        assert!(!wait(long).await.expect("no panic"), "nobody came");
        let (first, second) = (wait(longer), wait(longer));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(first.await.expect("no panic"), "the second to wait came after a connection that the first missed");
        drop(presence.enter(&identity("d")).await);
        tokio::time::sleep(longer).await;
        assert!(second.await.expect("no panic"));
        assert!(presence.awaited().is_empty());
    }

    #[tokio::test]
    async fn a_waiting_caller_learns_that_the_device_takes_methods() {
        let presence = Presence::default();
        let seat = presence.enter(&identity("d")).await;
        let waiting = tokio::spawn({
            let presence = presence.clone();
            async move { presence.takes_methods(&identity("d"), Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        seat.set_takes_methods(true);
        assert!(waiting.await.expect("no panic"));
        assert!(!presence.takes_methods(&identity("e"), Duration::ZERO).await);
    }
}
