//! The promises of sealed files, kept against segments built byte by byte.

mod damage;
mod power;
mod round_trip;
mod seek;
mod support;
