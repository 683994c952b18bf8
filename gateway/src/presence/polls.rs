//! Who polls: identities without a connection of their own that ask over HTTPS for commands and
//! direct methods, and wait a while for an answer.
//!
//! A poll that waits is a place where a call can be left, so nothing is queued for a device that
//! does not ask. Between two polls an identity counts as present for [`GRACE`]: a caller waits that
//! long for the next poll. A call is handed over once, by taking it out of the one place it is in.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Identity;
use model::limits::{METHODS_IN_FLIGHT_MAX, POLLS_MAX, POLLS_PER_IDENTITY_MAX};
use thiserror::Error;
use tokio::sync::{Notify, futures::Notified, oneshot};
use tokio::time::Instant;

use super::offer::{Offer, Offered};
use crate::methods::{CallFailed, DeviceCall, MethodAnswer};

/// How long an identity that polled for methods counts as present once no poll of it waits: what
/// a device needs to ask again, and longer than it may sleep between polls that do not wait.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// How far a lock's end, which counts in milliseconds of another clock, may lie behind our timer.
const LOCK_SLACK: Duration = Duration::from_millis(10);
/// Ends of locks kept for one identity. One that goes unseen is found with the next.
const LOCK_ENDS_MAX: usize = 64;
/// Identities looked after before those that need it no more are looked for.
const SWEPT_FROM: usize = 64;

/// What a poll asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Commands.
    Commands,
    /// Direct methods.
    Methods,
}

/// Why a poll may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum TooManyPolls {
    /// As many polls of the identity wait as may.
    #[error("{POLLS_PER_IDENTITY_MAX} polls of one kind wait for this device already")]
    OfIdentity,
    /// As many polls wait as may, over all identities.
    #[error("as many polls wait as may")]
    InAll,
}

/// Names one call on its way to a device and back; never used again, not even after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CallId(u128);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for CallId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex { u128::from_str_radix(text, 16).map(Self).map_err(|_| ()) } else { Err(()) }
    }
}

/// Where the answer to a call goes.
pub(crate) type Answer = oneshot::Sender<Result<MethodAnswer, CallFailed>>;

/// Everyone who polls. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Polls(Arc<Mutex<Directory>>);

#[derive(Debug, Default)]
struct Directory {
    pollers: HashMap<Identity, Poller>,
    /// Polls that wait, over all identities.
    waiting: usize,
    /// How many identities there may be before a sweep.
    sweep_at: usize,
}

/// What is known of one identity.
#[derive(Debug, Default)]
struct Poller {
    /// Told of commands and of changed grants.
    told: Arc<Notify>,
    command_polls: usize,
    method_polls: usize,
    /// The places of polls that wait for a method, oldest first.
    places: VecDeque<oneshot::Sender<DeviceCall>>,
    /// Calls that wait for a poll, oldest first.
    offers: VecDeque<Arc<Offered>>,
    /// Calls that the device has, and whose answers are awaited.
    calls: HashMap<CallId, Answer>,
    /// Until when it counts as present though no poll waits.
    present_until: Option<Instant>,
    /// When commands that it was handed are to be had again, if it settles none of them.
    lock_ends: VecDeque<Instant>,
}

/// A request as long as it waits, or might.
#[derive(Debug)]
pub(crate) struct OpenPoll {
    polls: Polls,
    identity: Identity,
    wanted: Wanted,
    told: Arc<Notify>,
}

/// A direct method, or the place where one will lie.
#[derive(Debug)]
pub(crate) enum NextCall {
    /// One that waited for this poll.
    Here(DeviceCall),
    /// One that is still to come.
    ToCome(oneshot::Receiver<DeviceCall>),
}

impl Polls {
    /// Counts a poll of `identity`.
    ///
    /// # Errors
    /// [`TooManyPolls`]
    pub(crate) fn enter(&self, identity: &Identity, wanted: Wanted) -> Result<OpenPoll, TooManyPolls> {
        let mut directory = self.directory();
        if directory.waiting >= POLLS_MAX {
            return Err(TooManyPolls::InAll);
        }
        let poller = directory.poller(identity);
        let polls = poller.polls_mut(wanted);
        if *polls >= POLLS_PER_IDENTITY_MAX {
            return Err(TooManyPolls::OfIdentity);
        }
        *polls += 1;
        let told = Arc::clone(&poller.told);
        directory.waiting += 1;
        Ok(OpenPoll { polls: self.clone(), identity: identity.clone(), wanted, told })
    }

    /// Makes the identity's polls look again.
    pub(super) fn tell(&self, identity: &Identity) {
        if let Some(poller) = self.directory().pollers.get(identity) {
            poller.told.notify_waiters();
        }
    }

    /// The same for every identity that `concerned` says.
    pub(super) fn tell_each(&self, concerned: impl Fn(&Identity) -> bool) {
        let directory = self.directory();
        directory.pollers.iter().filter(|(identity, _)| concerned(identity)).for_each(|(_, poller)| poller.told.notify_waiters());
    }

    /// Leaves a call with a poll that waits.
    ///
    /// # Errors
    /// The call, when none does.
    pub(super) fn pass(&self, identity: &Identity, call: DeviceCall) -> Result<(), DeviceCall> {
        match self.directory().pollers.get_mut(identity) {
            Some(poller) => poller.pass(call),
            None => Err(call),
        }
    }

    /// How long the next poll of the identity is to be waited for, because it has just polled.
    pub(super) fn grace(&self, identity: &Identity) -> Duration {
        match self.directory().pollers.get(identity) {
            // Its poll has just been given another call.
            Some(poller) if poller.method_polls > 0 => GRACE,
            Some(Poller { present_until: Some(until), .. }) => until.saturating_duration_since(Instant::now()),
            Some(_) | None => Duration::ZERO,
        }
    }

