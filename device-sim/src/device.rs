//! One simulated device: a task that keeps connected, sends what its source gives, and does what
//! the hub asks.

mod backoff;
mod behaviour;
mod conversation;
mod source;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hubctl::DataDirectory;
use model::DeviceId;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::args::Protocol;
use crate::ledger::Acknowledged;
use crate::outbox::Outbox;
use crate::report::DeviceReport;
use crate::transport::{Connection, Credentials, Settlement, https, mqtt};
use backoff::{Backoff, Pause};
use conversation::Conversation;
pub(crate) use source::Source;

/// How long a device is away when told to reboot.
const REBOOT: Duration = Duration::from_secs(1);

/// What all devices of a fleet share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) directory: DataDirectory,
    pub(crate) in_flight: u16,
    /// How long to wait for outstanding acknowledgements at the end.
    pub(crate) grace: Duration,
    /// What devices say of commands, where their protocol lets them.
    pub(crate) settlement: Settlement,
    /// Turns true when it is time to end.
    pub(crate) stop: watch::Receiver<bool>,
    /// Bounds the connections being made at once.
    pub(crate) connecting: Arc<Semaphore>,
    pub(crate) ledger: mpsc::Sender<Acknowledged>,
}

/// A device.
pub(crate) struct Device {
    credentials: Credentials,
    protocol: Protocol,
    surroundings: Arc<Surroundings>,
    stop: watch::Receiver<bool>,
    source: Source,
    /// The source gives nothing more: it has ended, or it is time to stop.
    is_drained: bool,
    /// When to give up waiting for acknowledgements.
    deadline: Option<Instant>,
    outbox: Outbox,
    /// The highest version of the desired properties seen.
    desired_version: Option<u64>,
    started: Instant,
    report: DeviceReport,
}

/// How a connection ended, as far as the device's next step depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Everything is done.
    Finish,
    /// Connect again after a pause.
    Reconnect(Pause),
    /// Be away for a while first.
    Reboot,
}

impl Device {
    pub(crate) fn new(credentials: Credentials, protocol: Protocol, surroundings: Arc<Surroundings>, source: Source) -> Self {
        Self {
            credentials,
            protocol,
            stop: surroundings.stop.clone(),
            outbox: Outbox::new(surroundings.in_flight.into()),
            surroundings,
            source,
            is_drained: false,
            deadline: None,
            desired_version: None,
            started: Instant::now(),
            report: DeviceReport::of(protocol),
        }
    }

    fn id(&self) -> &DeviceId {
        &self.credentials.device
    }

    /// Lives until the source has ended or it is time to stop, and every message is acknowledged
    /// or was waited for long enough.
    pub(crate) async fn run(mut self) -> DeviceReport {
        let mut backoff = Backoff::new();
        loop {
            let next = match self.protocol {
                Protocol::Mqtt => self.speak::<mqtt::Connection>().await,
                Protocol::Https => self.speak::<https::Connection>().await,
            };
            self.outbox.connection_lost();
            let pause = match next {
                Next::Finish => break,
                Next::Reboot => REBOOT,
                Next::Reconnect(pause) => backoff.wait(pause),
            };
            self.report.reconnects += 1;
            if self.is_over_within(pause).await {
                break;
            }
        }
        self.report.sent = self.outbox.made();
        self.report.unacknowledged = self.outbox.len() as u64;
        self.report
    }

    /// Waits before connecting again; true when the end comes first.
    async fn is_over_within(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            if self.is_drained && (self.outbox.is_empty() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)) {
                return true;
            }
            let wake = self.deadline.map_or(until, |deadline| deadline.min(until));
            tokio::select! {
                () = tokio::time::sleep_until(wake) => if Instant::now() >= until {
                    return false;
                },
                () = stopped(&mut self.stop), if self.deadline.is_none() => self.begin_to_stop(),
            }
        }
    }

    /// Makes a connection and keeps it for as long as it lasts.
    async fn speak<C: Connection>(&mut self) -> Next {
        match self.connect::<C>().await {
            Some(conversation) => self.converse(conversation).await,
            None => Next::Reconnect(Pause::Longer),
        }
    }

    /// Reads afresh where the hub listens: it may have been restarted on another port.
    async fn connect<C: Connection>(&self) -> Option<Conversation<C>> {
        let permit = Arc::clone(&self.surroundings.connecting).acquire_owned().await.ok()?;
        let address = self.address()?;
        match C::open(&self.credentials, address, self.surroundings.in_flight) {
            Ok(connection) => Some(Conversation::new(connection, permit)),
            Err(error) => {
                warn!(device = %self.id(), %error, "no connection can be prepared");
                None
            }
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        match self.surroundings.directory.ports() {
            Ok(ports) => {
                let addresses = ports?.addresses(self.protocol.listener());
                addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied()
            }
            Err(error) => {
                warn!(device = %self.id(), %error, "the ports of the hub cannot be read");
                None
            }
        }
    }

    /// No more messages; those under way are waited for, but not for ever.
    fn begin_to_stop(&mut self) {
        self.is_drained = true;
        self.deadline = Some(Instant::now() + self.surroundings.grace);
    }
}

/// Resolves when it is time to stop; a stopper that is gone means so, too.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn reach(deadline: Option<Instant>) {
    match deadline {
        None => std::future::pending().await,
        Some(deadline) => sleep(deadline.saturating_duration_since(Instant::now())).await,
    }
}
