//! The hub seen from an operator's side: where a hub's files and listeners are
//! ([`data_directory`]) and its service API ([`client`]).
//!
//! The binary `hubctl` is the first user; anything else that has to enrol devices or read events
//! may be the next. Nothing here prints, and nothing here knows the gateway.

pub mod client;
pub mod data_directory;

pub use client::{ClientError, ConnectOptions, HubClient};
pub use data_directory::DataDirectory;
