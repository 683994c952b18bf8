//! A small job that touches everything a hub stores, and what was promised on the way.

use mqtt_proto::Version;
use mqtt_proto::wire::{Packet, Publish, QoS};
use reqwest::Method;
use serde_json::{Value, json};

use super::kill::Job;
use super::settlements::Settlements;
use crate::support::certificates::client_tls;
use crate::support::deadline::{SOON, wait_until};
use crate::support::device::Device;
use crate::support::hub::HubProcess;
use crate::support::kafka::KafkaClient;
use crate::support::ledger::Ledger;
use crate::support::packets::{persistent, publish, subscribe, telemetry_topic};
use crate::support::service::{Answer, Service, identity_path, twin_path};

/// The device of the job.
pub(super) const DEVICE: &str = "dev-1";
const COMMANDS: &str = "devices/dev-1/messages/devicebound/#";
const REPORTED: &str = "$iothub/twin/PATCH/properties/reported/?$rid=1";

const LARGE_BYTES: usize = 200 * 1024;

/// A value in a twin with the version that came with it.
type Versioned = (u64, u64);

/// What the hub has acknowledged.
#[derive(Debug)]
pub(super) struct Promises {
    /// Telemetry.
    pub(super) ledger: Ledger,
    reported: Option<Versioned>,
    desired: Option<Versioned>,
    commands: Vec<String>,
    /// Commands whose completion has been seen.
    completed: Vec<String>,
    /// Commands that the device has acknowledged, with an outcome that nobody has seen.
    completing: Vec<String>,
    /// Those of a device over HTTPS, and feedback.
    settlements: Settlements,
    devices: Vec<String>,
    /// Where a consumer group stands.
    committed: i64,
    subscribed: bool,
    /// Messages of 200 KiB that the job sends beside the small ones; then it waits until every
    /// full segment is sealed.
    pub(super) large: usize,
    /// Older messages may be gone when those that are there take so many bytes.
    pub(super) retained_bytes: Option<usize>,
    /// Whether the job settles commands over HTTPS, too, and feedback is looked at.
    pub(super) settles: bool,
    /// Makes what is written in one job different from what the jobs before wrote.
    job: u64,
}

impl Promises {
    /// None yet.
    pub(super) fn none() -> Self {
        Self {
            ledger: Ledger::new(),
            reported: None,
            desired: None,
            commands: Vec::new(),
            completed: Vec::new(),
            completing: Vec::new(),
            settlements: Settlements::default(),
            devices: Vec::new(),
            committed: -1,
            subscribed: false,
            large: 0,
            retained_bytes: None,
            settles: true,
            job: 0,
        }
    }

    /// The device has connected with a clean session in between.
    pub(super) fn session_was_cleared(&mut self) {
        self.subscribed = false;
    }

    async fn subscribe(&mut self, device: &mut Device) -> Option<()> {
        device.send(&subscribe(1, &[(COMMANDS, QoS::AtLeastOnce), ("$iothub/twin/res/#", QoS::AtLeastOnce)])).await;
        loop {
            if let Packet::SubAck(answer) = device.receive().await? {
                assert!(answer.results.iter().all(Result::is_ok), "{answer:?}");
                self.subscribed = true;
                return Some(());
            }
        }
    }

    /// Some messages one by one, then many at once.
    async fn send_telemetry(&mut self, device: &mut Device) -> Option<()> {
        let topic = telemetry_topic(DEVICE);
        for number in 0..3 {
            let body = format!("{}-{number}", self.job);
            device.try_publish(&topic, body.as_str()).await?;
            self.ledger.acknowledged(DEVICE, &body);
        }
        for number in 0..self.large {
            let body = format!("{}-large-{number} {}", self.job, "x".repeat(LARGE_BYTES));
            device.try_publish(&topic, body.as_str()).await?;
            self.ledger.acknowledged(DEVICE, &body);
        }
        let bodies: Vec<String> = (0..20).map(|number| format!("{}-many-{number}", self.job)).collect();
        for (packet_id, body) in (1000..).zip(&bodies) {
            device.send(&Packet::Publish(publish(&topic, Some(packet_id), body.as_str()))).await;
        }
        for (packet_id, body) in (1000..).zip(&bodies) {
            loop {
                if let Packet::PubAck(ack) = device.receive().await? {
                    assert_eq!(ack.packet_id.get(), packet_id, "acknowledgements come in order");
                    break;
                }
            }
            self.ledger.acknowledged(DEVICE, body);
        }
        Some(())
    }

