//! The promises of the server's side of a connection.
//!
//! Defects found in rumqttd 0.20 are regression tests for us. Those that lie in this crate are cited
//! in the tests as "rumqttd defect N". The rest of the list:
//!
//! | defect | kept where |
//! |---|---|
//! | 1 non-ASCII first character panics the router | `non_ascii_topics_are_delivered` here; the router is pending with the generic namespace |
//! | 2 shared subscriptions panic the router | pending with the generic namespace; refused here |
//! | 3 a stalled TLS handshake blocks the listener | listener |
//! | 4 takeover publishes the new connection's will | the hub's registry; here the will stays with its connection's events |
//! | 5 QoS raised on delivery | pending with the generic namespace; `qos_is_what_the_application_asked_for` here |
//! | 9 an empty payload without retain deletes | pending with the generic namespace |
//! | 12 TCP_NODELAY, 13 TLS configuration | listener |
//! | 14 filters scanned linearly | pending with the generic namespace |

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect fails it, also outside of test functions"
)]

mod handshake;
mod inbound;
mod keep_alive;
mod link;
mod outbound;
mod refusals;
mod server;
mod subscriptions;
