//! A change of desired properties, from the operator to the device.

use std::sync::Arc;

use model::Identity;
use model::api::{Twin, TwinPatch};
use twins::{IfMatch, TwinChanged, TwinWriteError};

use crate::hub::Hub;

/// Merges `patch` into the twin, and tells the device once that is on disk.
///
/// # Errors
/// [`TwinWriteError`]; then nothing changed.
pub(crate) async fn patch_twin(hub: &Hub, identity: &Identity, patch: TwinPatch, if_match: IfMatch) -> Result<Twin, TwinWriteError> {
    let changed = hub.twins.patch_twin(identity, patch, if_match).await?;
    Ok(tell_device(hub, identity, changed))
}

/// Replaces the sections that `patch` names, and tells the device once that is on disk.
///
/// # Errors
/// [`TwinWriteError`]; then nothing changed.
pub(crate) async fn replace_twin(hub: &Hub, identity: &Identity, patch: TwinPatch, if_match: IfMatch) -> Result<Twin, TwinWriteError> {
    let changed = hub.twins.replace_twin(identity, patch, if_match).await?;
    Ok(tell_device(hub, identity, changed))
}

/// The stored version is the truth; this only hurries the device on.
fn tell_device(hub: &Hub, identity: &Identity, changed: TwinChanged) -> Twin {
    if let Some(desired) = changed.desired {
        hub.presence.desired_changed(identity, Arc::new(desired));
    }
    changed.twin
}