    async fn change_twin(&mut self, device: &mut Device, service: &Service) -> Option<()> {
        for _ in 0..2 {
            let next = self.reported.map_or(1, |(_, value)| value + 1);
            let (topic, _) = device.ask_twin(REPORTED, &json!({ "value": next }).to_string()).await?;
            let version = topic.strip_prefix("$iothub/twin/res/204/?$rid=1&$version=")?.parse().ok()?;
            self.reported = Some(raised(self.reported, version, next));
            let next = self.desired.map_or(1, |(_, value)| value + 1);
            let body = json!({"properties": {"desired": {"value": next}}});
            let answer = succeeded(service.try_ask(Method::PATCH, &twin_path(DEVICE), None, Some(&body)).await)?;
            let version = answer["properties"]["desired"]["$version"].as_u64()?;
            self.desired = Some(raised(self.desired, version, next));
        }
        Some(())
    }

    /// Does the whole job, and makes its feedback readable.
    pub(super) async fn fulfil(&mut self, hub: &HubProcess) {
        self.work(hub).await.expect("the job");
        self.settlements.gather_feedback(&hub.service()).await;
    }

    /// Sends two commands and completes one. The hub answers no PUBACK: what it promises begins
    /// when the service no longer finds the command in the queue.
    async fn settle_commands(&mut self, device: &mut Device, service: &Service) -> Option<()> {
        let path = format!("{}/commands", identity_path(DEVICE));
        for number in 0..2 {
            let id = format!("{}-{number}", self.job);
            let body = json!({"body": id, "messageId": id, "ack": "full"});
            succeeded(service.try_ask(Method::POST, &path, None, Some(&body)).await)?;
            self.commands.push(id);
        }
        let command = received_command(device).await?;
        let id = String::from_utf8(command.payload.to_vec()).expect("text");
        self.completing.push(id.clone());
        device.acknowledge(&command).await;
        loop {
            let listed = succeeded(service.try_ask(Method::GET, &path, None, None).await)?;
            if !message_ids(&listed).contains(&id) {
                self.completed.push(id);
                return Some(());
            }
        }
    }

    async fn commit_offsets(&mut self, hub: &HubProcess) -> Option<()> {
        let mut consumer = KafkaClient::connected(hub).await?;
        for _ in 0..3 {
            consumer.commit(self.committed + 1).await?;
            self.committed += 1;
        }
        Some(())
    }

    async fn register(&mut self, service: &Service, id: &str) -> Option<()> {
        let body = json!({"deviceId": id, "authentication": {"type": "certificateAuthority"}});
        succeeded(service.try_ask(Method::PUT, &identity_path(id), None, Some(&body)).await)?;
        self.devices.push(id.to_owned());
        Some(())
    }

    /// The group stands where it was told, or at what it asked for last.
    async fn assert_committed(&mut self, hub: &HubProcess, situation: &str) {
        let mut consumer = KafkaClient::connected(hub).await.expect("a consumer");
        let stored = consumer.committed().await.expect("an offset");
        let is_kept = stored == self.committed || stored == self.committed + 1;
        assert!(is_kept, "{situation}: the offset {} was acknowledged and is {stored}", self.committed);
        self.committed = stored;
    }

    async fn assert_session_kept(&self, hub: &HubProcess, situation: &str) {
        if self.subscribed {
            let (_device, answer) = Device::connected_with(hub, &persistent(Version::V311, DEVICE)).await;
            assert!(answer.session_present, "{situation}: the subscriptions are gone");
        }
    }

    /// A version that was handed out is never handed out again.
    async fn assert_goes_on(&mut self, service: &Service, situation: &str) {
        let next = self.desired.map_or(1, |(_, value)| value + 1);
        let twin = service.patch_desired(DEVICE, json!({ "value": next })).await;
        let version = twin["properties"]["desired"]["$version"].as_u64().expect("a version");
        assert!(self.desired.is_none_or(|(before, _)| version > before), "{situation}: {version} after {:?}", self.desired);
        self.desired = Some((version, next));
    }
}

