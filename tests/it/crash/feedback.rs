//! The feedback that senders of commands are owed: read, completed, and kept, so that what is told
//! twice is found.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::service::{Service, identity_path};

/// Its commands are purged, only to fill feedback messages up.
const FILLER: &str = "filler";
const FEEDBACK: &str = "/messages/serviceBound/feedback";
/// A message is made of so many records; fewer wait for others to come.
const RECORDS_MAX: usize = 64;

/// The status code of feedback.
pub(super) type Outcome = &'static str;

/// Message id and status code of a record of feedback.
type Told = (String, String);

/// What senders were told.
#[derive(Debug, Clone, Default)]
pub(super) struct Feedback {
    /// Messages that were read, by their ids: the same one again is no other.
    read: BTreeMap<String, Vec<Told>>,
    /// What messages said whose completion was answered.
    finished: Vec<Told>,
    has_filler: bool,
}

impl Feedback {
    /// Reads and completes every feedback message that is there; `None` when the hub went away.
    ///
    /// # Panics
    /// When something is told twice.
    pub(super) async fn read(&mut self, service: &Service) -> Option<()> {
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
    pub(super) async fn gather(&mut self, service: &Service) {
        if !self.has_filler {
            register(service, FILLER).await.expect("a registration");
            self.has_filler = true;
        }
        for _ in 0..2 {
            let filling = json!({"body": "filling", "messageId": "filling", "ack": "negative"});
            let sent = join_all((0..RECORDS_MAX / 2).map(|_| send(service, FILLER, &filling))).await;
            assert!(sent.iter().all(Option::is_some), "commands are taken");
            service.must(Method::DELETE, &format!("{}/commands", identity_path(FILLER)), None, None).await;
        }
    }

    /// What was said of a command, over all messages; one that was read twice, its completion
    /// unanswered, counts once.
    pub(super) fn told_of(&self, id: &str) -> Vec<&str> {
        self.read.values().flatten().filter(|(of, _)| of == id).map(|(_, status)| status.as_str()).collect()
    }
}

/// Whether a sender who asked for `ack` is told of a command that was not completed, or of one that
/// was.
pub(super) fn is_owed(ack: &str, is_success: bool) -> bool {
    match ack {
        "full" => true,
        "positive" => is_success,
        "negative" => !is_success,
        _ => false,
    }
}

/// Registers a device with a certificate; `None` when the hub went away.
pub(super) async fn register(service: &Service, device: &str) -> Option<()> {
    let body = json!({"deviceId": device, "authentication": {"type": "certificateAuthority"}});
    let answer = service.try_ask(Method::PUT, &identity_path(device), None, Some(&body)).await?;
    // A registration that was not answered may have been carried out.
    assert!(matches!(answer.status, 200 | 409), "{answer:?}");
    Some(())
}

/// Sends a command; `None` when the hub went away.
pub(super) async fn send(service: &Service, device: &str, command: &Value) -> Option<()> {
    let answer = service.try_ask(Method::POST, &format!("{}/commands", identity_path(device)), None, Some(command)).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    Some(())
}

/// Those of a feedback message, without the filling.
fn records(message: &Value) -> Vec<Told> {
    let text = |record: &Value, name: &str| record[name].as_str().expect(name).to_owned();
    let records = message.as_array().expect("records").iter().filter(|record| record["deviceId"] != FILLER);
    records.map(|record| (text(record, "originalMessageId"), text(record, "statusCode"))).collect()
}
