//! Who may speak: bytes and a time in, an identity or a refusal out.
//!
//! TLS proves possession of a key ([`possession`]); *whose* key it is, [`judge`] decides after
//! the handshake, on every connection, by one function. [`ca`] decides which CAs may be asked,
//! [`token`] reads and signs shared-access tokens, [`issue`] makes the certificates of a
//! development hub.
//!
//! Nothing here opens a file or a socket, reads a clock or knows a protocol. Names are compared
//! byte by byte: nothing is trimmed, folded or normalised.

pub mod ca;
mod certificate;
mod chain;
pub mod common_name;
pub mod issue;
pub mod judge;
mod pem;
pub mod possession;
pub mod server_identity;
pub mod show;
#[cfg(feature = "testkit")]
pub mod testkit;
mod text;
pub mod thumbprint;
pub mod tls;
pub mod token;

pub use chain::{CERTIFICATES_MAX, CHAIN_BYTES_MAX, ChainReject, LEAF_BYTES_MAX, PeerChain};