impl Job for Promises {
    async fn work(&mut self, hub: &HubProcess) -> Option<()> {
        self.job += 1;
        let service = hub.service();
        if self.devices.is_empty() {
            self.register(&service, DEVICE).await?;
        }
        let mut device = connected(hub).await?;
        if !self.subscribed {
            self.subscribe(&mut device).await?;
        }
        self.send_telemetry(&mut device).await?;
        if self.large > 0 {
            sealed(hub).await?;
        }
        self.change_twin(&mut device, &service).await?;
        self.settle_commands(&mut device, &service).await?;
        if self.settles {
            self.settlements.work(hub).await?;
        }
        self.commit_offsets(hub).await?;
        self.register(&service, &format!("made-{}", self.job)).await
    }

    async fn assert_kept(&mut self, hub: &HubProcess, situation: &str) {
        let service = hub.service();
        let events = service.events().await;
        match self.retained_bytes {
            None => self.ledger.assert_holds(&events, situation),
            Some(bytes) => self.ledger.assert_holds_tail(&events, bytes, situation),
        }
        for device in &self.devices {
            let shown = service.ask(Method::GET, &identity_path(device), None, None).await;
            assert_eq!(shown.status, 200, "{situation}: {device} was registered");
        }
        if !self.devices.iter().any(|device| device == DEVICE) {
            return;
        }
        let twin = service.twin(DEVICE).await;
        for (section, promised) in [("reported", self.reported), ("desired", self.desired)] {
            let Some((version, value)) = promised else { continue };
            let stored = &twin["properties"][section];
            let has = (stored["$version"].as_u64().unwrap_or_default(), stored["value"].as_u64().unwrap_or_default());
            assert!(has.0 >= version && has.1 >= value, "{situation}: {section} was acknowledged as {promised:?} and is {stored}");
        }
        self.assert_committed(hub, situation).await;
        let waiting = service.commands(DEVICE).await;
        for id in &self.commands {
            let settled = self.completing.contains(id);
            assert!(settled || waiting.contains(id), "{situation}: the command {id} is gone; there are {waiting:?}");
        }
        for id in &self.completed {
            assert!(!waiting.contains(id), "{situation}: the completed command {id} is back");
        }
        if self.settles {
            let gone: Vec<_> = self.completing.iter().filter(|id| !waiting.contains(id)).collect();
            self.settlements.assert_kept(hub, &gone, situation).await;
        }
        self.assert_session_kept(hub, situation).await;
        self.assert_goes_on(&service, situation).await;
    }

    fn copy(&self) -> Self {
        Self {
            ledger: self.ledger.copy(),
            commands: self.commands.clone(),
            completed: self.completed.clone(),
            completing: self.completing.clone(),
            settlements: self.settlements.clone(),
            devices: self.devices.clone(),
            ..*self
        }
    }
}

fn raised(before: Option<Versioned>, version: u64, value: u64) -> Versioned {
    assert!(before.is_none_or(|(before, _)| version > before), "version {version} after {before:?}");
    (version, value)
}

async fn connected(hub: &HubProcess) -> Option<Device> {
    let tls = client_tls(&hub.server_ca_pem(), Some(&hub.device_ca().issue(DEVICE)));
    let mut device = Device::dial(hub.ports().mqtt, tls).await.ok()?;
    let answer = device.try_introduce(&persistent(Version::V311, DEVICE)).await?;
    assert!(answer.code.is_success(), "{answer:?}");
    Some(device)
}

/// Waits until every full segment is sealed; `None` when the hub went away.
async fn sealed(hub: &HubProcess) -> Option<()> {
    let state = |name| hub.try_metric(name).ok();
    wait_until("sealed segments", SOON, || async {
        let (waiting, done) = (state("isthmus_log_segments_unsealed"), state("isthmus_log_segments_sealed_total"));
        match waiting.zip(done) {
            None => Some(None),
            Some((waiting, done)) => (waiting == 0.0 && done > 0.0).then_some(Some(())),
        }
    })
    .await
}

async fn received_command(device: &mut Device) -> Option<Publish> {
    loop {
        match device.receive().await? {
            Packet::Publish(publish) if publish.packet_id.is_some() => return Some(publish),
            _ => {}
        }
    }
}

/// The body of an answer that says yes; any other is no promise.
fn succeeded(answer: Option<Answer>) -> Option<Value> {
    answer.filter(|answer| (200..300).contains(&answer.status)).map(|answer| answer.body)
}

fn message_ids(listed: &Value) -> Vec<String> {
    let id = |item: &Value| item["messageId"].as_str().unwrap_or_default().to_owned();
    listed.as_array().map(|items| items.iter().map(id).collect()).unwrap_or_default()
}
