//! Dead letters that go back into their queue in pieces, and a hub that dies meanwhile: each is either
//! still a dead letter or a command, in the order they were sent, and another redrive does the rest.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::feedback::{register, send};
use super::kill::{Files, Job, Origin, SYNCS, hub_with, kill_at_each};
use crate::support::hub::HubProcess;
use crate::support::machine::{missing_for_injection, offers};
use crate::support::service::{Service, identity_path};
use crate::support::web_device::{Http, WebDevice};

const DEVICE: &str = "web-1";
/// Several pieces.
const LETTERS: usize = 300;

const WAITING: &str = "";
const DEAD_LETTERS: &str = "/deadLetters";
const REDRIVE: &str = "/deadLetters/redrive";

#[derive(Debug, Clone)]
struct Redrive {
    /// Message ids in the order of sending.
    letters: Vec<String>,
    is_answered: bool,
}

impl Redrive {
    /// Sends commands and has the device reject them.
    async fn prepared(hub: &HubProcess) -> Self {
        let service = hub.service();
        register(&service, DEVICE).await.expect("registered");
        let commands: Vec<Value> =
            (0..LETTERS).map(|number| json!({"body": "x".repeat(1000), "messageId": format!("m{number}"), "ack": "full"})).collect();
        let sent = join_all(commands.iter().map(|command| send(&service, DEVICE, command))).await;
        assert!(sent.iter().all(Option::is_some));
        let device = WebDevice::certified(hub, DEVICE, Http::One);
        for _ in 0..LETTERS {
            let received = device.ask(Method::GET, "/messages/devicebound").await;
            let rejected = device.ask(Method::DELETE, &format!("/messages/devicebound/{}?reject", received.lock())).await;
            assert_eq!(rejected.status, 204, "{rejected:?}");
        }
        let letters = listed(&service, DEAD_LETTERS).await;
        assert_eq!(letters.len(), LETTERS);
        Self { letters, is_answered: false }
    }
}

impl Job for Redrive {
    async fn work(&mut self, hub: &HubProcess) -> Option<()> {
        let answer = hub.service().try_ask(Method::POST, &path(REDRIVE), None, None).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!((ids(&answer.body["redriven"]), &answer.body["remaining"]), (self.letters.clone(), &json!(0)));
        self.is_answered = true;
        Some(())
    }

    async fn assert_kept(&mut self, hub: &HubProcess, situation: &str) {
        let service = hub.service();
        let (mut commands, dead) = (listed(&service, WAITING).await, listed(&service, DEAD_LETTERS).await);
        assert!(dead.is_empty() || !self.is_answered, "{situation}: {} stay", dead.len());
        println!("{situation}: {} went", commands.len());
        commands.extend(dead);
        assert_eq!(commands, self.letters, "{situation}");
        service.must(Method::POST, &path(REDRIVE), None, None).await;
        assert_eq!(listed(&service, WAITING).await, self.letters, "{situation}: a second redrive does the rest");
    }

    fn copy(&self) -> Self {
        self.clone()
    }
}

/// Message ids of a listing, which has one page, in order.
async fn listed(service: &Service, which: &str) -> Vec<String> {
    ids(&service.must(Method::GET, &path(which), None, None).await)
}

fn path(which: &str) -> String {
    format!("{}/commands{which}", identity_path(DEVICE))
}

fn ids(items: &Value) -> Vec<String> {
    items.as_array().expect("a list").iter().map(|item| item["messageId"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_redrive_that_breaks_off_leaves_each_message_in_one_place() {
    if !offers(missing_for_injection()) {
        return;
    }
    let (scratch, hub) = hub_with(&format!("[commands]\nqueue_depth = {LETTERS}\ndead_letters_max = {LETTERS}\n"));
    let job = Redrive::prepared(&hub).await;
    let origin = Origin::stopped((scratch, hub), job);
    kill_at_each("a redrive", &origin, SYNCS, Files::Database, 1).await;
    kill_at_each("a redrive", &origin, "pwrite64", Files::Database, 29).await;
}
