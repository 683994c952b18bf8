//! The codec against itself, against two independent codecs, and against bytes that real clients
//! sent.

mod captures;
mod differential;
mod packets;
mod round_trip;
