//! The loop of one admitted connection: it waits for whatever happens next, and each thing that
//! can happen has its method below.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use event_log::{Origin, StageError};
use model::{Identity, Timestamp};
use mqtt_proto::Version;
use mqtt_proto::session::{Accept, Event, Receipt};
use mqtt_proto::wire::{Connect, Publish, QoS, ReasonCode, SubscribeFilter, Text};
use tokio::io::{AsyncRead, AsyncWrite};
use twins::{LockOwner, StoredSubscription};

use super::admission::Admitted;
use super::dialect::{self, DeviceRequest, Feed, Feeds};
use super::downlink::{Downlink, Sent};
use super::link::{Link, Progress};
use super::reason::{self, Ending, TwinFailure};
use super::sessions::Parked;
use super::uplink::Uplink;
use super::work::{Done, Work, WorkQueue};
use crate::hub::Hub;
use crate::methods::MethodAnswer;
use crate::observe::Protocol;
use crate::presence::{ACTIVITY_INTERVAL, Facts, Seat, Signal};

/// Commands a resumed session may owe.
const RESUMED_COMMANDS_MAX: usize = model::limits::COMMANDS_IN_FLIGHT_MAX;

/// How long a connection that ends may take to carry out what it was asked for.
const FINISH_TIMEOUT: Duration = Duration::from_secs(4);

/// The least time between two looks at a grant for its expiry.
const EXPIRY_PAUSE: Duration = Duration::from_secs(1);

/// Serves an admitted client until it goes or must go.
pub(super) async fn run<S>(hub: Arc<Hub>, link: Box<Link<S>>, connect: Connect, admitted: Admitted)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let identity = admitted.grant.identity.clone();
    let seat = hub.presence.enter(&identity).await;
    let owner = LockOwner(seat.id.0);
    let now = hub.clock.now();
    hub.twins.note_connected(&identity, now);
    if let Some(model_id) = &admitted.model_id {
        hub.twins.note_model_id(&identity, model_id);
    }
    hub.metrics.connection_opened(Protocol::Mqtt);
    tracing::info!(%identity, connection = seat.id.0, "connected");
    let sender = hub.telemetry.sender(&admitted.grant, admitted.model_id.as_deref(), Origin::Mqtt);
    let mut connection = Connection {
        persistence: Persistence::asked_by(&connect),
        feeds: Feeds::new(&identity),
        uplink: Uplink::new(sender),
        work: WorkQueue::new(hub.clone(), identity.clone(), owner),
        downlink: Downlink::new(admitted.topics.clone()),
        noted: now,
        has_events_left: false,
        is_at_end: false,
        is_ending: false,
        hub,
        link,
        seat,
        admitted,
        owner,
    };
    // Boxed, so that a long life does not carry the memory of its beginning and its end.
    let ending = match Box::pin(connection.open()).await {
        Ok(()) => connection.serve().await,
        Err(ending) => {
            let (code, reason) = ending.refusal();
            connection.link.session.refuse(code, reason, None);
            ending
        }
    };
    Box::pin(connection.close(ending)).await;
}

/// Whether the session outlives its connection, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Persistence {
    starts_clean: bool,
    survives: bool,
    /// `None`: for ever.
    lifetime: Option<Duration>,
}

/// The session expiry interval that means "never" (MQTT 5, 3.1.2.11.2).
const NEVER_EXPIRES: u32 = u32::MAX;

impl Persistence {
    /// 3.1.1 asks with CleanSession 0; 5 with a session expiry above zero.
    fn asked_by(connect: &Connect) -> Self {
        let mut persistence = Self { starts_clean: connect.clean_start, survives: !connect.clean_start, lifetime: None };
        if connect.version == Version::V5 {
            persistence.expire_after(connect.properties.session_expiry_interval.unwrap_or(0));
        }
        persistence
    }

    /// MQTT 5 counts seconds from the end of the connection.
    fn expire_after(&mut self, seconds: u32) {
        self.survives = seconds > 0;
        self.lifetime = (seconds != NEVER_EXPIRES).then(|| Duration::from_secs(u64::from(seconds)));
    }
}

