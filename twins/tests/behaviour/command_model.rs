//! Random sequences of everything that can happen to commands and feedback, on the store and on a
//! plain reference beside each other.

mod reference;
mod step;

use std::time::Duration;

use bytes::Bytes;
use model::{Message, Timestamp};
use proptest::prelude::*;
use twins::{
    Ack, CommandSettings, Config, DeadLetters, EnqueueError, FeedbackSettings, LockOwner, LockToken, NewCommand, Page, RedriveError,
    ServiceQueue, SettleError, Twins,
};

use crate::{Home, create, device_id, identity};
use reference::{Holder, Label, Reference};
use step::{Kind, Step, step};

const IDENTITIES: [&str; 3] = ["a", "a/m", "b"];

/// Small, so that bounds are met; smaller still when `is_tight`.
fn settings(is_tight: bool) -> CommandSettings {
    CommandSettings {
        queue_depth: if is_tight { 5 } else { 12 },
        expiry_default: Duration::from_secs(60),
        delivery_count_max: if is_tight { 2 } else { 3 },
        lock: Duration::from_secs(10),
        dead_letters_max: if is_tight { 3 } else { 6 },
        feedback: FeedbackSettings { expiry: Duration::from_secs(60), delivery_count_max: 2, lock: Duration::from_secs(10) },
    }
}

/// The store and the reference, and what both have given out.
struct Pair {
    home: Home,
    twins: Twins,
    reference: Reference,
    /// Whose, and the token, by label.
    locks: Vec<(usize, LockToken)>,
    feedback_locks: Vec<LockToken>,
    sent: usize,
}

impl Pair {
    async fn new() -> Self {
        let commands = settings(false);
        let home = Home { config: Config { commands: commands.clone(), ..Config::default() }, ..Home::new() };
        let twins = home.open().await;
        let reference = Reference::new(commands, home.clock.now());
        let mut pair = Self { home, twins, reference, locks: vec![], feedback_locks: vec![], sent: 0 };
        for name in IDENTITIES {
            pair.create(name).await;
        }
        pair
    }

    async fn create(&mut self, name: &str) {
        create(&self.twins, name).await;
        let generation = self.twins.identity(&identity(name)).expect("created").generation.to_string();
        self.reference.create(name, generation);
    }

