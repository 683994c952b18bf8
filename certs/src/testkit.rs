//! Certificates for tests, sane and hostile, and entry points for fuzzing.
//!
//! A [`Draft`] writes its own DER, so it can be told to lie in any field, and signs what it wrote.

pub mod der;
mod draft;
pub mod fuzz;
mod name;

pub use draft::{ANY_PURPOSE, CLIENT_AUTH, Draft, Key, Made, SERVER_AUTH, secret};
pub use name::{Name, StringType};

use model::Timestamp;

/// The moment at which tests judge unless they say otherwise: 2027-01-01T00:00:00Z.
pub fn now() -> Timestamp {
    Timestamp::from_milliseconds(1_798_761_600_000)
}
