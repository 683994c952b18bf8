//! Commands that expire and commands that are abandoned too often.
//!
//! What is promised: a command past its expiry is never delivered, and one whose last abandonment was
//! answered never again. Each becomes a dead letter with its reason once, and whoever asked for it is
//! told of it once. Where the answer is missing, both or neither has happened.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Clock, Timestamp};
use reqwest::Method;
use serde_json::json;

use super::feedback::{Feedback, Outcome, is_owed, register};
use super::kill::{Files, Job, Origin, SYNCS, hub_with, kill_at_each};
use crate::support::deadline::{SOON, wait_until};
use crate::support::hub::HubProcess;
use crate::support::machine::{missing_for_injection, offers};
use crate::support::service::{Service, identity_path};
use crate::support::web_device::{Http, WebDevice};

const DEVICE: &str = "web-1";
const DELIVERY_COUNT_MAX: usize = 2;
const ACKS: [&str; 3] = ["full", "negative", "none"];
/// Life of commands that are to expire.
const LIFE: Duration = Duration::from_millis(150);

const SUCCESS: Outcome = "Success";
const EXPIRED: Outcome = "Expired";
const EXCEEDED: Outcome = "DeliveryCountExceeded";

/// What has become of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was sent, perhaps without an answer.
    Sending,
    /// It waits; nobody said no to it often enough.
    Waiting,
    /// The device has abandoned it for the last time, without an answer.
    Dying,
    /// The service has seen the dead letter, or the last abandonment was answered.
    Dead,
    /// The device has completed it after the crash.
    Completed,
}

#[derive(Debug, Clone)]
struct Command {
    id: String,
    ack: &'static str,
    expiry: Option<Timestamp>,
    fate: Fate,
}

impl Command {
    fn reason(&self) -> Outcome {
        if self.expiry.is_some() { EXPIRED } else { EXCEEDED }
    }
}

#[derive(Debug, Clone, Default)]
struct DeadLetters {
    /// In the order of sending.
    commands: Vec<Command>,
    feedback: Feedback,
    is_registered: bool,
    jobs: u64,
}

impl DeadLetters {
    async fn send(&mut self, service: &Service, ack: &'static str, life: Option<Duration>) -> Option<()> {
        let expiry = life.map(|life| Clock::system().now().saturating_add(life));
        let id = format!("{}-{ack}-{}", self.jobs, expiry.map_or("abandoned", |_| "expiring"));
        let mut body = json!({"body": id, "messageId": id, "ack": ack});
        if let Some(expiry) = expiry {
            body["expiryTime"] = json!(expiry);
        }
        self.commands.push(Command { id, ack, expiry, fate: Fate::Sending });
        let answer = service.try_ask(Method::POST, &format!("{}/commands", identity_path(DEVICE)), None, Some(&body)).await?;
        let last = self.commands.len() - 1;
        match answer.status {
            200 => self.commands[last].fate = Fate::Waiting,
            // It took its whole life to get there.
            403 if expiry.is_some() => drop(self.commands.pop()),
            _ => panic!("{answer:?}"),
        }
        Some(())
    }

    /// Waits until what is past its expiry is a dead letter.
    async fn see_expired(&mut self, service: &Service) -> Option<()> {
        let is_expiring = |command: &&mut Command| command.expiry.is_some() && command.fate == Fate::Waiting;
        for command in self.commands.iter_mut().filter(is_expiring) {
            wait_until("the dead letter of what has expired", SOON, || async {
                match reasons(service).await {
                    None => Some(None),
                    Some(reasons) => reasons.contains_key(&command.id).then_some(Some(())),
                }
            })
            .await?;
            command.fate = Fate::Dead;
        }
        Some(())
    }

    /// Abandons each of the others as often as it takes.
    async fn abandon(&mut self, hub: &HubProcess) -> Option<()> {
        let device = WebDevice::certified(hub, DEVICE, Http::One);
        for command in self.commands.iter_mut().filter(|command| command.fate == Fate::Waiting) {
            for count in 1..=DELIVERY_COUNT_MAX {
                let received = device.try_ask(Method::GET, "/messages/devicebound").await?;
                assert_eq!(received.header("iothub-messageid"), command.id, "{received:?}");
                if count == DELIVERY_COUNT_MAX {
                    command.fate = Fate::Dying;
                }
                let abandoned = device.try_ask(Method::POST, &format!("/messages/devicebound/{}/abandon", received.lock())).await?;
                assert_eq!(abandoned.status, 204, "{abandoned:?}");
            }
            command.fate = Fate::Dead;
        }
        Some(())
    }

