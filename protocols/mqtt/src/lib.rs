//! MQTT 3.1.1 and 5 without IO: the codec ([`wire`]) and the server's side of one connection
//! ([`session`]).
//!
//! Bytes and the present moment come in as arguments; bytes, events and the next deadline come
//! out. Nothing here reads a clock, opens a socket, spawns a task or knows what a topic means. No
//! input panics: what a peer may not send is a value of [`wire::Malformed`] or
//! [`session::Violation`].
//!
//! The codec knows every packet of both versions in both directions. The session serves QoS 0 and
//! 1; what belongs to a generic publish and subscribe namespace (QoS 2, retained messages, shared
//! subscriptions) it refuses as the standard says.

#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod session;
pub mod wire;

/// The protocol version, decided by CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5, protocol level 5.
    V5,
}

impl Version {
    /// The number in CONNECT.
    pub fn level(self) -> u8 {
        match self {
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }
}
