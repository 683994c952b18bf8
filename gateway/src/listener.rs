//! Sockets: all bound together ([`bind`]), accepted here, secured in the connection's own task
//! ([`handshake`]), handed to their protocol.

pub(crate) mod address;
pub(crate) mod bind;
mod failure_budget;
mod handshake;
mod read_ahead;
mod standing;
pub(crate) mod websocket;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use certs::PeerChain;
use futures_util::FutureExt as _;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

pub(crate) use self::failure_budget::FailureBudget;
pub(crate) use self::handshake::Handshakes;
use self::read_ahead::ReadAhead;
pub(crate) use self::standing::Standing;
use crate::drain::Drain;
use crate::observe::Metrics;

/// A socket after its TLS handshake. Boxed, as it is handed down through several futures and each
/// would keep room for all of it.
pub(crate) type SecureStream = Box<TlsStream<ReadAhead<TcpStream>>>;

/// What is known of a peer once its TLS handshake is done.
#[derive(Clone)]
pub(crate) struct Peer {
    /// Where it connects from.
    pub(crate) address: SocketAddr,
    /// The certificates it sent and has proved to hold the key of; nothing more is known of them.
    pub(crate) chain: Option<PeerChain>,
    /// The host name it asked for (SNI).
    pub(crate) server_name: Option<String>,
    /// The TLS version, for logs: `1.2` or `1.3`.
    pub(crate) tls: &'static str,
    /// The port it came to.
    pub(crate) local_port: u16,
    /// What a failure to authenticate counts in.
    pub(crate) failures: Arc<FailureBudget>,
    /// How its requests for admission went, where it may have more than one.
    pub(crate) standing: Standing,
}

impl Peer {
    /// Notes that a request of it was let in.
    pub(crate) fn admitted(&self) {
        self.standing.admitted();
    }

    /// Notes that a request of it was not. Too many one after the other end the connection, and count
    /// as one failed handshake.
    pub(crate) fn refused(&self) {
        if self.standing.refused() {
            self.charge_failure();
        }
    }

    /// Counts a failure to authenticate as a failed handshake, with the same consequence.
    pub(crate) fn charge_failure(&self) {
        self.failures.charge(self.address.ip(), Instant::now());
    }
}

/// How long to hold back when the system has no descriptor or memory for another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all listeners of a hub share.
#[derive(Debug, Clone)]
pub(crate) struct Reception {
    handshakes: Handshakes,
    failures: Arc<FailureBudget>,
    metrics: Metrics,
    drain: Drain,
}

impl Reception {
    /// For listeners that share these limits, and end when `drain` begins.
    pub(crate) fn new(handshakes: Handshakes, metrics: Metrics, drain: Drain) -> Self {
        Self { handshakes, failures: Arc::default(), metrics, drain }
    }

    /// Accepts on `listener` until the hub stops; each connection runs `serve` in a task of its
    /// own, in which its handshake runs, too, so that nobody waits for a slow peer.
    pub(crate) async fn accept<F, Served>(self, listener: TcpListener, tls: Arc<ServerConfig>, serve: F)
    where
        F: Fn(SecureStream, Peer) -> Served + Clone + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.drain.begun() => return,
            };
            match accepted {
                Ok((socket, address)) if self.failures.allows(address.ip(), Instant::now()) => {
                    let connection = self.clone().connection(socket, address, Arc::clone(&tls), serve.clone());
                    self.drain.spawn(connection);
                }
                Ok((_, address)) => {
                    tracing::debug!(%address, "turned away after too many failed handshakes");
                    self.metrics.handshake_failed("turned_away");
                }
                Err(error) => self.endure(&error).await,
            }
        }
    }

    async fn connection<F, Served>(self, socket: TcpStream, address: SocketAddr, tls: Arc<ServerConfig>, serve: F)
    where
        F: Fn(SecureStream, Peer) -> Served,
        Served: Future<Output = ()>,
    {
        // Boxed, so that its memory is given back before the connection's long life begins.
        let Some((stream, peer)) = Box::pin(self.secured(socket, address, tls)).await else { return };
        tracing::debug!(%address, tls = peer.tls, server_name = peer.server_name, certificate = peer.chain.is_some(), "secured");
        let served = AssertUnwindSafe(serve(stream, peer)).catch_unwind().await;
        if served.is_err() {
            self.metrics.panicked();
            tracing::error!(%address, "a connection ended by a panic; this is a defect of the hub");
        }
    }

    async fn secured(&self, socket: TcpStream, address: SocketAddr, tls: Arc<ServerConfig>) -> Option<(SecureStream, Peer)> {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%address, %error, "the peer is gone already");
            return None;
        }
        let handshake = tokio::select! {
            handshake = self.handshakes.accept(socket, address, tls, &self.failures) => handshake,
            () = self.drain.begun() => return None,
        };
        handshake
            .inspect_err(|failure| {
                let cause = std::error::Error::source(failure).map(ToString::to_string);
                tracing::info!(%address, reason = failure.name(), cause, "handshake failed");
                self.metrics.handshake_failed(failure.name());
                if failure.is_costly() {
                    self.failures.charge(address.ip(), Instant::now());
                }
            })
            .ok()
    }

    /// A peer that has gone again costs nothing; out of descriptors, accepting again at once
    /// would only spin.
    async fn endure(&self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted) {
            return;
        }
        tracing::warn!(%error, "cannot accept connections for the moment");
        self.metrics.handshake_failed("not_accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