    /// The device completes what it is still given.
    async fn assert_delivered(&mut self, hub: &HubProcess, situation: &str) {
        let device = WebDevice::certified(hub, DEVICE, Http::One);
        loop {
            let received = device.ask(Method::GET, "/messages/devicebound").await;
            if received.status == 204 {
                break;
            }
            let id = received.header("iothub-messageid");
            let command = self.commands.iter_mut().find(|command| command.id == id).expect("a command of ours");
            assert!(command.expiry.is_none() && command.fate != Fate::Dead, "{situation}: {command:?} is delivered");
            let completed = device.ask(Method::DELETE, &format!("/messages/devicebound/{}", received.lock())).await;
            assert_eq!(completed.status, 204, "{situation}: {completed:?}");
            command.fate = Fate::Completed;
        }
    }
}

impl Job for DeadLetters {
    async fn work(&mut self, hub: &HubProcess) -> Option<()> {
        self.jobs += 1;
        let service = hub.service();
        if !self.is_registered {
            register(&service, DEVICE).await?;
            self.is_registered = true;
        }
        for ack in ACKS {
            self.send(&service, ack, Some(LIFE)).await?;
            self.send(&service, ack, None).await?;
        }
        self.see_expired(&service).await?;
        self.abandon(hub).await
    }

    async fn assert_kept(&mut self, hub: &HubProcess, situation: &str) {
        let service = hub.service();
        let last = self.commands.iter().filter_map(|command| command.expiry).max();
        wait_until("the last expiry", SOON, || async { last.is_none_or(|last| last < Clock::system().now()).then_some(()) }).await;
        if !self.is_registered {
            return;
        }
        self.assert_delivered(hub, situation).await;
        self.feedback.gather(&service).await;
        self.feedback.read(&service).await.expect("feedback");
        let dead = reasons(&service).await.expect("dead letters");
        for command in &self.commands {
            let reason = dead.get(&command.id).map(Vec::as_slice);
            let outcome = match (command.fate, reason) {
                // It was never stored.
                (Fate::Sending, None) => None,
                (Fate::Completed, None) => Some(SUCCESS),
                (Fate::Sending, Some([reason])) if command.expiry.is_some() && reason == EXPIRED => Some(EXPIRED),
                (Fate::Waiting, Some([reason])) if command.expiry.is_some() && reason == EXPIRED => Some(EXPIRED),
                (Fate::Dying | Fate::Dead, Some([reason])) if reason == command.reason() => Some(command.reason()),
                _ => panic!("{situation}: the dead letters of {command:?} are {reason:?}"),
            };
            let owed: Vec<&str> = outcome.into_iter().filter(|outcome| is_owed(command.ack, *outcome == SUCCESS)).collect();
            assert_eq!(self.feedback.told_of(&command.id), owed, "{situation}: feedback on {command:?}");
        }
    }

    fn copy(&self) -> Self {
        self.clone()
    }
}

/// The reasons of the dead letters by message id; one each, if all is well. `None` when the hub went
/// away.
async fn reasons(service: &Service) -> Option<BTreeMap<String, Vec<String>>> {
    let path = format!("{}/commands/deadLetters", identity_path(DEVICE));
    let letters = service.try_ask(Method::GET, &path, None, None).await?.body;
    let mut reasons = BTreeMap::<_, Vec<_>>::new();
    for letter in letters.as_array().expect("a list") {
        let text = |name: &str| letter[name].as_str().expect(name).to_owned();
        reasons.entry(text("messageId")).or_default().push(text("reason"));
    }
    Some(reasons)
}

#[tokio::test]
async fn what_has_expired_or_was_abandoned_too_often_stays_dead() {
    if !offers(missing_for_injection()) {
        return;
    }
    let configuration = format!("[commands]\ndelivery_count_max = {DELIVERY_COUNT_MAX}\n");
    for (is_killed, what) in [(false, "dying commands"), (true, "dying commands and a recovery")] {
        let mut job = DeadLetters::default();
        let (scratch, hub) = hub_with(&configuration);
        job.work(&hub).await.expect("the job");
        let origin = if is_killed { Origin::killed((scratch, hub), job) } else { Origin::stopped((scratch, hub), job) };
        kill_at_each(what, &origin, SYNCS, Files::Database, 1).await;
    }
}
