//! The server's side of one connection, as a machine without IO.
//!
//! ```text
//!                 CONNECT                accept
//! awaiting CONNECT ─────▶ awaiting the ─────────▶ connected
//!        │                   verdict                  │
//!        │ deadline,            │ refuse,             │ DISCONNECT, violation,
//!        │ violation            │ deadline            │ silence, disconnect
//!        └──────────────────────┴──────────┬──────────┘
//!                                          ▼
//!                                        closed
//! ```
//!
//! The shell around it reads into a buffer and calls [`Connection::handle_input`], calls
//! [`Connection::handle_timeout`] when [`Connection::next_timeout`] has come, then drains
//! [`Connection::poll_event`], transmits [`Connection::output`] and, once
//! [`Connection::is_closed`], closes the socket after what is left of the output. While
//! [`Connection::wants_input`] is false it does not read; after each answer it calls
//! `handle_input` again with what its buffer still holds, because input is not consumed meanwhile.
//!
//! PUBACKs leave in the order in which the messages came (MQTT-4.6.0-2), whatever the order of the
//! calls to [`Connection::acknowledge`]. What waits for the client's PUBACK outlives the connection
//! as [`InFlight`] and is sent again, marked as a duplicate, first thing on the session's next one.
//!
//! Absent: QoS 2, retained messages and shared subscriptions. They belong to a generic namespace
//! for publish and subscribe, and [`Config`] has their switches; until one is built the session
//! announces to version 5 that they are unavailable and ends a connection that uses them anyway.

mod aliases;
mod arrivals;
mod config;
mod event;
mod handshake;
mod identifiers;
mod incoming;
mod requests;
mod timer;
mod violation;
mod window;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::BytesMut;

pub use arrivals::Receipt;
pub use config::Config;
pub use event::{Accept, CloseReason, Event, Outbound, Unsent};
pub use requests::{SubscribeReceipt, UnsubscribeReceipt};
pub use violation::Violation;
pub use window::InFlight;

use crate::Version;
use crate::wire::{self, Ack, Disconnect, Packet, PacketType, QoS, ReasonCode, SubAck, Text, UnsubAck};
use aliases::Aliases;
use arrivals::Arrivals;
use handshake::Terms;
use requests::Requests;
use timer::{Timer, Timers};
use window::Window;

/// One connection of a client to a server.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    phase: Phase,
    timers: Timers,
    arrivals: Arrivals,
    aliases: Aliases,
    requests: Requests,
    window: Window,
    events: VecDeque<Event>,
    output: BytesMut,
}

#[derive(Debug)]
enum Phase {
    AwaitingConnect,
    AwaitingVerdict(Terms),
    Connected(Terms),
    Closed(Option<Version>),
}

