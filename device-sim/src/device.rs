//! One simulated device: a task that keeps connected, sends what its source gives, and does what
//! the hub asks.

mod behaviour;
mod source;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hubctl::DataDirectory;
use model::DeviceId;
use rumqttc::{ClientError, Publish};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::ledger::{Acknowledged, hash};
use crate::outbox::Outbox;
use crate::report::DeviceReport;
use crate::transport::mqtt::{Connection, Credentials, End, Happening};
use behaviour::{Action, Desired, Status, Wish};
pub(crate) use source::Source;

/// Waits between attempts to connect: doubled from the first to the last.
const RECONNECT_WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// How long a device is away when told to reboot.
const REBOOT: Duration = Duration::from_secs(1);
/// How long the goodbye may take to leave.
const GOODBYE: Duration = Duration::from_secs(2);

/// What all devices of a fleet share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) directory: DataDirectory,
    pub(crate) in_flight: u16,
    /// How long to wait for outstanding acknowledgements at the end.
    pub(crate) grace: Duration,
    /// Turns true when it is time to end.
    pub(crate) stop: watch::Receiver<bool>,
    /// Bounds the connections being made at once.
    pub(crate) connecting: Arc<Semaphore>,
    pub(crate) ledger: mpsc::Sender<Acknowledged>,
}

/// A device.
pub(crate) struct Device {
    credentials: Credentials,
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
    /// Connect again. It had been connected: the waits begin anew.
    Reconnect { was_connected: bool },
    /// Be away for a while first.
    Reboot,
}

/// What is true of one connection only.
struct Conversation {
    connection: Connection,
    is_connected: bool,
    rebooting: bool,
    /// Held while the connection is being made.
    permit: Option<OwnedSemaphorePermit>,
}

impl Device {
    pub(crate) fn new(credentials: Credentials, surroundings: Arc<Surroundings>, source: Source) -> Self {
        Self {
            credentials,
            stop: surroundings.stop.clone(),
            outbox: Outbox::new(surroundings.in_flight.into()),
            surroundings,
            source,
            is_drained: false,
            deadline: None,
            desired_version: None,
            started: Instant::now(),
            report: DeviceReport::default(),
        }
    }

    fn id(&self) -> &DeviceId {
        &self.credentials.device
    }

    /// Lives until the source has ended or it is time to stop, and every message is acknowledged
    /// or was waited for long enough.
    pub(crate) async fn run(mut self) -> DeviceReport {
        let mut wait = RECONNECT_WAITS.0;
        loop {
            let next = match self.connect().await {
                Some(conversation) => self.converse(conversation).await,
                None => Next::Reconnect { was_connected: false },
            };
            self.outbox.connection_lost();
            let pause = match next {
                Next::Finish => break,
                Next::Reboot => REBOOT,
                Next::Reconnect { was_connected: true } => {
                    wait = RECONNECT_WAITS.0;
                    wait
                }
                Next::Reconnect { was_connected: false } => {
                    wait = RECONNECT_WAITS.1.min(wait * 2);
                    wait
                }
            };
            self.report.reconnects += 1;
            if self.pause(pause).await == Next::Finish {
                break;
            }
        }
        self.report.sent = self.outbox.made();
        self.report.unacknowledged = self.outbox.len() as u64;
        self.report
    }

