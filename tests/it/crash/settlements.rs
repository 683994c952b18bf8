//! Commands that a device over HTTPS completes, rejects and abandons, and the feedback that their
//! senders are owed.
//!
//! What is promised: a command whose sending was answered is delivered until it is settled; one
//! whose completion or rejection was answered is never delivered again, and whoever asked for it is
//! told so exactly once, in a feedback message that comes again until it is completed. Where the
//! answer is missing, both or neither has happened: it is delivered again, or the sender is told.
//! A hub that answers does what it is asked: only a connection that breaks is taken for its end.

use reqwest::Method;
use serde_json::json;

use super::feedback::{Feedback, Outcome, is_owed, register, send};
use crate::support::hub::HubProcess;
use crate::support::service::Service;
use crate::support::web_device::{Http, WebDevice};

const DEVICE: &str = "web-1";
const SUCCESS: Outcome = "Success";
const REJECTED: Outcome = "Rejected";

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its sending was answered.
    Waiting,
    /// The device has settled it, without an answer.
    Settling(Outcome),
    /// The same, and was answered.
    Settled(Outcome),
}

#[derive(Debug, Clone)]
struct Command {
    id: String,
    ack: &'static str,
    fate: Fate,
}

impl Command {
    /// What the sender must be told of `outcome`: that, or nothing.
    fn owed(&self, outcome: Outcome) -> Option<Outcome> {
        is_owed(self.ack, outcome == SUCCESS).then_some(outcome)
    }
}

/// What the hub has acknowledged of one device's commands.
#[derive(Debug, Clone, Default)]
pub(super) struct Settlements {
    /// In the order of sending.
    commands: Vec<Command>,
    feedback: Feedback,
    is_registered: bool,
    /// Jobs begun, so that each names its commands anew.
    jobs: u64,
}

impl Settlements {
    /// Commands whose sending was answered.
    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Reads the feedback there is, sends commands and settles some; `None` when the hub went away.
    pub(super) async fn work(&mut self, hub: &HubProcess) -> Option<()> {
        self.jobs += 1;
        let service = hub.service();
        if !self.is_registered {
            register(&service, DEVICE).await?;
            self.is_registered = true;
        }
        self.feedback.read(&service).await?;
        for (number, ack) in ["full", "negative", "positive"].into_iter().enumerate() {
            let id = format!("web-{}-{number}", self.jobs);
            send(&service, DEVICE, &json!({"body": id, "messageId": id, "ack": ack})).await?;
            self.commands.push(Command { id, ack, fate: Fate::Waiting });
        }
        let device = WebDevice::certified(hub, DEVICE, Http::One);
        self.settle_next(&device, Method::DELETE, "", Some(SUCCESS)).await?;
        self.settle_next(&device, Method::DELETE, "?reject", Some(REJECTED)).await?;
        self.settle_next(&device, Method::POST, "/abandon", None).await
    }

    /// Receives the next command and says what becomes of it.
    async fn settle_next(&mut self, device: &WebDevice, method: Method, how: &str, outcome: Option<Outcome>) -> Option<()> {
        let received = device.try_ask(Method::GET, "/messages/devicebound").await?;
        assert_eq!(received.status, 200, "commands wait: {received:?}");
        let id = received.header("iothub-messageid");
        let place = self.commands.iter().position(|command| command.id == id);
        let fate = |fate: Fate, this: &mut Self| place.into_iter().for_each(|place| this.commands[place].fate = fate);
        outcome.into_iter().for_each(|outcome| fate(Fate::Settling(outcome), self));
        let settled = device.try_ask(method, &format!("/messages/devicebound/{}{how}", received.lock())).await?;
        assert_eq!(settled.status, 204, "{settled:?}");
        outcome.into_iter().for_each(|outcome| fate(Fate::Settled(outcome), self));
        Some(())
    }

    /// Makes messages of all records that wait to become one.
    pub(super) async fn gather_feedback(&mut self, service: &Service) {
        self.feedback.gather(service).await;
    }

    /// What was settled stays settled, what was not is delivered, and senders are told, those of
    /// `completed` included, which are commands of another device.
    ///
    /// # Panics
    /// When it is otherwise.
    pub(super) async fn assert_kept(&mut self, hub: &HubProcess, completed: &[&String], situation: &str) {
        let service = hub.service();
        if self.is_registered {
            self.assert_delivered(hub, situation).await;
        }
        self.feedback.gather(&service).await;
        self.feedback.read(&service).await.expect("feedback");
        for id in completed {
            assert_eq!(self.feedback.told_of(id), [SUCCESS], "{situation}: feedback on the completed command {id}");
        }
        for command in &self.commands {
            let Fate::Settled(outcome) = command.fate else { panic!("{situation}: {command:?} was not settled") };
            let owed: Vec<&str> = command.owed(outcome).into_iter().collect();
            assert_eq!(self.feedback.told_of(&command.id), owed, "{situation}: feedback on {command:?}");
        }
    }

    /// Every command that was not settled comes, in the order of sending; the device completes it.
    async fn assert_delivered(&mut self, hub: &HubProcess, situation: &str) {
        let device = WebDevice::certified(hub, DEVICE, Http::One);
        let mut last = None;
        loop {
            let received = device.ask(Method::GET, "/messages/devicebound").await;
            if received.status == 204 {
                break;
            }
            let completed = device.ask(Method::DELETE, &format!("/messages/devicebound/{}", received.lock())).await;
            assert_eq!(completed.status, 204, "{situation}: {completed:?}");
            let id = received.header("iothub-messageid");
            // Otherwise its sending was not answered.
            if let Some(place) = self.commands.iter().position(|command| command.id == id) {
                let before = std::mem::replace(&mut self.commands[place].fate, Fate::Settled(SUCCESS));
                assert!(!matches!(before, Fate::Settled(_)), "{situation}: {id} is back, though {before:?}");
                assert!(last < Some(place), "{situation}: {id} came too late");
                last = Some(place);
            }
        }
        for command in &mut self.commands {
            match command.fate {
                Fate::Waiting => panic!("{situation}: the command {} is gone", command.id),
                // It was carried out before the hub died.
                Fate::Settling(outcome) => command.fate = Fate::Settled(outcome),
                Fate::Settled(_) => {}
            }
        }
    }
}
