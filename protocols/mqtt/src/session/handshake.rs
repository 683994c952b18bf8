//! CONNECT and the verdict on it.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::event::{Accept, CloseReason, Event};
use super::timer::Timer;
use super::violation::Violation;
use super::window::Window;
use super::{Connection, Phase};
use crate::Version;
use crate::wire::{
    self, ConnAck, ConnAckCode, ConnAckProperties, Connect, ConnectReturnCode, Malformed, Packet, PacketType, QoS, ReasonCode, Sender, Text,
};

/// What a client's CONNECT settles for the whole connection.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) version: Version,
    /// Silence after which the client is gone.
    pub(super) silence: Duration,
    /// The largest packet that the client takes.
    pub(super) packet_bytes_max: usize,
    /// Seconds that the client's session outlives the connection, as it asked.
    pub(super) session_expiry_interval: u32,
    receive_maximum: usize,
    keep_alive_seconds: u16,
}

impl Terms {
    fn new(connect: &Connect, silence_max: Duration) -> Self {
        let properties = &connect.properties;
        Self {
            version: connect.version,
            silence: silence(connect.keep_alive_seconds, silence_max),
            packet_bytes_max: properties.maximum_packet_size.map_or(usize::MAX, |bytes| bytes as usize),
            session_expiry_interval: properties.session_expiry_interval.unwrap_or(0),
            receive_maximum: properties.receive_maximum.unwrap_or(u16::MAX).into(),
            keep_alive_seconds: connect.keep_alive_seconds,
        }
    }
}

/// One and a half times the keep-alive (MQTT-3.1.2-24), within what there may be.
fn silence(keep_alive_seconds: u16, silence_max: Duration) -> Duration {
    match keep_alive_seconds {
        0 => silence_max,
        seconds => (Duration::from_secs(seconds.into()) * 3 / 2).min(silence_max),
    }
}

/// The longest keep-alive whose silence there may be.
fn keep_alive_max(silence_max: Duration) -> u16 {
    u16::try_from((silence_max * 2 / 3).as_secs()).unwrap_or(u16::MAX)
}

impl Connection {
    /// Accepts the client and sends what its session has in flight. Does nothing unless an
    /// [`Event::Connect`] waits for its verdict.
    pub fn accept(&mut self, accept: Accept, now: Instant) {
        let Phase::AwaitingVerdict(terms) = &self.phase else { return };
        let mut terms = terms.clone();
        let server_keep_alive = self.server_keep_alive(&terms, accept.server_keep_alive);
        if let (Version::V5, Some(seconds)) = (terms.version, server_keep_alive) {
            terms.silence = silence(seconds, self.config.silence_max);
        }
        let session_present = accept.session_present;
        let in_flight = if session_present { accept.in_flight } else { Default::default() };
        let properties = ConnAckProperties {
            session_expiry_interval: accept.session_expiry_interval,
            assigned_client_id: accept.assigned_client_id,
            reason_string: accept.reason_string,
            user_properties: accept.user_properties,
            server_keep_alive,
            ..self.offer()
        };
        self.send_connack(session_present, ConnectReturnCode::Accepted, ReasonCode::Success, properties);
        self.window = Window::resume(terms.receive_maximum.min(self.config.in_flight()), in_flight);
        self.phase = Phase::Connected(terms);
        self.timers.stop(Timer::Connect);
        self.note_heard(now);
        self.resend();
    }

    /// Refuses the client with a CONNACK of its version, and closes. In version 5, `text` is for
    /// people to read. Does nothing unless an [`Event::Connect`] waits for its verdict. No event
    /// follows.
    pub fn refuse(&mut self, code: ConnectReturnCode, reason: ReasonCode, text: Option<&str>) {
        if !matches!(self.phase, Phase::AwaitingVerdict(_)) {
            return;
        }
        let code = if code == ConnectReturnCode::Accepted { ConnectReturnCode::ServerUnavailable } else { code };
        let refusal = reason.is_error() && reason.is_allowed_in(PacketType::ConnAck);
        let reason = if refusal { reason } else { ReasonCode::UnspecifiedError };
        let reason_string = text.and_then(|text| Text::try_from(text).ok());
        self.send_connack(false, code, reason, ConnAckProperties { reason_string, ..Default::default() });
        self.enter_closed();
    }

    /// Restarts the keep-alive.
    pub(super) fn note_heard(&mut self, now: Instant) {
        if let Phase::Connected(terms) = &self.phase {
            self.timers.set(Timer::KeepAlive, now + terms.silence);
        }
    }

