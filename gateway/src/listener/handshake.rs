//! The TLS handshake of one connection: within a deadline, within a limit, proving possession of
//! a key and nothing more.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certs::{ChainReject, PeerChain};
use rustls::server::Acceptor;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;

use super::failure_budget::FailureBudget;
use super::read_ahead::ReadAhead;
use super::standing::Standing;
use super::{Peer, SecureStream};

/// Handshakes of all listeners together.
#[derive(Debug, Clone)]
pub(crate) struct Handshakes {
    permits: Arc<Semaphore>,
    timeout: Duration,
}

/// Why a socket never became a connection.
#[derive(Debug, Error)]
pub(crate) enum HandshakeFailure {
    /// The peer was too slow.
    #[error("the TLS handshake was not over within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The peer went away, or did not speak TLS as it must.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The peer's certificates are not worth judging.
    #[error("the client's certificates are refused")]
    Chain(#[from] ChainReject),
}

impl HandshakeFailure {
    /// A stable name for logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => "timed_out",
            Self::Tls(error) if error.kind() == io::ErrorKind::UnexpectedEof => "closed_by_peer",
            Self::Tls(_) => "tls",
            Self::Chain(reject) => reject.name(),
        }
    }

    /// Whether it cost us more than a look: a peer that connects and goes again, as probes of
    /// load balancers do, did not.
    pub(crate) fn is_costly(&self) -> bool {
        match self {
            Self::Tls(error) => error.kind() != io::ErrorKind::UnexpectedEof,
            Self::TimedOut(_) | Self::Chain(_) => true,
        }
    }
}

impl Handshakes {
    /// At most `simultaneous` are computed at once, and each is over within `timeout`.
    pub(crate) fn new(simultaneous: usize, timeout: Duration) -> Self {
        Self { permits: Arc::new(Semaphore::new(simultaneous)), timeout }
    }

    /// Makes a TLS stream of `socket` and says who is at its other end.
    pub(crate) async fn accept(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        config: Arc<ServerConfig>,
        failures: &Arc<FailureBudget>,
    ) -> Result<(SecureStream, Peer), HandshakeFailure> {
        let local_port = socket.local_addr().map_err(HandshakeFailure::Tls)?.port();
        let handshake = self.within_limit(socket, config);
        let timed = tokio::time::timeout(self.timeout, handshake).await;
        let stream = timed.map_err(|_| HandshakeFailure::TimedOut(self.timeout))?.map_err(HandshakeFailure::Tls)?;
        let connection = stream.get_ref().1;
        let peer = Peer {
            address,
            chain: chain_of(connection)?,
            server_name: connection.server_name().map(str::to_owned),
            tls: if connection.protocol_version() == Some(ProtocolVersion::TLSv1_3) { "1.3" } else { "1.2" },
            local_port,
            failures: Arc::clone(failures),
            standing: Standing::default(),
        };
        Ok((stream, peer))
    }

    /// A permit is taken only once the client's first flight is here as a whole: those who
    /// connect and say nothing cannot use up the permits.
    async fn within_limit(&self, socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<SecureStream> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), ReadAhead::new(socket)).await?;
        let _permit = self.permits.acquire().await.map_err(io::Error::other)?;
        hello.into_stream(config).await.map(Box::new)
    }
}

fn chain_of(connection: &ServerConnection) -> Result<Option<PeerChain>, ChainReject> {
    connection.peer_certificates().filter(|chain| !chain.is_empty()).map(PeerChain::new).transpose()
}
