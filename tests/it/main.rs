//! Integration tests, one binary, a file a feature.
//!
//! Each test starts hubs of its own, in processes of their own, from the binaries that were built
//! beside it (or lie in the folder `ISTHMUS_BIN`).

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod methods;
mod mqtt5;
mod mqtt_admission;
mod mqtt_sessions;
mod mqtt_violations;
mod regressions;
mod revocation;
mod structure;
mod twins;
