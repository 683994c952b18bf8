//! Letting a peer in: by SASL PLAIN, or by an operator's pinned certificate.

use std::sync::Arc;

use bytes::Bytes;
use certs::judge::Evidence;
use kafka_proto::sasl::{self, InvalidConnectionString, InvalidPlain};
use kafka_proto::wire::{self, Api, Incoming, InvalidRequest, RequestHeader, STRANGER_FRAME_BYTES_MAX, Unwritable};
use kafka_protocol::messages::{
    ApiVersionsRequest, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use model::limits::HANDSHAKE_TIMEOUT;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use super::budget::{Lane, Share};
use super::connection::{IDLE_TIMEOUT, Received};
use super::frames::{FrameError, FrameReader, FrameWriter};
use super::session::{Advertised, Session};
use super::{connection, reason};
use crate::event_hubs::EventHubGrant;
use crate::hub::Hub;
use crate::listener::Peer;

/// The mechanism that is offered.
const PLAIN: &str = "PLAIN";

/// A peer that was let in.
pub(super) struct Admitted {
    pub(super) session: Session,
    /// A request it has sent already, which the certificate alone was enough for.
    pub(super) first: Option<Received>,
}

/// Why a peer was not let in.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    /// Nothing more came of it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It does not speak the protocol.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// An answer of ours is wrong.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// It took too long.
    #[error("it had not authenticated within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut,
    /// Its certificate let it in, and it wanted nothing.
    #[error("nothing was asked for for {} s", IDLE_TIMEOUT.as_secs())]
    Idle,
    /// It wanted something before it had authenticated.
    #[error("{} was asked for without authentication", .0.name())]
    Unauthenticated(Api),
    /// SASL handshake of version 0, which is followed by messages without a frame.
    #[error("SASL handshake version 0 is not served; version 1 is")]
    HandshakeVersion,
    /// Another mechanism.
    #[error("the SASL mechanism {0:?} is not offered; PLAIN is")]
    Mechanism(String),
    /// Authentication without a handshake before it.
    #[error("SASL authentication without a handshake")]
    WithoutHandshake,
    /// What it sent is no PLAIN message.
    #[error(transparent)]
    Plain(#[from] InvalidPlain),
    /// Its password is no connection string.
    #[error(transparent)]
    ConnectionString(#[from] InvalidConnectionString),
    /// The policy does not exist, or has another key, or no right on event hubs.
    #[error("the policy {policy:?} does not exist, has another key or gives no right on event hubs")]
    Policy {
        /// The name it gave.
        policy: String,
    },
}

impl Refusal {
    /// A stable name for logs and metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Frame(_) => "broken",
            Self::Request(_) | Self::Unwritable(_) => "malformed",
            Self::TimedOut => "timed_out",
            Self::Idle => "idle",
            Self::Unauthenticated(_) => "no_evidence",
            Self::HandshakeVersion | Self::WithoutHandshake => "sasl_state",
            Self::Mechanism(_) => "sasl_mechanism",
            Self::Plain(_) | Self::ConnectionString(_) => "sasl_malformed",
            Self::Policy { .. } => "sasl_policy",
        }
    }

    /// Whether a peer that does it again and again is to be turned away.
    pub(super) fn is_costly(&self) -> bool {
        !matches!(self, Self::Frame(_) | Self::Unwritable(_) | Self::Idle)
    }

    /// Whether it is nothing but a peer that went, or never came to anything.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self, Self::Frame(FrameError::HungUp) | Self::Idle)
    }
}

/// Converses with a peer until it has proved who it is.
pub(super) async fn admit<R, W>(
    hub: &Arc<Hub>,
    peer: &Peer,
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
) -> Result<Admitted, Refusal>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let operator = operator(hub, peer);
    // Who is let in already may ask which APIs there are, and for anything else much later.
    let (patience, late) = if operator.is_some() { (IDLE_TIMEOUT, Refusal::Idle) } else { (HANDSHAKE_TIMEOUT, Refusal::TimedOut) };
    let conversation = Conversation { hub, peer, writer, chosen: false };
    tokio::time::timeout(patience, conversation.run(reader, operator)).await.unwrap_or(Err(late))
}

/// What a pinned certificate gives. Any other certificate proves nothing here, and harms nothing.
fn operator(hub: &Hub, peer: &Peer) -> Option<EventHubGrant> {
    let chain = peer.chain.as_ref()?;
    let judged = hub.judge.admit_operator(Evidence::Certificate(chain), hub.name(), hub.clock.now());
    hub.event_hubs.operator_access(judged.ok()?, hub.clock.clone())
}

struct Conversation<'a, W> {
    hub: &'a Arc<Hub>,
    peer: &'a Peer,
    writer: &'a mut FrameWriter<W>,
    /// The handshake chose PLAIN.
    chosen: bool,
}

