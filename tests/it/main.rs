//! Integration tests, one binary, a file a feature.
//!
//! Each test starts hubs of its own, in processes of their own, from the binaries that were built
//! beside it (or lie in the folder `ISTHMUS_BIN`).

#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it expects; everything else fails it")]
#![expect(clippy::unwrap_in_result, reason = "an error is what a hub does, not what a test cannot do")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "durations, seeds and reasons for skipping are for whoever reads the run")]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod crash;
mod device_https;
mod event_hubs;
mod file_upload;
mod fleet_https;
mod methods;
mod mqtt5;
mod mqtt_admission;
mod mqtt_sessions;
mod mqtt_violations;
mod operator_cli;
mod policies;
mod regressions;
mod revocation;
mod server_certificate;
mod service_admission;
mod structure;
mod twins;
mod websocket;