impl Connection {
    /// A connection just accepted; the deadline for its CONNECT runs from `now`.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Connect, now + config.connect_timeout);
        Self {
            aliases: Aliases::new(config.topic_alias_maximum),
            config,
            phase: Phase::AwaitingConnect,
            timers,
            arrivals: Arrivals::default(),
            requests: Requests::default(),
            window: Window::default(),
            events: VecDeque::new(),
            output: BytesMut::new(),
        }
    }

    /// Consumes complete packets off the front of `input` while [`Connection::wants_input`].
    pub fn handle_input(&mut self, input: &mut BytesMut, now: Instant) {
        while self.wants_input() {
            match self.decode(input) {
                Ok(Some(packet)) => self.handle_packet(packet, now),
                Ok(None) => break,
                Err(violation) => self.violated(violation),
            }
        }
    }

    /// Acts on the deadlines that have passed. Call [`Connection::handle_input`] first with bytes
    /// that have arrived.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_expired(now) {
            match timer {
                Timer::Connect => self.close(None, CloseReason::ConnectTimeout),
                // The client cannot be heard while nobody listens.
                Timer::KeepAlive if !self.wants_input() => self.note_heard(now),
                Timer::KeepAlive => self.close(Some(ReasonCode::KeepAliveTimeout), CloseReason::KeepAliveLapsed),
            }
        }
    }

    /// When [`Connection::handle_timeout`] wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next thing that happened, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes to transmit; take them off the front. Messages that wait to be sent again are added as
    /// room allows, so ask again after a write.
    pub fn output(&mut self) -> &mut BytesMut {
        self.resend();
        &mut self.output
    }

    /// Whether to read from the client. False before the verdict, after the end, while too much
    /// output or too many subscribe requests wait and, in 3.1.1, while as many QoS 1 messages wait
    /// for [`Connection::acknowledge`] as may; a version 5 client was told that number and is held
    /// to it.
    pub fn wants_input(&self) -> bool {
        match &self.phase {
            Phase::AwaitingConnect => true,
            Phase::AwaitingVerdict(_) | Phase::Closed(_) => false,
            Phase::Connected(terms) => {
                let window_open = terms.version == Version::V5 || self.arrivals.len() < self.config.in_flight();
                window_open && !self.requests.is_full() && self.output.len() < self.config.output_bytes_max
            }
        }
    }

    /// Whether the connection has ended. Output may be left.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// The version, once CONNECT has told it.
    pub fn version(&self) -> Option<Version> {
        match &self.phase {
            Phase::AwaitingConnect => None,
            Phase::AwaitingVerdict(terms) | Phase::Connected(terms) => Some(terms.version),
            Phase::Closed(version) => *version,
        }
    }

    /// Releases a QoS 1 message's PUBACK. It leaves after those of all earlier messages.
    ///
    /// 3.1.1 has no field for a `reason` other than success; a refusal there is a
    /// [`Connection::disconnect`]. A version 5 reason that PUBACK does not have is sent as
    /// [`ReasonCode::UnspecifiedError`]. Receipts of other connections or given before do nothing.
    pub fn acknowledge(&mut self, receipt: Receipt, reason: ReasonCode) {
        let Phase::Connected(terms) = &self.phase else { return };
        let version = terms.version;
        let reason = if reason.is_allowed_in(PacketType::PubAck) { reason } else { ReasonCode::UnspecifiedError };
        self.arrivals.acknowledge(receipt, reason);
        while let Some((packet_id, reason)) = self.arrivals.pop_released() {
            // Four or five bytes cannot fail to be written.
            let _written = Ack::new(packet_id, reason).encode(PacketType::PubAck, version, &mut self.output);
        }
    }

    /// Sends SUBACK: for each filter in its order the granted QoS, or why not. Missing results are
    /// failures, surplus ones are ignored.
    pub fn complete_subscribe(&mut self, receipt: SubscribeReceipt, results: &[Result<QoS, ReasonCode>]) {
        let Some(request) = self.requests.take(receipt.0) else { return };
        let results = (0..request.filters)
            .map(|index| results.get(index).copied().unwrap_or(Err(ReasonCode::UnspecifiedError)))
            .map(|result| result.map_err(|reason| subscribe_failure(reason, PacketType::SubAck)))
            .collect();
        let properties = wire::AckProperties::default();
        self.send(&Packet::SubAck(SubAck { packet_id: request.packet_id, results, properties }));
    }

    /// Sends UNSUBACK: for each filter in its order success, that there was no such subscription,
    /// or why not. Missing results are failures, surplus ones are ignored.
    pub fn complete_unsubscribe(&mut self, receipt: UnsubscribeReceipt, results: &[ReasonCode]) {
        let Some(request) = self.requests.take(receipt.0) else { return };
        let reasons = (0..request.filters)
            .map(|index| results.get(index).copied().unwrap_or(ReasonCode::UnspecifiedError))
            .map(|reason| if reason.is_error() { subscribe_failure(reason, PacketType::UnsubAck) } else { reason })
            .collect();
        let properties = wire::AckProperties::default();
        self.send(&Packet::UnsubAck(UnsubAck { packet_id: request.packet_id, reasons, properties }));
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`Unsent`]: it was not sent and is not kept.
    pub fn publish(&mut self, message: Outbound) -> Result<(), Unsent> {
        let Phase::Connected(terms) = &self.phase else { return Err(Unsent::NotConnected) };
        if message.qos > self.config.maximum_qos || message.qos == QoS::ExactlyOnce {
            return Err(Unsent::QosUnavailable);
        }
        if self.output.len() >= self.config.output_bytes_max {
            return Err(Unsent::OutputFull);
        }
        self.window.publish(message, terms, &mut self.output)
    }

    /// QoS 1 messages that [`Connection::publish`] would take now: the client's receive maximum less
    /// what it has not acknowledged. 0 while messages wait to be sent again.
    pub fn window(&self) -> usize {
        match &self.phase {
            Phase::Connected(_) => self.window.room(),
            Phase::AwaitingConnect | Phase::AwaitingVerdict(_) | Phase::Closed(_) => 0,
        }
    }

    /// Ends the connection. Version 5 tells the client why, with `text` for people to read; a reason
    /// that DISCONNECT does not have is sent as [`ReasonCode::UnspecifiedError`]. No event follows.
    pub fn disconnect(&mut self, reason: ReasonCode, text: Option<&str>) {
        if let Phase::Connected(_) = &self.phase {
            self.send_disconnect(reason, text);
        }
        self.enter_closed();
    }

    /// The QoS 1 messages that the client has not acknowledged, for the session's next connection.
    /// None are left here: nothing more is sent again.
    pub fn take_in_flight(&mut self) -> InFlight {
        self.window.take()
    }

    fn resend(&mut self) {
        let Phase::Connected(terms) = &self.phase else { return };
        while self.output.len() < self.config.output_bytes_max {
            match self.window.resend_next(terms, &mut self.output) {
                window::Resent::Nothing => break,
                window::Resent::Sent => {}
                window::Resent::Dropped { tag } => {
                    self.events.push_back(Event::Acknowledged { tag, reason: ReasonCode::PacketTooLarge });
                }
            }
        }
    }

    /// Writes a packet unless the client said that it takes none so large (MQTT5-3.1.2-24), in which
    /// case it counts as sent (MQTT5-3.1.2-25). False if it was not written.
    fn send(&mut self, packet: &Packet) -> bool {
        let (Phase::AwaitingVerdict(terms) | Phase::Connected(terms)) = &self.phase else { return false };
        let start = self.output.len();
        if wire::encode(packet, terms.version, &mut self.output).is_err() {
            return false;
        }
        let fits = self.output.len() - start <= terms.packet_bytes_max;
        if !fits {
            self.output.truncate(start);
        }
        fits
    }

    fn send_disconnect(&mut self, reason: ReasonCode, text: Option<&str>) {
        if self.version() != Some(Version::V5) {
            return;
        }
        let reason = if reason.is_allowed_in(PacketType::Disconnect) { reason } else { ReasonCode::UnspecifiedError };
        let mut disconnect = Disconnect::new(reason);
        disconnect.reason_string = text.and_then(|text| Text::try_from(text).ok());
        if !self.send(&Packet::Disconnect(disconnect)) {
            self.send(&Packet::Disconnect(Disconnect::new(reason)));
        }
    }

    /// Ends the connection for the client's fault: with an answer where the version and the phase
    /// have one.
    fn violated(&mut self, violation: Violation) {
        let reason = match &self.phase {
            Phase::Connected(_) => Some(violation.reason()),
            Phase::AwaitingConnect | Phase::AwaitingVerdict(_) | Phase::Closed(_) => None,
        };
        self.close(reason, CloseReason::Violation(violation));
    }

    fn close(&mut self, reason: Option<ReasonCode>, event: CloseReason) {
        if let Some(reason) = reason {
            self.send_disconnect(reason, None);
        }
        self.enter_closed();
        self.events.push_back(Event::Closed(event));
    }

    fn enter_closed(&mut self) {
        self.phase = Phase::Closed(self.version());
        self.timers = Timers::default();
    }
}

/// A failure as this packet can say it.
fn subscribe_failure(reason: ReasonCode, packet: PacketType) -> ReasonCode {
    if reason.is_error() && reason.is_allowed_in(packet) { reason } else { ReasonCode::UnspecifiedError }
}
