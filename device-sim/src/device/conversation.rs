//! What a device does while it is connected.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::behaviour::{self, Action, Desired, Status, Wish};
use super::{Device, Next, Pause, reach, stopped};
use crate::ledger::{Acknowledged, hash};
use crate::transport::{Connection, End, Happening, Overrun, Settlement};

/// How long the goodbye may take to leave.
const GOODBYE: Duration = Duration::from_secs(2);

/// How far a conversation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// Let in, and asking for what the hub may send.
    Connected,
    /// Telemetry goes out.
    Subscribed,
    /// The device has said goodbye, to reboot.
    Rebooting,
}

/// What is true of one connection only.
pub(super) struct Conversation<C> {
    connection: C,
    stage: Stage,
    /// Whether the hub has acknowledged a message on it.
    was_acknowledged: bool,
    /// Held while the connection is being made.
    permit: Option<OwnedSemaphorePermit>,
}

impl<C: Connection> Conversation<C> {
    pub(super) fn new(connection: C, permit: OwnedSemaphorePermit) -> Self {
        Self { connection, stage: Stage::Connecting, was_acknowledged: false, permit: Some(permit) }
    }

    /// A hub that lets the device in and then is too busy for it has been of no use.
    fn pause_after(&self, end: &End) -> Pause {
        let was_of_use = match end {
            End::Busy { retry_after: Some(asked), .. } => return Pause::Asked(*asked),
            End::Busy { retry_after: None, .. } => self.was_acknowledged,
            End::Disconnected | End::Refused(_) | End::Broken(_) | End::Overrun(_) => self.stage != Stage::Connecting,
        };
        if was_of_use { Pause::Shortest } else { Pause::Longer }
    }
}

impl Device {
    /// Lives through a connection until it ends, or until everything is done.
    pub(super) async fn converse<C: Connection>(&mut self, mut conversation: Conversation<C>) -> Next {
        loop {
            if let Err(error) = self.hand_over(&conversation) {
                return self.ended(&conversation, &End::Overrun(error));
            }
            if self.is_drained && self.outbox.is_empty() && conversation.stage != Stage::Rebooting {
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

    /// Nothing goes before the subscription is answered: some client libraries give the packet id
    /// of a pending SUBSCRIBE to a PUBLISH (MQTT 3.1.1, 2.3.1), and the hub refuses that.
    fn hand_over<C: Connection>(&mut self, conversation: &Conversation<C>) -> Result<(), Overrun> {
        if conversation.stage != Stage::Subscribed {
            return Ok(());
        }
        while let Some(due) = self.outbox.hand_over() {
            self.report.resent += u64::from(due.again);
            conversation.connection.send_telemetry(due.message.number, due.message.body)?;
        }
        Ok(())
    }

    async fn handle<C: Connection>(&mut self, conversation: &mut Conversation<C>, happening: Happening<C::Command>) -> Result<(), Overrun> {
        match happening {
            // After the goodbye: a command comes again, and whoever called is told that the device has gone.
            // A session that the hub kept may bring either before the subscription is answered.
            Happening::Subscribed | Happening::Method { .. } | Happening::Command(_) if conversation.stage == Stage::Rebooting => Ok(()),
            Happening::Connected => {
                conversation.stage = Stage::Connected;
                conversation.permit = None;
                debug!(device = %self.id(), "connected");
                conversation.connection.subscribe()
            }
            Happening::Subscribed => {
                conversation.stage = Stage::Subscribed;
                conversation.connection.read_twin()
            }
            Happening::Sent { tag } => {
                self.outbox.sent(tag, std::time::Instant::now());
                Ok(())
            }
            Happening::Acknowledged { tag } => {
                conversation.was_acknowledged = true;
                self.acknowledged(tag).await;
                Ok(())
            }
            Happening::Method { name, request_id, payload } => self.method(conversation, &name, &request_id, &payload),
            Happening::Twin { body } => self.obey(conversation, behaviour::read_twin(&body)),
            Happening::Desired { body } => self.obey(conversation, behaviour::read_desired(&body)),
            Happening::TwinRefused { status, body } => {
                warn!(device = %self.id(), status, body = %String::from_utf8_lossy(&body), "a twin request was refused");
                Ok(())
            }
            Happening::Command(command) => self.command(conversation, command),
        }
    }

    async fn acknowledged(&mut self, tag: u64) {
        let Some((message, sent)) = self.outbox.acknowledged(tag) else { return };
        self.report.acknowledged += 1;
        let acknowledged =
            Acknowledged { device: self.id().clone(), number: message.number, body: hash(&message.body), after: sent.elapsed() };
        // A ledger that fails ends the run; its own error tells why.
        let _ = self.surroundings.ledger.send(acknowledged).await;
    }

    fn method<C: Connection>(
        &mut self,
        conversation: &mut Conversation<C>,
        name: &str,
        request_id: &str,
        payload: &Bytes,
    ) -> Result<(), Overrun> {
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
                conversation.stage = Stage::Rebooting;
                conversation.connection.disconnect()
            }
        }
    }

    /// Does what newly seen desired properties ask and reports it. Versions only rise: what comes
    /// late, after a whole read that was newer, is passed over.
    fn obey<C: Connection>(&mut self, conversation: &Conversation<C>, desired: Option<Desired>) -> Result<(), Overrun> {
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

    fn report_properties<C: Connection>(&self, conversation: &Conversation<C>, refused: bool) -> Result<(), Overrun> {
        conversation.connection.report(behaviour::report(self.source.name(), self.source.interval(), self.desired_version, refused))
    }

    fn command<C: Connection>(&mut self, conversation: &Conversation<C>, command: C::Command) -> Result<(), Overrun> {
        let settlement = conversation.connection.settle(command, self.surroundings.settlement)?;
        info!(device = %self.id(), ?settlement, "command settled");
        let count = match settlement {
            Settlement::Complete => &mut self.report.commands_completed,
            Settlement::Reject => &mut self.report.commands_rejected,
            Settlement::Abandon => &mut self.report.commands_abandoned,
        };
        *count += 1;
        Ok(())
    }

    fn ended<C: Connection>(&mut self, conversation: &Conversation<C>, end: &End) -> Next {
        let device = self.id();
        match end {
            End::Disconnected => debug!(%device, "disconnected"),
            End::Refused(reason) => warn!(%device, reason, "the hub refused the device"),
            End::Busy { said, .. } => debug!(%device, said, "the hub cannot serve for now"),
            End::Broken(error) => debug!(%device, %error, "the connection broke"),
            End::Overrun(error) => warn!(%device, %error, "the hub asked for more than the device can queue"),
        }
        self.report.refused += u64::from(matches!(end, End::Refused(_)));
        if conversation.stage == Stage::Rebooting { Next::Reboot } else { Next::Reconnect(conversation.pause_after(end)) }
    }
}

/// Lets the last answers and the goodbye leave.
async fn goodbye(mut conversation: Conversation<impl Connection>) {
    if conversation.stage == Stage::Connecting || conversation.connection.disconnect().is_err() {
        return;
    }
    let left = async { while conversation.connection.next().await.is_ok() {} };
    if timeout(GOODBYE, left).await.is_err() {
        debug!("the goodbye did not leave in time");
    }
}