impl<W: AsyncWrite + Unpin> Conversation<'_, W> {
    async fn run<R>(mut self, reader: &mut FrameReader<R>, operator: Option<EventHubGrant>) -> Result<Admitted, Refusal>
    where
        R: AsyncRead + Unpin,
    {
        loop {
            let bytes_max = if operator.is_some() { connection::FRAME_BYTES_MAX } else { STRANGER_FRAME_BYTES_MAX };
            let head = reader.head(bytes_max).await?;
            // A stranger's frame is less than its TLS session takes, and waits for nobody: silent
            // strangers keep no one from logging in.
            let lane = Lane::of(head.api_key);
            let share = if operator.is_some() { self.hub.kafka.request(lane, head.length).await } else { Share::none() };
            let incoming = wire::request(reader.body(head.length).await?)?;
            let (header, body) = match incoming {
                Incoming::UnknownApiVersions { correlation_id } => {
                    self.writer.send(vec![wire::unknown_api_versions(correlation_id)?]).await?;
                    continue;
                }
                Incoming::Request { header, body } if header.api.is_open_to_strangers() => (header, body),
                Incoming::Request { ref header, .. } | Incoming::OldProduce { ref header, .. } => {
                    let Some(grant) = operator else { return Err(Refusal::Unauthenticated(header.api)) };
                    return Ok(Admitted { session: self.session(grant), first: Some(Received { incoming, head, share }) });
                }
            };
            if let Some(grant) = self.answer(&header, &body).await? {
                return Ok(Admitted { session: self.session(grant), first: None });
            }
        }
    }

    /// Answers one request of a stranger; gives what it proved.
    async fn answer(&mut self, header: &RequestHeader, body: &Bytes) -> Result<Option<EventHubGrant>, Refusal> {
        if header.api == Api::SaslAuthenticate {
            return self.authenticate(header, body).await.map(Some);
        }
        if header.api == Api::SaslHandshake {
            self.handshake(header, body).await?;
        } else {
            wire::decode::<ApiVersionsRequest>(header, body)?;
            self.send(header, &wire::api_versions()).await?;
        }
        Ok(None)
    }

    async fn handshake(&mut self, header: &RequestHeader, body: &Bytes) -> Result<(), Refusal> {
        let request: SaslHandshakeRequest = wire::decode(header, body)?;
        let refusal = if header.version == 0 {
            Some(Refusal::HandshakeVersion)
        } else if request.mechanism.as_str() != PLAIN {
            Some(Refusal::Mechanism(request.mechanism.chars().take(64).collect()))
        } else {
            None
        };
        let code = refusal.as_ref().map_or(reason::NONE, reason::sasl);
        let response = SaslHandshakeResponse::default().with_error_code(code).with_mechanisms(vec![StrBytes::from_static_str(PLAIN)]);
        self.send(header, &response).await?;
        self.chosen = true;
        refusal.map_or(Ok(()), Err)
    }

    async fn authenticate(&mut self, header: &RequestHeader, body: &Bytes) -> Result<EventHubGrant, Refusal> {
        let judged = self.judge(&wire::decode::<SaslAuthenticateRequest>(header, body)?.auth_bytes);
        match judged {
            Ok(grant) => {
                self.send(header, &SaslAuthenticateResponse::default()).await?;
                Ok(grant)
            }
            Err(refusal) => {
                let message = StrBytes::from_static_str(reason::sasl_message(&refusal));
                let response =
                    SaslAuthenticateResponse::default().with_error_code(reason::sasl(&refusal)).with_error_message(Some(message));
                self.send(header, &response).await?;
                Err(refusal)
            }
        }
    }

    fn judge(&self, message: &[u8]) -> Result<EventHubGrant, Refusal> {
        if !self.chosen {
            return Err(Refusal::WithoutHandshake);
        }
        let credentials = sasl::plain(message)?.credentials()?;
        let granted = self.hub.event_hubs.access(credentials.policy, credentials.key, credentials.entity_path);
        granted.ok_or_else(|| Refusal::Policy { policy: credentials.policy.chars().take(64).collect() })
    }

    async fn send<B: Encodable + HeaderVersion>(&mut self, header: &RequestHeader, body: &B) -> Result<(), Refusal> {
        Ok(self.writer.send(vec![wire::response(header, body)?]).await?)
    }

    fn session(&self, grant: EventHubGrant) -> Session {
        let advertised = Advertised::to(self.hub, self.peer);
        tracing::debug!(peer = %self.peer.address, policy = grant.name, %advertised, "admitted a Kafka connection");
        Session::new(Arc::clone(self.hub), self.peer.address, grant, advertised)
    }
}
