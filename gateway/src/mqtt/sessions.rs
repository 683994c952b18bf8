//! What outlives a connection of a persistent session, in this process only: the commands that
//! were under way with their packet ids, and until when an MQTT 5 session lives. The queue of
//! commands and the subscriptions are the store's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Identity, Timestamp};
use mqtt_proto::session::InFlight;

/// Sessions kept at once. Beyond, a session's commands are sent as new ones at its next
/// connection, which a client must be ready for anyway.
const PARKED_MAX: usize = 10_000;

/// What a connection left behind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parked {
    /// Commands sent and not acknowledged.
    pub in_flight: InFlight,
    /// When the session ends, if it does. After a restart of the hub it lives on until it is
    /// used again.
    pub expires: Option<Timestamp>,
}

/// Persistent sessions that are not connected and left something behind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<Identity, Parked>>>);

impl Sessions {
    /// Keeps what a connection left behind. Sessions that have ended by `now` make room.
    pub(super) fn park(&self, identity: &Identity, left: Parked, now: Timestamp) {
        if left.in_flight.is_empty() && left.expires.is_none() {
            return;
        }
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if parked.len() >= PARKED_MAX {
            parked.retain(|_, session| session.expires.is_none_or(|expires| expires > now));
        }
        if parked.len() < PARKED_MAX {
            parked.insert(identity.clone(), left);
        }
    }

    /// Hands it to the next connection.
    pub(super) fn take(&self, identity: &Identity) -> Parked {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(identity).unwrap_or_default()
    }
}
