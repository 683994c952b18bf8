//! Commands that a device over HTTPS completes, rejects and abandons, and the feedback that their
//! senders are owed.
//!
//! What is promised: a command whose sending was answered is delivered until it is settled; one
//! whose completion or rejection was answered is never delivered again, and whoever asked for it is
//! told so exactly once, in a feedback message that comes again until it is completed. Where the
//! answer is missing, both or neither has happened: it is delivered again, or the sender is told.
//! A hub that answers does what it is asked: only a connection that breaks is taken for its end.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::hub::HubProcess;
use crate::support::service::{Service, identity_path};
use crate::support::web_device::{Http, WebDevice};

const DEVICE: &str = "web-1";
/// Its commands are purged, only to fill feedback messages up.
const FILLER: &str = "filler";
const FEEDBACK: &str = "/messages/serviceBound/feedback";
/// A message is made of so many records; fewer wait for others to come.
const RECORDS_MAX: usize = 64;

/// The status code of feedback.
type Outcome = &'static str;
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
        let wants = match self.ack {
            "full" => true,
            "positive" => outcome == SUCCESS,
            _ => outcome == REJECTED,
        };
        wants.then_some(outcome)
    }
}

/// Message id and status code of a record of feedback.
type Told = (String, String);

/// What the hub has acknowledged of one device's commands.
#[derive(Debug, Clone, Default)]
pub(super) struct Settlements {
    /// In the order of sending.
    commands: Vec<Command>,
    /// Feedback messages that were read, by their ids: the same one again is no other.
    read: BTreeMap<String, Vec<Told>>,
    /// That of messages whose completion was answered.
    finished: Vec<Told>,
    registered: Vec<&'static str>,
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
        self.register(&service, DEVICE).await?;
        self.read_feedback(&service).await?;
        for (number, ack) in ["full", "negative", "positive"].into_iter().enumerate() {
            let id = format!("web-{}-{number}", self.jobs);
            send(&service, DEVICE, &id, ack).await?;
            self.commands.push(Command { id, ack, fate: Fate::Waiting });
        }
        let device = WebDevice::certified(hub, DEVICE, Http::One);
        self.settle_next(&device, Method::DELETE, "", Some(SUCCESS)).await?;
        self.settle_next(&device, Method::DELETE, "?reject", Some(REJECTED)).await?;
        self.settle_next(&device, Method::POST, "/abandon", None).await
    }

    async fn register(&mut self, service: &Service, device: &'static str) -> Option<()> {
        if !self.registered.contains(&device) {
            let body = json!({"deviceId": device, "authentication": {"type": "certificateAuthority"}});
            let answer = service.try_ask(Method::PUT, &identity_path(device), None, Some(&body)).await?;
            // A registration that was not answered may have been carried out.
            assert!(matches!(answer.status, 200 | 409), "{answer:?}");
            self.registered.push(device);
        }
        Some(())
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

    /// Reads and completes every feedback message that is there; `None` when the hub went away.
    async fn read_feedback(&mut self, service: &Service) -> Option<()> {
        loop {
            let message = service.try_ask(Method::GET, FEEDBACK, None, None).await?;
            if message.status == 204 {
                return Some(());
            }
            assert_eq!(message.status, 200, "{message:?}");
            let told = records(&message.body);
            for (number, record) in told.iter().enumerate() {
                assert!(!told[..number].contains(record), "told twice in one message: {message:?}");
                assert!(!self.finished.contains(record), "told again after its completion: {record:?}");
            }
            let id = message.message_id.expect("the id of a feedback message");
            if let Some(before) = self.read.insert(id, told.clone()) {
                assert_eq!(before, told, "a message that comes again is the same");
            }
            let lock = message.etag.expect("the lock of a feedback message");
            let completed = service.try_ask(Method::DELETE, &format!("{FEEDBACK}/{lock}"), None, None).await?;
            assert_eq!(completed.status, 204, "{completed:?}");
            self.finished.extend(told);
        }
    }

    /// Makes messages of all records that wait to become one, without waiting for time to pass.
    pub(super) async fn gather_feedback(&mut self, service: &Service) {
        self.register(service, FILLER).await.expect("a registration");
        for _ in 0..2 {
            let sent = join_all((0..RECORDS_MAX / 2).map(|_| send(service, FILLER, "filling", "negative"))).await;
            assert!(sent.iter().all(Option::is_some), "commands are taken");
            service.must(Method::DELETE, &format!("{}/commands", identity_path(FILLER)), None, None).await;
        }
    }

    /// What was settled stays settled, what was not is delivered, and senders are told, those of
    /// `completed` included, which are commands of another device.
    ///
    /// # Panics
    /// When it is otherwise.
    pub(super) async fn assert_kept(&mut self, hub: &HubProcess, completed: &[&String], situation: &str) {
        let service = hub.service();
        if self.registered.contains(&DEVICE) {
            self.assert_delivered(hub, situation).await;
        }
        self.gather_feedback(&service).await;
        self.read_feedback(&service).await.expect("feedback");
        for id in completed {
            assert_eq!(self.told_of(id), [SUCCESS], "{situation}: feedback on the completed command {id}");
        }
        for command in &self.commands {
            let Fate::Settled(outcome) = command.fate else { panic!("{situation}: {command:?} was not settled") };
            let owed: Vec<&str> = command.owed(outcome).into_iter().collect();
            assert_eq!(self.told_of(&command.id), owed, "{situation}: feedback on {command:?}");
        }
    }

    /// What was said of a command, over all messages; one that was read twice, its completion
    /// unanswered, counts once.
    fn told_of(&self, id: &str) -> Vec<&str> {
        self.read.values().flatten().filter(|(of, _)| of == id).map(|(_, status)| status.as_str()).collect()
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

async fn send(service: &Service, device: &str, id: &str, ack: &str) -> Option<()> {
    let body = json!({"body": id, "messageId": id, "ack": ack});
    let answer = service.try_ask(Method::POST, &format!("{}/commands", identity_path(device)), None, Some(&body)).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    Some(())
}

/// Those of a feedback message, without the filling.
fn records(message: &Value) -> Vec<Told> {
    let text = |record: &Value, name: &str| record[name].as_str().expect(name).to_owned();
    let records = message.as_array().expect("records").iter().filter(|record| record["deviceId"] != FILLER);
    records.map(|record| (text(record, "originalMessageId"), text(record, "statusCode"))).collect()
}