    /// Puts a call where the next poll finds it, for as long as the offer is kept.
    ///
    /// # Errors
    /// The call, when too many wait already.
    pub(super) fn offer(&self, identity: &Identity, call: DeviceCall) -> Result<Offer, DeviceCall> {
        let mut directory = self.directory();
        let poller = directory.poller(identity);
        poller.offers.retain(|offered| !offered.is_over());
        if poller.offers.len() >= METHODS_IN_FLIGHT_MAX {
            return Err(call);
        }
        let offered = Arc::new(match poller.pass(call) {
            Ok(()) => Offered::taken_at_once(),
            Err(call) => Offered::new(call),
        });
        poller.offers.push_back(Arc::clone(&offered));
        Ok(Offer::new(offered))
    }

    /// Keeps the place of an answer until [`Polls::answer`].
    ///
    /// # Errors
    /// The place, when the device owes too many answers.
    pub(crate) fn expect_answer(&self, identity: &Identity, answer: Answer) -> Result<CallId, Answer> {
        let mut directory = self.directory();
        let calls = &mut directory.poller(identity).calls;
        calls.retain(|_, waiting| !waiting.is_closed());
        if calls.len() >= METHODS_IN_FLIGHT_MAX {
            return Err(answer);
        }
        let id = CallId(rand::random());
        calls.insert(id, answer);
        Ok(id)
    }

    /// Takes the place of an answer that somebody still waits for.
    pub(crate) fn awaited(&self, identity: &Identity, id: CallId) -> Option<Answer> {
        let awaited = self.directory().pollers.get_mut(identity)?.calls.remove(&id)?;
        (!awaited.is_closed()).then_some(awaited)
    }

    /// The identity has been handed a command that is its own for `lock`: a poll that waits then is
    /// to look again.
    pub(crate) fn note_lock(&self, identity: &Identity, lock: Duration) {
        let mut directory = self.directory();
        let now = Instant::now();
        let poller = directory.poller(identity);
        poller.lock_ends.retain(|end| *end > now);
        if poller.lock_ends.len() < LOCK_ENDS_MAX {
            poller.lock_ends.push_back(now + lock + LOCK_SLACK);
        }
    }

    /// How many polls wait, over all identities.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.directory().waiting
    }

    fn leave(&self, poll: &OpenPoll) {
        let mut directory = self.directory();
        directory.waiting -= 1;
        let Some(poller) = directory.pollers.get_mut(&poll.identity) else { return };
        *poller.polls_mut(poll.wanted) -= 1;
        if poll.wanted == Wanted::Methods {
            poller.places.retain(|place| !place.is_closed());
            poller.present_until = Some(Instant::now() + GRACE);
        }
        if poller.is_idle(Instant::now()) {
            directory.pollers.remove(&poll.identity);
        }
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        // A panic while it was held cannot have left it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory {
    /// The entry of `identity`; the first of many lets go of those nobody needs any more.
    fn poller(&mut self, identity: &Identity) -> &mut Poller {
        if self.pollers.len() >= self.sweep_at.max(SWEPT_FROM) && !self.pollers.contains_key(identity) {
            let now = Instant::now();
            self.pollers.retain(|_, poller| !poller.is_idle(now));
            self.sweep_at = 2 * self.pollers.len();
        }
        self.pollers.entry(identity.clone()).or_default()
    }
}

impl Poller {
    fn polls_mut(&mut self, wanted: Wanted) -> &mut usize {
        match wanted {
            Wanted::Commands => &mut self.command_polls,
            Wanted::Methods => &mut self.method_polls,
        }
    }

    fn pass(&mut self, mut call: DeviceCall) -> Result<(), DeviceCall> {
        while let Some(place) = self.places.pop_front() {
            match place.send(call) {
                Ok(()) => return Ok(()),
                Err(returned) => call = returned,
            }
        }
        Err(call)
    }

    fn next_call(&mut self) -> NextCall {
        while let Some(offered) = self.offers.pop_front() {
            if let Some(call) = offered.take() {
                return NextCall::Here(call);
            }
        }
        let (place, to_come) = oneshot::channel();
        self.places.push_back(place);
        NextCall::ToCome(to_come)
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.command_polls == 0
            && self.method_polls == 0
            && self.present_until.is_none_or(|until| until <= now)
            && self.lock_ends.iter().all(|end| *end <= now)
            && self.offers.iter().all(|offered| offered.is_over())
            && self.calls.values().all(oneshot::Sender::is_closed)
    }
}

impl OpenPoll {
    /// Resolves when there may be something to see: a command, or a grant that has changed. Counts
    /// from this call on, so it is to be called before looking.
    pub(crate) fn told(&self) -> Notified<'_> {
        self.told.notified()
    }

    /// Resolves when the first lock ends that is known now; never when there is none.
    pub(crate) fn lock_ends(&self) -> impl Future<Output = ()> + use<> {
        let now = Instant::now();
        let next = self.polls.directory().poller(&self.identity).lock_ends.iter().copied().filter(|end| *end > now).min();
        async move {
            match next {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        }
    }

    /// The oldest call that waits for a poll, or a place for one to come.
    pub(crate) fn next_call(&self) -> NextCall {
        self.polls.directory().poller(&self.identity).next_call()
    }
}

impl Drop for OpenPoll {
    fn drop(&mut self) {
        self.polls.leave(self);
    }
}
