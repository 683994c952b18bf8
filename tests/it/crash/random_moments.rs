//! Killed at random moments under load, over and over on the same data.

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mqtt_proto::Version;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::settlements::Settlements;
use crate::support::certificates::client_tls;
use crate::support::deadline::{SOON, wait_until};
use crate::support::device::Device;
use crate::support::fleet::{Fleet, verify};
use crate::support::hub::{HubProcess, signal_of};
use crate::support::packets::connect;
use crate::support::service::{Service, twin_path};

const ROUNDS: u64 = 20;
/// New acknowledgements before a round's moment is drawn.
const LOADED: usize = 100;
/// The moment lies within so many milliseconds.
const MOMENTS: u64 = 300;
const TWIN: &str = "twin-1";

/// Versions and values of one half of a twin, as they were acknowledged.
#[derive(Debug, Clone, Default)]
struct Acknowledged(Arc<Mutex<Vec<(u64, u64)>>>);

impl Acknowledged {
    fn add(&self, version: u64, value: u64) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(list.last().is_none_or(|(before, _)| *before < version), "version {version} after {:?}", list.last());
        list.push((version, value));
    }

    fn list(&self) -> Vec<(u64, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The twin is at least as far.
    fn assert_held_by(before: &[(u64, u64)], section: &Value, situation: &str) {
        let Some((version, value)) = before.last() else { return };
        let stored = |name: &str| section[name].as_u64().unwrap_or_default();
        let held = stored("$version") >= *version && stored("value") >= *value;
        assert!(held, "{situation}: acknowledged {version} with {value}, stored {section}");
    }
}

/// Reports one value after the other, over whatever connection there is.
fn report(hub: &HubProcess, reported: Acknowledged) -> JoinHandle<()> {
    let tls = client_tls(&hub.server_ca_pem(), Some(&hub.device_ca().issue(TWIN)));
    let address = hub.ports().mqtt;
    tokio::spawn(async move {
        let mut value = 0;
        loop {
            let connected = wait_until("a connection", SOON, || async {
                let mut device = Device::dial(address, Arc::clone(&tls)).await.ok()?;
                let answer = device.try_introduce(&connect(Version::V311, TWIN)).await?;
                answer.code.is_success().then_some(device)
            });
            let mut device = connected.await;
            if device.try_subscribe("$iothub/twin/res/#").await.is_none() {
                continue;
            }
            let topic = "$iothub/twin/PATCH/properties/reported/?$rid=1";
            value += 1;
            while let Some((answer, _)) = device.ask_twin(topic, &json!({ "value": value }).to_string()).await {
                let version = answer.strip_prefix("$iothub/twin/res/204/?$rid=1&$version=").expect(&answer);
                reported.add(version.parse().expect("a version"), value);
                value += 1;
            }
        }
    })
}

/// Wants one value after the other.
fn desire(service: Service, desired: Acknowledged) -> JoinHandle<()> {
    tokio::spawn(async move {
        for value in 1.. {
            let body = json!({"properties": {"desired": {"value": value}}});
            let answer = service.try_ask(Method::PATCH, &twin_path(TWIN), None, Some(&body)).await;
            match answer.filter(|answer| answer.status == 200) {
                Some(answer) => desired.add(answer.body["properties"]["desired"]["$version"].as_u64().expect("a version"), value),
                // The hub is away.
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
}

/// A generator whose numbers follow from the seed that a failure prints (splitmix64).
struct Random(u64);

impl Random {
    /// From `ISTHMUS_TEST_SEED`, or from anything.
    fn seeded() -> Self {
        let given = std::env::var("ISTHMUS_TEST_SEED").ok().and_then(|text| text.parse().ok());
        Self(given.unwrap_or_else(|| u64::try_from(model::Clock::system().now().as_milliseconds()).unwrap_or_default()))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_nothing_acknowledged_is_lost() {
    let began = Instant::now();
    let mut random = Random::seeded();
    println!("ISTHMUS_TEST_SEED={}", random.0);
    let scratch = tempfile::tempdir().expect("a directory");
    let mut hub = HubProcess::start();
    let service = hub.service();
    service.register(TWIN).await;
    let (reported, desired) = (Acknowledged::default(), Acknowledged::default());
    let seed = random.0.to_string();
    let fleet = Fleet::start(&hub, scratch.path(), &["--devices", "8", "--rate", "100/s", "--in-flight", "32", "--seed", &seed]);
    let writers = [report(&hub, reported.clone()), desire(service, desired.clone())];
    for round in 1..=ROUNDS {
        fleet.wait_for_load(LOADED);
        // Not to wait for anything: the moment is the random part.
        tokio::time::sleep(Duration::from_millis(random.below(MOMENTS))).await;
        hub.kill();
        let before = (fleet.acknowledged(), reported.list(), desired.list());
        hub.restart();
        let situation = format!("round {round}");
        verify(&hub, scratch.path(), &before.0, &situation).await;
        let twin = hub.service().twin(TWIN).await;
        Acknowledged::assert_held_by(&before.1, &twin["properties"]["reported"], &situation);
        Acknowledged::assert_held_by(&before.2, &twin["properties"]["desired"], &situation);
        assert!(writers.iter().all(|writer| !writer.is_finished()), "{situation}: a writer of twins failed");
    }
    writers.iter().for_each(JoinHandle::abort);
    let (ledger, _) = fleet.stop();
    verify(&hub, scratch.path(), &ledger, "in the end").await;
    let (messages, changes) = (ledger.lines().count(), reported.list().len() + desired.list().len());
    println!("{ROUNDS} kills, {messages} messages and {changes} changes of twins acknowledged, {:.1?}", began.elapsed());
}

#[tokio::test]
async fn settled_commands_stay_settled_and_their_senders_are_told() {
    let began = Instant::now();
    let mut random = Random::seeded();
    println!("ISTHMUS_TEST_SEED={}", random.0);
    let mut hub = HubProcess::start();
    let mut settlements = Settlements::default();
    settlements.work(&hub).await.expect("the job");
    for round in 1..=ROUNDS {
        let (pid, moment) = (hub.pid().to_string(), Duration::from_millis(random.below(MOMENTS)));
        let killing = std::thread::spawn(move || {
            std::thread::sleep(moment);
            Command::new("kill").args(["-KILL", &pid]).status().expect("kill")
        });
        while settlements.work(&hub).await.is_some() {}
        assert!(killing.join().expect("no panic").success());
        assert_eq!(signal_of(hub.wait()), Some(9), "{}", hub.log());
        hub.restart();
        settlements.assert_kept(&hub, &[], &format!("round {round}")).await;
    }
    println!("{ROUNDS} kills, {} commands, {:.1?}", settlements.len(), began.elapsed());
}
