//! A change of desired properties, from the operator to the device.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use model::Identity;
use model::api::{Twin, TwinPatch};
use tokio::sync::{Mutex, MutexGuard};
use twins::{IfMatch, TwinChanged, TwinWriteError};

use crate::hub::Hub;

/// Merges `patch` into the twin, and tells the device once that is on disk.
///
/// # Errors
/// [`TwinWriteError`]; then nothing changed.
pub(crate) async fn patch_twin(hub: &Hub, identity: &Identity, patch: TwinPatch, if_match: IfMatch) -> Result<Twin, TwinWriteError> {
    let _turn = hub.turns.take(identity).await;
    let changed = hub.twins.patch_twin(identity, patch, if_match).await?;
    Ok(tell_device(hub, identity, changed))
}

/// Replaces the sections that `patch` names, and tells the device once that is on disk.
///
/// # Errors
/// [`TwinWriteError`]; then nothing changed.
pub(crate) async fn replace_twin(hub: &Hub, identity: &Identity, patch: TwinPatch, if_match: IfMatch) -> Result<Twin, TwinWriteError> {
    let _turn = hub.turns.take(identity).await;
    let changed = hub.twins.replace_twin(identity, patch, if_match).await?;
    Ok(tell_device(hub, identity, changed))
}

/// Tells the device its desired properties as they stand, after a write that does not say whether
/// it changed them; to hear them twice is never wrong.
pub(crate) async fn tell_as_stored(hub: &Hub, identity: &Identity) {
    if !hub.presence.is_connected(identity) {
        return;
    }
    let _turn = hub.turns.take(identity).await;
    match hub.twins.desired_document(identity).await {
        Ok(desired) => hub.presence.desired_changed(identity, Arc::new(desired)),
        // The device reads it at its next connect.
        Err(error) => tracing::warn!(%identity, %error, "a device was not told of its desired properties"),
    }
}

/// The stored version is the truth; this only hurries the device on.
fn tell_device(hub: &Hub, identity: &Identity, changed: TwinChanged) -> Twin {
    if let Some(desired) = changed.desired {
        hub.presence.desired_changed(identity, Arc::new(desired));
    }
    changed.twin
}

/// Lets the writers of one twin go one after another, from the commit to the signal: a device
/// ignores a change that comes after a later one. Writers of different twins rarely meet.
#[derive(Debug)]
pub(crate) struct Turns {
    slots: Vec<Mutex<()>>,
    hasher: RandomState,
}

/// More than the writers there are at once, so that few wait for a stranger.
const SLOTS: usize = 1024;

impl Default for Turns {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Turns {
    async fn take(&self, identity: &Identity) -> Option<MutexGuard<'_, ()>> {
        let slot = self.hasher.hash_one(identity) % SLOTS as u64;
        match self.slots.get(slot as usize) {
            Some(slot) => Some(slot.lock().await),
            None => None,
        }
    }
}
