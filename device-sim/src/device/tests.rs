//! A device on a connection whose hub answers as a script says.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rumqttc::tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use super::*;
use crate::transport::{End, Happening, Overrun};

type Told = Result<Happening<()>, End>;

/// Tells what the script has for each request of the device, and notes the requests.
#[derive(Default)]
struct Scripted {
    told: Mutex<VecDeque<Told>>,
    requests: Arc<Mutex<Vec<&'static str>>>,
}

impl Scripted {
    fn begins_with(told: impl IntoIterator<Item = Told>) -> Self {
        Self { told: Mutex::new(told.into_iter().collect()), ..Self::default() }
    }

    fn note(&self, request: &'static str, then: impl IntoIterator<Item = Told>) -> Result<(), Overrun> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(then);
        Ok(())
    }
}

impl Connection for Scripted {
    type Command = ();

    fn open(_: &Credentials, _: SocketAddr, _: u16) -> anyhow::Result<Self> {
        Ok(Self::default())
    }

    /// Waits for ever when the script has come to its end.
    async fn next(&mut self) -> Told {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match told {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }

    fn subscribe(&self) -> Result<(), Overrun> {
        self.note("subscribe", [Ok(Happening::Subscribed)])
    }

    fn send_telemetry(&self, number: u64, _: Bytes) -> Result<(), Overrun> {
        self.note("telemetry", [Ok(Happening::Sent { tag: number }), Ok(Happening::Acknowledged { tag: number })])
    }

    fn read_twin(&self) -> Result<(), Overrun> {
        self.note("twin", [])
    }

    fn report(&self, _: String) -> Result<(), Overrun> {
        self.note("report", [])
    }

    fn answer_method(&self, _: &str, _: u16, _: String) -> Result<(), Overrun> {
        self.note("answer", [])
    }

    fn settle(&self, (): (), wanted: Settlement) -> Result<Settlement, Overrun> {
        self.note("settle", []).map(|()| wanted)
    }

    fn disconnect(&mut self) -> Result<(), Overrun> {
        self.note("goodbye", [Err(End::Disconnected)])
    }
}

/// A device with one message left to send, and what keeps its run going.
fn device_with_a_message() -> (Device, (watch::Sender<bool>, mpsc::Receiver<Acknowledged>)) {
    let (stopper, stop) = watch::channel(false);
    let (ledger, acknowledged) = mpsc::channel(4);
    let surroundings = Surroundings {
        directory: DataDirectory::new("no-such-directory"),
        in_flight: 1,
        grace: Duration::ZERO,
        settlement: Settlement::Complete,
        stop,
        connecting: Arc::new(Semaphore::new(1)),
        ledger,
    };
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
    let tls = tls.expect("versions").with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let credentials = Credentials { device: "d1".parse().expect("an id"), host: "localhost".into(), tls: Arc::new(tls) };
    let (_, rows) = mpsc::channel(1);
    let mut device = Device::new(credentials, Protocol::Mqtt, Arc::new(surroundings), Source::Recording(rows));
    device.outbox.push(Bytes::from_static(b"{}"));
    device.is_drained = true;
    (device, (stopper, acknowledged))
}

/// How a conversation ends that begins as told, and what the device asked for meanwhile.
async fn outcome(told: impl IntoIterator<Item = Told>) -> (Next, Vec<&'static str>) {
    let (mut device, _alive) = device_with_a_message();
    let connection = Scripted::begins_with(told);
    let requests = Arc::clone(&connection.requests);
    let permit = Arc::clone(&device.surroundings.connecting).acquire_owned().await.expect("a permit");
    let next = device.converse(Conversation::new(connection, permit)).await;
    let requests = requests.lock().expect("requests").clone();
    (next, requests)
}

fn busy(retry_after: Option<Duration>) -> Told {
    Err(End::Busy { said: "the hub answered 503".into(), retry_after })
}

#[tokio::test(start_paused = true)]
async fn telemetry_waits_until_the_subscription_is_answered() {
    let (next, requests) = outcome([Ok(Happening::Connected)]).await;
    assert_eq!(requests, ["subscribe", "twin", "telemetry", "goodbye"]);
    assert_eq!(next, Next::Finish);
}

#[tokio::test(start_paused = true)]
async fn a_device_told_to_reboot_before_its_subscription_is_answered_sends_nothing_more() {
    let reboot = Happening::Method { name: "reboot".into(), request_id: "1".into(), payload: Bytes::new() };
    let (next, requests) = outcome([Ok(Happening::Connected), Ok(reboot)]).await;
    assert_eq!(requests, ["subscribe", "answer", "goodbye"]);
    assert_eq!(next, Next::Reboot);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_broke_is_made_again_soon_and_one_that_never_was_later() {
    let broken = || Err(End::Broken(anyhow::anyhow!("reset")));
    assert_eq!(outcome([Ok(Happening::Connected), broken()]).await.0, Next::Reconnect(Pause::Shortest));
    assert_eq!(outcome([broken()]).await.0, Next::Reconnect(Pause::Longer));
}

#[tokio::test(start_paused = true)]
async fn a_busy_hub_is_left_alone_for_as_long_as_it_says_or_else_for_longer_each_time() {
    let asked = Duration::from_secs(7);
    let let_in = || [Ok(Happening::Connected), Ok(Happening::Subscribed)];
    assert_eq!(outcome(let_in().into_iter().chain([busy(Some(asked))])).await.0, Next::Reconnect(Pause::Asked(asked)));
    assert_eq!(outcome(let_in().into_iter().chain([busy(None)])).await.0, Next::Reconnect(Pause::Longer));
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_took_messages_before_it_was_busy_is_asked_again_soon() {
    let (mut device, _alive) = device_with_a_message();
    device.outbox.push(Bytes::from_static(b"{}"));
    let sent = [Ok(Happening::Sent { tag: 7 }), Ok(Happening::Acknowledged { tag: 7 }), busy(None)];
    let connection = Scripted::begins_with([Ok(Happening::Connected), Ok(Happening::Subscribed)].into_iter().chain(sent));
    let permit = Arc::clone(&device.surroundings.connecting).acquire_owned().await.expect("a permit");
    assert_eq!(device.converse(Conversation::new(connection, permit)).await, Next::Reconnect(Pause::Shortest));
    assert_eq!(device.report.acknowledged, 1);
}
