//! The codec against itself, against two independent codecs, and against bytes that real clients
//! sent.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect fails it, also outside of test functions"
)]

mod captures;
mod differential;
mod packets;
mod round_trip;
