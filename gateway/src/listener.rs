//! Sockets: all bound together, accepted, secured, handed to their protocol.

use std::net::SocketAddr;

use certs::PeerChain;

/// What is known of a peer once its TLS handshake is done.
#[derive(Clone)]
pub(crate) struct Peer {
    /// Where it connects from.
    pub(crate) address: SocketAddr,
    /// The certificates it sent and has proved to hold the key of; nothing more is known of them.
    pub(crate) chain: Option<PeerChain>,
    /// The host name it asked for (SNI).
    pub(crate) server_name: Option<String>,
    /// The TLS version, for logs.
    pub(crate) tls: &'static str,
}