struct Connection<S> {
    hub: Arc<Hub>,
    link: Box<Link<S>>,
    seat: Seat,
    admitted: Admitted,
    owner: LockOwner,
    persistence: Persistence,
    feeds: Feeds,
    uplink: Uplink,
    work: WorkQueue,
    downlink: Downlink,
    /// When activity was last noted.
    noted: Timestamp,
    /// Events wait in the session until the batch under way is staged.
    has_events_left: bool,
    /// The socket is at its end, though events are left.
    is_at_end: bool,
    /// Nothing new is begun.
    is_ending: bool,
}

/// What an ending connection still waits for.
enum Rest {
    Stored(Result<(), StageError>),
    Done(Done),
}

/// Something that happened.
enum Happening {
    Link(Progress),
    Stored(Result<(), StageError>),
    Done(Done),
    Signal(Signal),
    Facts(Facts),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes up the session and answers the CONNECT.
    async fn open(&mut self) -> Result<(), Ending> {
        // From here on changes reach this connection; what changed before is seen now.
        if self.hub.drain.is_draining() {
            return Err(Ending::Stopping);
        }
        if !self.admitted.grant.is_current(self.hub.clock.now()) {
            return Err(Ending::GrantEnded);
        }
        let identity = self.identity().clone();
        let failed = |error: twins::StoreError| Ending::Store(error.to_string());
        let earlier = self.hub.sessions.take(&identity);
        let has_expired = earlier.expires.is_some_and(|expires| expires <= self.hub.clock.now());
        let mut session_present = false;
        if self.persistence.starts_clean || has_expired {
            self.hub.twins.clear_subscriptions(&identity).await.map_err(failed)?;
        } else {
            for subscription in self.hub.twins.subscriptions(&identity).await.map_err(failed)? {
                let qos = if subscription.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
                session_present |= self.feeds.subscribe(&subscription.filter, qos).is_ok();
            }
        }
        let mut accept = Accept { session_present, ..Accept::default() };
        if session_present && !earlier.in_flight.is_empty() {
            let commands = self.hub.twins.lock_commands(&identity, self.owner, RESUMED_COMMANDS_MAX).await;
            let commands = commands.map_err(|error| Ending::Store(error.to_string()))?;
            accept.in_flight = self.downlink.resume(earlier.in_flight, commands);
        }
        self.link.session.accept(accept, Instant::now());
        self.watch_expiry();
        self.after_subscriptions_changed();
        Ok(())
    }

    async fn serve(&mut self) -> Ending {
        loop {
            let happening = poll_fn(|cx| self.poll_next(cx)).await;
            let flow = match happening {
                Happening::Link(progress) => self.on_link(progress),
                Happening::Stored(stored) => self.on_stored(stored),
                Happening::Done(done) => self.on_done(done),
                Happening::Signal(signal) => self.on_signal(signal),
                Happening::Facts(facts) => self.on_facts(facts),
            };
            if let ControlFlow::Break(ending) = flow {
                return ending;
            }
        }
    }