    fn later(&self, seconds: u64) -> Timestamp {
        self.home.clock.now().saturating_add(Duration::from_secs(seconds))
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Send { at, commands, ack, life } => self.send(at, commands, ack, life).await,
            Step::Receive { at, limit, lock } => {
                let handed_out = self.twins.receive_commands(&identity(IDENTITIES[at]), limit, lock.map(Duration::from_secs)).await;
                self.handed_out(at, limit, Holder::Until(self.later(lock.unwrap_or(10))), handed_out.expect("received"));
            }
            Step::Lock { at, owner, limit } => {
                let handed_out = self.twins.lock_commands(&identity(IDENTITIES[at]), LockOwner(owner), limit).await;
                self.handed_out(at, limit, Holder::Connection(owner), handed_out.expect("locked"));
            }
            Step::Settle { back, kind, is_foreign } => self.settle(back, kind, is_foreign).await,
            Step::Release { at, owner } => {
                self.twins.release_locks(&identity(IDENTITIES[at]), LockOwner(owner)).await;
                self.reference.release(at, owner);
            }
            Step::Purge { at } => {
                let purged = self.twins.purge_commands(&identity(IDENTITIES[at])).await;
                assert_eq!(purged, Ok(self.reference.purge(at)));
            }
            Step::List { at, limit } => self.list(at, limit).await,
            Step::Redrive { at, one, life } => self.redrive(at, one, life).await,
            Step::DeleteDead { at, one } => {
                let (which, sequence) = self.dead_letters(at, one);
                let deleted = self.twins.delete_dead_letters(&identity(IDENTITIES[at]), which).await;
                assert_eq!(deleted, Ok(self.reference.delete_dead(at, sequence)));
            }
            Step::ReceiveFeedback { lock } => drop(self.receive_feedback(lock).await),
            Step::SettleFeedback { back, is_complete } => self.settle_feedback(back, is_complete).await,
            Step::Advance { seconds, with_sweeps } => self.advance(seconds, with_sweeps).await,
            Step::Sweep => self.sweep().await,
            Step::Restart { by_crash, is_tight } => self.restart(by_crash, is_tight).await,
            Step::Recreate { device } => {
                self.twins.delete_device(device_id(device), twins::IfMatch::Any).await.expect("deleted");
                self.reference.delete_device(device);
                for name in IDENTITIES.into_iter().filter(|name| name.split('/').next() == Some(device)) {
                    self.create(name).await;
                }
            }
        }
        self.compare().await;
    }

    /// What can be compared without changing anything.
    async fn compare(&self) {
        for (name, queue) in IDENTITIES.into_iter().zip(&self.reference.queues) {
            assert_eq!(self.twins.dead_letters(&identity(name)).await.expect("read"), queue.dead, "dead letters of {name}");
        }
        let (told, due) = (self.deadline(), self.reference.next_moment());
        assert!(due.is_none() || told.is_some_and(|told| Some(told) <= due), "told {told:?}, due {due:?}");
    }

    async fn send(&mut self, at: usize, commands: usize, ack: &str, life: Option<u64>) {
        for _ in 0..commands {
            self.sent += 1;
            let id = format!("m{}", self.sent);
            let mut message = Message { body: Bytes::from(id.clone()), ..Message::default() };
            message.properties.system.message_id = Some(id.clone());
            message.properties.application = vec![("n".into(), Some(id.clone()))];
            let expiry = life.map(|life| self.later(life));
            let command = NewCommand { message, expiry, ack: ack.parse::<Ack>().expect("an ack"), input: None };
            let stored = self.twins.enqueue_command(&identity(IDENTITIES[at]), command).await;
            match self.reference.send(at, &id, ack, expiry) {
                Some(sequence) => assert_eq!(stored.expect("room").sequence_number, sequence),
                None => assert!(matches!(stored, Err(EnqueueError::QueueFull(_))), "{stored:?}"),
            }
        }
    }

    fn handed_out(&mut self, at: usize, limit: usize, holder: Holder, handed_out: Vec<twins::LockedCommand>) {
        let expect = self.reference.hand_out(at, holder, limit, self.locks.len());
        let got: Vec<_> = handed_out.iter().map(|command| (command.sequence_number, command.delivery_count)).collect();
        assert_eq!(got, expect);
        self.locks.extend(handed_out.iter().map(|command| (at, command.lock)));
    }

    async fn settle(&mut self, back: Label, kind: Kind, is_foreign: bool) {
        let Some(label) = self.locks.len().checked_sub(back + 1) else { return };
        let (at, token) = self.locks[label];
        let at = (at + usize::from(is_foreign)) % IDENTITIES.len();
        let id = identity(IDENTITIES[at]);
        let settled = match kind {
            Kind::Complete => self.twins.complete_command(&id, token).await,
            Kind::Reject => self.twins.reject_command(&id, token).await,
            Kind::Abandon => self.twins.abandon_command(&id, token).await,
        };
        let expect = if self.reference.settle(at, label, kind) { Ok(()) } else { Err(SettleError::LockLost(twins::LockLost)) };
        assert_eq!(settled, expect);
    }

    async fn list(&mut self, at: usize, limit: usize) {
        let id = identity(IDENTITIES[at]);
        let commands = pages(limit, async |after| self.twins.command_page(&id, after, limit).await.expect("listed")).await;
        assert_eq!(commands, self.reference.list(at), "commands of {id}");
        let dead = pages(limit, async |after| self.twins.dead_letter_page(&id, after, limit).await.expect("listed")).await;
        assert_eq!(dead, self.reference.queues[at].dead, "dead letters of {id}");
    }

    /// All, or the one at a place; one that does not exist when there are fewer.
    fn dead_letters(&self, at: usize, one: Option<usize>) -> (DeadLetters, Option<u64>) {
        let dead = &self.reference.queues[at].dead;
        match one {
            None => (DeadLetters::All, None),
            Some(place) => {
                let sequence = dead.get(place).map_or(9_999, |letter| letter.command.sequence_number);
                (DeadLetters::One(sequence), Some(sequence))
            }
        }
    }

    async fn redrive(&mut self, at: usize, one: Option<usize>, life: Option<u64>) {
        let (which, sequence) = self.dead_letters(at, one);
        let expiry = life.map(|life| self.later(life));
        let redriven = self.twins.redrive_dead_letters(&identity(IDENTITIES[at]), which, expiry).await;
        match self.reference.redrive(at, sequence, expiry) {
            None => {
                let sequence = sequence.expect("only one alone is missed");
                assert_eq!(redriven, Err(RedriveError::UnknownDeadLetter { sequence }));
            }
            Some(expect) => {
                let redriven = redriven.expect("there");
                let moved = redriven.redriven.iter().map(|item| (item.dead_letter_sequence_number, item.sequence_number)).collect();
                assert_eq!((moved, redriven.remaining), expect);
            }
        }
    }

    /// Whether there was a message.
    async fn receive_feedback(&mut self, lock: Option<u64>) -> bool {
        let received = self.twins.receive_feedback(lock.map(Duration::from_secs)).await.expect("received");
        let expect = self.reference.receive_feedback(self.feedback_locks.len(), self.later(lock.unwrap_or(10)));
        self.feedback_locks.extend(received.as_ref().map(|message| message.lock));
        let got = received
            .map(|message| (message.sequence_number, message.delivery_count, message.enqueued_time, message.expiry_time, message.content));
        assert_eq!(got, expect);
        expect.is_some()
    }

    async fn settle_feedback(&mut self, back: Label, is_complete: bool) {
        let Some(label) = self.feedback_locks.len().checked_sub(back + 1) else { return };
        let token = self.feedback_locks[label];
        let settled = if is_complete {
            self.twins.complete_message(ServiceQueue::Feedback, token).await
        } else {
            self.twins.abandon_message(ServiceQueue::Feedback, token).await
        };
        let is_held = self.reference.settle_feedback(label, is_complete);
        assert_eq!(settled, if is_held { Ok(()) } else { Err(SettleError::LockLost(twins::LockLost)) });
    }

    async fn advance(&mut self, seconds: u64, with_sweeps: bool) {
        let end = self.later(seconds);
        while let Some(deadline) = self.deadline().filter(|deadline| with_sweeps && *deadline <= end) {
            self.set_clock(deadline.max(self.home.clock.now()));
            self.sweep().await;
        }
        self.set_clock(end);
    }

    fn set_clock(&mut self, moment: Timestamp) {
        self.home.clock.advance(moment.saturating_since(self.home.clock.now()));
        self.reference.now = moment;
    }

    fn deadline(&self) -> Option<Timestamp> {
        *self.twins.command_deadline().borrow()
    }

    async fn sweep(&mut self) {
        let swept = self.twins.sweep_commands().await.expect("swept");
        let mut available: Vec<String> = swept.available.iter().map(ToString::to_string).collect();
        available.sort();
        let got = reference::Swept { expired: swept.expired, available };
        assert_eq!(got, self.reference.sweep());
        assert!(swept.next.is_none_or(|next| next > self.home.clock.now()), "one sweep is enough");
        assert_eq!(swept.next, self.deadline());
    }

    async fn restart(&mut self, by_crash: bool, is_tight: bool) {
        self.home.config.commands = settings(is_tight);
        self.reference.settings = settings(is_tight);
        if by_crash {
            let copy = self.home.crashed_copy();
            self.twins.close().await;
            self.twins = copy.open().await;
            self.home = copy;
        } else {
            self.twins = self.home.reopen(self.twins.clone()).await;
        }
        self.reference.restart();
    }

    /// Everything there is, to the last feedback message.
    async fn end(mut self) {
        for at in 0..IDENTITIES.len() {
            self.list(at, 100).await;
            self.take(Step::Purge { at }).await;
        }
        self.advance(30, true).await;
        while self.receive_feedback(None).await {
            self.settle_feedback(0, true).await;
        }
        // Deadlines of what is settled pass one by one.
        self.advance(200, true).await;
        self.sweep().await;
        assert_eq!(self.deadline(), None, "nothing is left to happen");
        self.twins.close().await;
    }
}

/// All pages of a listing, each full but the last.
async fn pages<T>(limit: usize, page: impl AsyncFn(Option<u64>) -> Page<T>) -> Vec<T> {
    let (mut items, mut after) = (vec![], None);
    loop {
        let next = page(after).await;
        assert!(next.items.len() == limit || (next.items.len() < limit && next.next.is_none()));
        items.extend(next.items);
        match next.next {
            None => return items,
            some => after = some,
        }
    }
}

fn run(steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut pair = Pair::new().await;
        for step in steps {
            pair.take(step).await;
        }
        pair.end().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_store_agrees_with_the_reference_whatever_happens(steps in prop::collection::vec(step(), 1..120)) {
        run(steps);
    }
}