    /// Waits before connecting again, unless the end comes first.
    async fn pause(&mut self, pause: Duration) -> Next {
        let until = Instant::now() + pause;
        loop {
            if self.is_drained && (self.outbox.is_empty() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)) {
                return Next::Finish;
            }
            let wake = self.deadline.map_or(until, |deadline| deadline.min(until));
            tokio::select! {
                () = tokio::time::sleep_until(wake) => if Instant::now() >= until {
                    return Next::Reconnect { was_connected: false };
                },
                () = stopped(&mut self.stop), if self.deadline.is_none() => self.begin_to_stop(),
            }
        }
    }

    /// Reads afresh where the hub listens: it may have been restarted on another port.
    async fn connect(&self) -> Option<Conversation> {
        let permit = Arc::clone(&self.surroundings.connecting).acquire_owned().await.ok()?;
        let address = self.address()?;
        let connection = Connection::open(&self.credentials, address, self.surroundings.in_flight);
        Some(Conversation { connection, is_connected: false, rebooting: false, permit: Some(permit) })
    }

    fn address(&self) -> Option<SocketAddr> {
        match self.surroundings.directory.ports() {
            Ok(ports) => {
                let addresses = ports?.addresses("mqtt");
                addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied()
            }
            Err(error) => {
                warn!(device = %self.id(), %error, "the ports of the hub cannot be read");
                None
            }
        }
    }

    async fn converse(&mut self, mut conversation: Conversation) -> Next {
        loop {
            if let Err(error) = self.hand_over(&conversation) {
                return self.ended(&conversation, &End::Overrun(error));
            }
            if self.is_drained && self.outbox.is_empty() && !conversation.rebooting {
                goodbye(conversation).await;
                return Next::Finish;
            }
            let deadline = self.deadline;
            tokio::select! {
                happening = conversation.connection.next() => {
                    let handled = match happening {
                        Ok(happening) => self.handle(&mut conversation, happening).await.map_err(End::Overrun),
                        Err(end) => Err(end),
                    };
                    if let Err(end) = handled {
                        return self.ended(&conversation, &end);
                    }
                },
                body = self.source.next(), if !self.is_drained && self.outbox.has_room() => match body {
                    Some(body) => self.outbox.push(body),
                    None => self.is_drained = true,
                },
                () = stopped(&mut self.stop), if deadline.is_none() => self.begin_to_stop(),
                () = reach(deadline) => return Next::Finish,
            }
        }
    }

    /// No more messages; those under way are waited for, but not for ever.
    fn begin_to_stop(&mut self) {
        self.is_drained = true;
        self.deadline = Some(Instant::now() + self.surroundings.grace);
    }

    fn hand_over(&mut self, conversation: &Conversation) -> Result<(), ClientError> {
        if !conversation.is_connected || conversation.rebooting {
            return Ok(());
        }
        while let Some(due) = self.outbox.hand_over() {
            self.report.resent += u64::from(due.again);
            conversation.connection.send_telemetry(due.message.number, due.message.body)?;
        }
        Ok(())
    }

    async fn handle(&mut self, conversation: &mut Conversation, happening: Happening) -> Result<(), ClientError> {
        match happening {
            Happening::Connected => {
                conversation.is_connected = true;
                conversation.permit = None;
                debug!(device = %self.id(), "connected");
                conversation.connection.subscribe()
            }
            Happening::Subscribed => conversation.connection.read_twin(),
            Happening::Sent { packet_id } => {
                self.outbox.sent(packet_id, std::time::Instant::now());
                Ok(())
            }
            Happening::Acknowledged { packet_id } => {
                self.acknowledged(packet_id).await;
                Ok(())
            }
            Happening::Method { name, request_id, payload } => self.method(conversation, &name, &request_id, &payload),
            Happening::Twin { body } => self.obey(conversation, behaviour::read_twin(&body)),
            Happening::Desired { body } => self.obey(conversation, behaviour::read_desired(&body)),
            Happening::TwinRefused { status, body } => {
                warn!(device = %self.id(), status, body = %String::from_utf8_lossy(&body), "a twin request was refused");
                Ok(())
            }
            Happening::Command(command) => self.command(conversation, &command),
        }
    }

    async fn acknowledged(&mut self, packet_id: u16) {
        let Some((message, sent)) = self.outbox.acknowledged(packet_id) else { return };
        self.report.acknowledged += 1;
        let acknowledged =
            Acknowledged { device: self.id().clone(), number: message.number, body: hash(&message.body), after: sent.elapsed() };
        // A ledger that fails ends the run; its own error tells why.
        let _ = self.surroundings.ledger.send(acknowledged).await;
    }

    fn method(&mut self, conversation: &mut Conversation, name: &str, request_id: &str, payload: &Bytes) -> Result<(), ClientError> {
        let status = Status {
            sensor: self.source.name(),
            interval: self.source.interval(),
            made: self.outbox.made(),
            acknowledged: self.report.acknowledged,
            uptime: self.started.elapsed(),
        };
        let (status, body, action) = behaviour::answer(name, payload, &status);
        info!(device = %self.id(), method = name, status, "method called");
        conversation.connection.answer_method(request_id, status, body)?;
        self.report.methods_answered += 1;
        match action {
            Action::Nothing => Ok(()),
            Action::SetInterval(interval) => {
                self.source.set_interval(Some(interval));
                self.report_properties(conversation, false)
            }
            Action::Reboot => {
                conversation.rebooting = true;
                conversation.connection.disconnect()
            }
        }
    }

    /// Does what newly seen desired properties ask and reports it. Versions only rise: what comes
    /// late, after a whole read that was newer, is passed over.
    fn obey(&mut self, conversation: &Conversation, desired: Option<Desired>) -> Result<(), ClientError> {
        let Some(desired) = desired else { return Ok(()) };
        if desired.version < self.desired_version {
            return Ok(());
        }
        if desired.version > self.desired_version {
            self.desired_version = desired.version;
            self.report.twin_versions_seen += 1;
        }
        match &desired.interval {
            Wish::Unsaid | Wish::Invalid => {}
            Wish::Default => self.source.set_interval(None),
            Wish::Interval(interval) => self.source.set_interval(Some(*interval)),
        }
        debug!(device = %self.id(), version = self.desired_version, interval = ?desired.interval, "desired properties seen");
        self.report_properties(conversation, desired.interval == Wish::Invalid)
    }

    fn report_properties(&self, conversation: &Conversation, refused: bool) -> Result<(), ClientError> {
        conversation.connection.report(behaviour::report(self.source.name(), self.source.interval(), self.desired_version, refused))
    }

    fn command(&mut self, conversation: &Conversation, command: &Publish) -> Result<(), ClientError> {
        info!(device = %self.id(), bytes = command.payload.len(), "command completed");
        self.report.commands_completed += 1;
        conversation.connection.complete(command)
    }

    fn ended(&mut self, conversation: &Conversation, end: &End) -> Next {
        let device = self.id();
        match end {
            End::Disconnected => debug!(%device, "disconnected"),
            End::Refused(reason) => warn!(%device, reason, "the hub refused the device"),
            End::Broken(error) => debug!(%device, %error, "the connection broke"),
            End::Overrun(error) => warn!(%device, %error, "the hub asked for more than the device can queue"),
        }
        self.report.refused += u64::from(matches!(end, End::Refused(_)));
        if conversation.rebooting { Next::Reboot } else { Next::Reconnect { was_connected: conversation.is_connected } }
    }
}

/// Lets the last answers and the goodbye leave.
async fn goodbye(mut conversation: Conversation) {
    if !conversation.is_connected || conversation.connection.disconnect().is_err() {
        return;
    }
    let left = async { while conversation.connection.next().await.is_ok() {} };
    if timeout(GOODBYE, left).await.is_err() {
        debug!("the goodbye did not leave in time");
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