    /// Acknowledgements go first, so that they share a write with whatever else is sent.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Happening> {
        if let Poll::Ready(stored) = self.uplink.poll(cx) {
            return Poll::Ready(Happening::Stored(stored));
        }
        if let Poll::Ready(done) = self.work.poll(cx) {
            return Poll::Ready(Happening::Done(done));
        }
        if let Poll::Ready(facts) = self.seat.poll_facts(cx) {
            return Poll::Ready(Happening::Facts(facts));
        }
        if let Poll::Ready(signal) = self.seat.poll_signal(cx) {
            return Poll::Ready(Happening::Signal(signal));
        }
        let reading = self.uplink.has_room() && self.work.has_room();
        if reading && self.has_events_left {
            return Poll::Ready(Happening::Link(if self.is_at_end { Progress::Ended } else { Progress::Events }));
        }
        self.link.tell_when_sent(self.downlink.waits_for_output());
        self.link.poll(cx, reading).map(Happening::Link)
    }

    /// Where a moment of the wall clock lies on the monotonic one.
    fn instant_of(&self, moment: Timestamp) -> Instant {
        Instant::now() + moment.saturating_since(self.hub.clock.now())
    }

    fn identity(&self) -> &Identity {
        &self.admitted.grant.identity
    }

    fn on_link(&mut self, progress: Progress) -> ControlFlow<Ending> {
        let received = self.hub.clock.now();
        if !self.admitted.grant.is_current(received) {
            return ControlFlow::Break(Ending::GrantEnded);
        }
        self.note_activity(received);
        let flow = self.take_events(received);
        // What came before the end counts, whatever the end was.
        if let Err(failed) = self.uplink.stage() {
            return ControlFlow::Break(Ending::Store(failed.to_string()));
        }
        flow?;
        if progress == Progress::Ended {
            self.is_at_end = true;
            if !self.has_events_left {
                return ControlFlow::Break(Ending::Lost);
            }
        }
        self.send_what_waited();
        self.watch_expiry();
        ControlFlow::Continue(())
    }

    /// Sends what found the output full.
    fn send_what_waited(&mut self) {
        if !self.downlink.waits_for_output() || !self.link.session.output().is_empty() {
            return;
        }
        if self.downlink.take_desired_owed() {
            self.work.push(Work::ReadDesired);
        }
        self.pump_commands();
    }

    /// Makes sure to look at the grant again when it expires. The wall clock may have been set
    /// back since the last look, hence not at once.
    fn watch_expiry(&mut self) {
        if let (Some(expires), false) = (self.admitted.grant.expires, self.link.will_wake()) {
            self.link.wake_at(Some(self.instant_of(expires).max(Instant::now() + EXPIRY_PAUSE)));
        }
    }

    /// For the registry's last activity time, which need not be exact.
    fn note_activity(&mut self, now: Timestamp) {
        if now.saturating_since(self.noted) >= ACTIVITY_INTERVAL {
            self.noted = now;
            self.hub.twins.note_activity(self.identity(), now);
        }
    }

    fn take_events(&mut self, received: Timestamp) -> ControlFlow<Ending> {
        self.has_events_left = false;
        while let Some(event) = self.link.session.poll_event() {
            self.on_event(event, received)?;
            if self.uplink.is_batch_full() {
                self.has_events_left = true;
                break;
            }
        }
        ControlFlow::Continue(())
    }

    fn on_event(&mut self, event: Event, received: Timestamp) -> ControlFlow<Ending> {
        match event {
            Event::Publish { publish, receipt } => self.on_publish(&publish, receipt, received),
            Event::Acknowledged { tag, reason } => self.on_acknowledged(tag, reason),
            Event::Subscribe { receipt, filters, .. } => {
                let results = filters.iter().map(|filter| self.subscribe(filter)).collect();
                self.work.push(Work::Subscribe { stored: self.subscriptions_to_store(), receipt, results });
                ControlFlow::Continue(())
            }
            Event::Unsubscribe { receipt, filters } => {
                let results = filters.iter().map(|filter| self.unsubscribe(filter)).collect();
                self.work.push(Work::Unsubscribe { stored: self.subscriptions_to_store(), receipt, results });
                ControlFlow::Continue(())
            }
            Event::Disconnected { publish_will, session_expiry_interval, .. } => {
                if !publish_will {
                    self.admitted.will = None;
                }
                if let Some(seconds) = session_expiry_interval {
                    self.persistence.expire_after(seconds);
                }
                ControlFlow::Break(Ending::Goodbye)
            }
            Event::Closed(reason) => ControlFlow::Break(Ending::Violation(reason.to_string())),
            Event::Connect(_) => ControlFlow::Break(Ending::Violation("a second CONNECT".to_owned())),
        }
    }

    fn on_publish(&mut self, publish: &Publish, receipt: Option<Receipt>, received: Timestamp) -> ControlFlow<Ending> {
        let topic: &str = &publish.topic;
        match self.admitted.topics.request(topic) {
            Ok(DeviceRequest::Telemetry { bag }) => return self.on_telemetry(bag, publish, receipt, received),
            Ok(DeviceRequest::TwinGet { rid }) => self.work.push(Work::TwinGet { rid: rid.to_owned(), receipt }),
            Ok(DeviceRequest::ReportedPatch { rid, base_version }) => {
                let patch = publish.payload.clone();
                self.work.push(Work::ReportedPatch { rid: rid.to_owned(), base_version, patch, receipt });
            }
            Ok(DeviceRequest::MethodResponse { rid, status }) => {
                self.downlink.answer_call(rid, MethodAnswer { status, payload: publish.payload.clone() });
                self.acknowledge(receipt, ReasonCode::Success);
            }
            Err(reason) => {
                let topic = topic.chars().take(128).collect();
                return ControlFlow::Break(Ending::Topic { topic, reason });
            }
        }
        ControlFlow::Continue(())
    }

    /// On MQTT 5 a message that is not taken is answered by its PUBACK; otherwise there is no way
    /// to refuse it but to close.
    fn on_telemetry(&mut self, bag: &str, publish: &Publish, receipt: Option<Receipt>, received: Timestamp) -> ControlFlow<Ending> {
        let Err(refused) = self.uplink.admit(received, bag, publish, receipt) else {
            self.hub.metrics.message_received(Protocol::Mqtt, publish.payload.len());
            return ControlFlow::Continue(());
        };
        self.hub.metrics.message_refused("invalid_message");
        tracing::warn!(identity = %self.identity(), reason = %refused, "refused a message");
        match (receipt, self.link.session.version()) {
            (Some(_), Some(Version::V5)) => {
                self.acknowledge(receipt, reason::message_not_acknowledged(&refused));
                ControlFlow::Continue(())
            }
            (Some(_) | None, _) => ControlFlow::Break(Ending::Message(refused)),
        }
    }

    fn on_acknowledged(&mut self, tag: u64, reason: ReasonCode) -> ControlFlow<Ending> {
        if let Some(lock) = self.downlink.acknowledged(tag) {
            self.hub.metrics.command_delivered();
            self.work.push(if reason.is_error() { Work::Reject { lock } } else { Work::Complete { lock } });
        }
        self.pump_commands();
        ControlFlow::Continue(())
    }

    fn subscribe(&mut self, filter: &SubscribeFilter) -> Result<QoS, ReasonCode> {
        self.feeds.subscribe(&filter.filter, filter.qos).map_err(|refused| {
            tracing::info!(identity = %self.identity(), filter = %filter.filter.escape_debug(), ?refused, "refused a subscription");
            reason::filter_refused(refused)
        })
    }

    fn unsubscribe(&mut self, filter: &Text) -> ReasonCode {
        if self.feeds.unsubscribe(filter) { ReasonCode::Success } else { ReasonCode::NoSubscriptionExisted }
    }

    fn subscriptions_to_store(&self) -> Option<Vec<StoredSubscription>> {
        let stored = |(filter, qos): (&str, QoS)| StoredSubscription { filter: filter.to_owned(), qos: qos as u8 };
        self.persistence.survives.then(|| self.feeds.granted().map(stored).collect())
    }

    fn acknowledge(&mut self, receipt: Option<Receipt>, reason: ReasonCode) {
        if let Some(receipt) = receipt {
            self.link.session.acknowledge(receipt, reason);
        }
    }

    fn on_stored(&mut self, stored: Result<(), StageError>) -> ControlFlow<Ending> {
        match stored.and_then(|()| self.uplink.acknowledge(&mut self.link.session)) {
            Ok(acknowledged) => {
                self.hub.metrics.message_acknowledged(Protocol::Mqtt, u64::from(acknowledged.count));
                if let Some(received) = acknowledged.oldest {
                    self.hub.metrics.acknowledgement_took(Protocol::Mqtt, received.elapsed());
                }
                ControlFlow::Continue(())
            }
            Err(failed) => ControlFlow::Break(Ending::Store(failed.to_string())),
        }
    }

    fn on_done(&mut self, done: Done) -> ControlFlow<Ending> {
        match done {
            Done::TwinGet { rid, receipt, view } => {
                self.hub.metrics.twin_operation("get");
                match view {
                    Ok(view) => self.respond(dialect::twin_response(200, &rid, None), view.body),
                    Err(error) => self.respond_failure(&rid, error.into()),
                }
                self.acknowledge(receipt, ReasonCode::Success);
            }
            Done::ReportedPatch { rid, receipt, version } => {
                self.hub.metrics.twin_operation("reported");
                match version {
                    Ok(version) => self.respond(dialect::twin_response(204, &rid, Some(version)), bytes::Bytes::new()),
                    Err(error) => self.respond_failure(&rid, error.into()),
                }
                self.acknowledge(receipt, ReasonCode::Success);
            }
            Done::Subscribed { receipt, results, stored } => {
                stored_or_end(stored)?;
                self.link.session.complete_subscribe(receipt, &results);
                self.after_subscriptions_changed();
            }
            Done::Unsubscribed { receipt, results, stored } => {
                stored_or_end(stored)?;
                self.link.session.complete_unsubscribe(receipt, &results);
                self.after_subscriptions_changed();
            }
            Done::Commands { asked, commands } => {
                let missed = self.downlink.commands_arrived();
                let commands = stored_or_end(commands)?;
                let may_be_more = missed || commands.len() == asked;
                for command in commands {
                    if let Some(sent) = self.downlink.send_command(command, &self.feeds, &mut self.link.session) {
                        self.after_sending(sent);
                    }
                }
                if may_be_more {
                    self.pump_commands();
                }
            }
            // A lost lock means somebody else settled the command: purged, expired or deleted.
            Done::Settled(Ok(()) | Err(twins::SettleError::LockLost(_))) => {}
            Done::Settled(Err(twins::SettleError::Store(error))) => return ControlFlow::Break(Ending::Store(error.to_string())),
            Done::Desired(desired) => {
                let desired = stored_or_end(desired)?;
                self.downlink.send_desired(&self.feeds, &mut self.link.session, &desired);
            }
        }
        ControlFlow::Continue(())
    }

    fn respond(&mut self, topic: String, body: bytes::Bytes) {
        Downlink::send_twin_response(&self.feeds, &mut self.link.session, topic, body);
    }

    fn respond_failure(&mut self, rid: &str, failure: TwinFailure) {
        let tracking_id = format!("{:032x}", rand::random::<u128>());
        tracing::warn!(identity = %self.identity(), tracking_id, status = failure.status(), reason = failure.message(), "refused a twin request");
        let body = failure.body(tracking_id, self.hub.clock.now());
        self.respond(dialect::twin_response(failure.status(), rid, None), body);
    }

    fn after_subscriptions_changed(&mut self) {
        self.seat.set_takes_methods(self.feeds.qos(Feed::Methods).is_some());
        self.pump_commands();
    }

    /// Sends what was held back, then asks the store for more.
    fn pump_commands(&mut self) {
        if self.is_ending {
            return;
        }
        for sent in self.downlink.send_held(&self.feeds, &mut self.link.session) {
            self.after_sending(sent);
        }
        if let Some(limit) = self.downlink.commands_wanted(&self.feeds, &self.link.session) {
            self.work.push(Work::LockCommands { limit });
        }
    }

    fn after_sending(&mut self, sent: Sent) {
        match sent {
            Sent::Complete(lock) => {
                self.hub.metrics.command_delivered();
                self.work.push(Work::Complete { lock });
            }
            Sent::Impossible(lock) => self.work.push(Work::Reject { lock }),
            Sent::UnderWay => {}
        }
    }

    fn on_signal(&mut self, signal: Signal) -> ControlFlow<Ending> {
        // What it is sent counts too: nobody acknowledges QoS 0.
        self.note_activity(self.hub.clock.now());
        match signal {
            Signal::Call(call) => self.downlink.send_call(*call, &self.feeds, &mut self.link.session),
            Signal::Desired(change) => self.downlink.send_desired(&self.feeds, &mut self.link.session, &change),
        }
        ControlFlow::Continue(())
    }

    fn on_facts(&mut self, facts: Facts) -> ControlFlow<Ending> {
        if facts.taken_over() {
            return ControlFlow::Break(Ending::TakenOver);
        }
        if facts.stopping() {
            return ControlFlow::Break(Ending::Stopping);
        }
        if facts.grants_changed() && !self.admitted.grant.is_current(self.hub.clock.now()) {
            return ControlFlow::Break(Ending::GrantEnded);
        }
        if facts.commands_wait() {
            self.downlink.commands_wait();
            self.pump_commands();
        }
        if facts.desired_lost() {
            self.work.push(Work::ReadDesired);
        }
        ControlFlow::Continue(())
    }

    /// Says goodbye, gives back what the connection held, and leaves its seat to the next.
    async fn close(mut self, ending: Ending) {
        let identity = self.identity().clone();
        self.is_ending = true;
        self.finish(&ending).await;
        if let Some(code) = ending.reason_code() {
            self.link.session.disconnect(code, None);
        }
        let in_flight = self.link.session.take_in_flight();
        if self.persistence.survives {
            let now = self.hub.clock.now();
            let expires = self.persistence.lifetime.map(|lifetime| now.saturating_add(lifetime));
            self.hub.sessions.park(&identity, Parked { in_flight, expires }, now);
        } else if self.link.session.version() == Some(Version::V5)
            && let Err(error) = self.hub.twins.clear_subscriptions(&identity).await
        {
            tracing::warn!(%identity, %error, "the subscriptions of an ended session stay stored");
        }
        self.hub.twins.release_locks(&identity, self.owner).await;
        // A successor that did not wait for this connection found them locked.
        self.hub.presence.commands_wait(&identity);
        self.hub.twins.note_disconnected(&identity, self.hub.clock.now());
        self.hub.metrics.connection_closed(Protocol::Mqtt);
        tracing::info!(%identity, connection = self.seat.id.0, reason = %ending, "disconnected");
        drop(self.seat);
        if let Some(will) = self.admitted.will.take() {
            self.hub.drain.spawn(will.publish(self.hub.clone(), self.admitted));
        }
        self.link.farewell().await;
    }

    /// Carries out what the client asked for before the end: its messages are stored and its
    /// operations done. While stopping, they are acknowledged too.
    async fn finish(&mut self, ending: &Ending) {
        if matches!(ending, Ending::Store(_)) {
            return;
        }
        let acknowledges = *ending == Ending::Stopping;
        let finishing = async {
            while !(self.work.is_idle() && if acknowledges { self.uplink.is_idle() } else { self.uplink.has_room() }) {
                let flow = match poll_fn(|cx| self.poll_rest(cx)).await {
                    Rest::Stored(stored) => self.on_stored(stored),
                    Rest::Done(done) => self.on_done(done),
                };
                if flow.is_break() {
                    return;
                }
            }
        };
        // What is not done by then was not acknowledged either: the client sends it again.
        let _ = tokio::time::timeout(FINISH_TIMEOUT, finishing).await;
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Rest> {
        if let Poll::Ready(stored) = self.uplink.poll(cx) {
            return Poll::Ready(Rest::Stored(stored));
        }
        self.work.poll(cx).map(Rest::Done)
    }
}

/// A store that failed leaves the client without an answer, never with a wrong one.
fn stored_or_end<T, E: std::error::Error>(stored: Result<T, E>) -> ControlFlow<Ending, T> {
    match stored {
        Ok(value) => ControlFlow::Continue(value),
        Err(error) => ControlFlow::Break(Ending::Store(error.to_string())),
    }
}