    /// Decodes the next packet. Before CONNECT nothing else is waited for, and what is wrong with a
    /// CONNECT is answered in the version that it announces, if it has an answer.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Packet>, Violation> {
        if let Phase::Connected(terms) = &self.phase {
            return Ok(wire::decode(input, terms.version, Sender::Client, &self.config.limits)?);
        }
        if input.first().is_some_and(|first| first >> 4 != PacketType::Connect as u8) {
            return Err(Violation::FirstPacket);
        }
        let level = wire::announced_level(input);
        wire::decode(input, Version::V311, Sender::Client, &self.config.limits).map_err(|malformed| {
            self.answer_malformed_connect(level, malformed);
            malformed.into()
        })
    }

    /// 3.1.1 has an answer to an unknown level (MQTT-3.1.2-2), version 5 to everything.
    fn answer_malformed_connect(&mut self, level: Option<u8>, malformed: Malformed) {
        let answer = match (malformed, level) {
            (Malformed::UnsupportedLevel { level: 0..=3 }, _) => Some(Version::V311),
            (Malformed::UnsupportedLevel { .. }, _) => Some(Version::V5),
            (_, level) => (level == Some(Version::V5.level())).then_some(Version::V5),
        };
        let Some(version) = answer else { return };
        let code = match version {
            Version::V311 => ConnAckCode::Return(ConnectReturnCode::UnacceptableProtocolVersion),
            Version::V5 => ConnAckCode::Reason(connack_reason(malformed.reason())),
        };
        let connack = ConnAck { session_present: false, code, properties: ConnAckProperties::default() };
        // A CONNACK without properties cannot fail to be written.
        let _written = wire::encode(&Packet::ConnAck(Box::new(connack)), version, &mut self.output);
    }

    /// Checks what a CONNECT asks for and hands it to the application.
    pub(super) fn handle_connect(&mut self, connect: Box<Connect>) {
        self.phase = Phase::AwaitingVerdict(Terms::new(&connect, self.config.silence_max));
        match self.check_connect(&connect) {
            Ok(()) => self.events.push_back(Event::Connect(connect)),
            Err(violation) => self.refuse_violation(violation),
        }
    }

    fn check_connect(&self, connect: &Connect) -> Result<(), Violation> {
        if connect.version == Version::V311 {
            // The application assigns an id to a client without one, but to resume a session it must
            // have had one before.
            let resumes_nothing = connect.client_id.is_empty() && !connect.clean_start;
            return if resumes_nothing { Err(Violation::ClientIdMissing) } else { Ok(()) };
        }
        if connect.properties.authentication_method.is_some() {
            return Err(Violation::AuthenticationMethod);
        }
        match &connect.will {
            Some(will) if will.qos > self.config.maximum_qos => Err(Violation::QosUnavailable),
            Some(will) if will.retain && !self.config.retain_available => Err(Violation::RetainUnavailable),
            Some(_) | None => Ok(()),
        }
    }

    fn refuse_violation(&mut self, violation: Violation) {
        let reason = connack_reason(violation.reason());
        self.send_connack(false, ConnectReturnCode::IdentifierRejected, reason, ConnAckProperties::default());
        self.close(None, CloseReason::Violation(violation));
    }

    fn send_connack(&mut self, session_present: bool, code: ConnectReturnCode, reason: ReasonCode, properties: ConnAckProperties) {
        let code = match self.version() {
            Some(Version::V5) => ConnAckCode::Reason(reason),
            Some(Version::V311) | None => ConnAckCode::Return(code),
        };
        let mut connack = ConnAck { session_present, code, properties };
        if self.send(&Packet::ConnAck(Box::new(connack.clone()))) {
            return;
        }
        // Too large for the client: what is for people goes first (MQTT5-3.2.2-19, -20).
        connack.properties.reason_string = None;
        connack.properties.user_properties.clear();
        self.send(&Packet::ConnAck(Box::new(connack)));
    }

    /// What a version 5 client is told of the server.
    fn offer(&self) -> ConnAckProperties {
        let config = &self.config;
        ConnAckProperties {
            receive_maximum: Some(config.in_flight_max.max(1)),
            maximum_qos: (config.maximum_qos != QoS::ExactlyOnce).then_some(config.maximum_qos),
            retain_available: Some(config.retain_available),
            maximum_packet_size: u32::try_from(config.limits.packet_bytes_max).ok().filter(|bytes| *bytes > 0),
            topic_alias_maximum: Some(config.topic_alias_maximum),
            wildcard_subscription_available: Some(config.wildcard_subscription_available),
            subscription_id_available: Some(config.subscription_id_available),
            shared_subscription_available: Some(config.shared_subscription_available),
            ..Default::default()
        }
    }

    /// The keep-alive to tell a client: what the application wants, or the longest there may be if
    /// the client asked for a longer one.
    fn server_keep_alive(&self, terms: &Terms, wanted: Option<u16>) -> Option<u16> {
        let maximum = keep_alive_max(self.config.silence_max);
        let effective = wanted.unwrap_or(terms.keep_alive_seconds);
        if effective == 0 || effective > maximum { Some(maximum) } else { wanted }
    }
}

fn connack_reason(reason: ReasonCode) -> ReasonCode {
    if reason.is_allowed_in(PacketType::ConnAck) { reason } else { ReasonCode::ProtocolError }
}
