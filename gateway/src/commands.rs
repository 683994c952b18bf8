//! Commands (cloud-to-device messages), from the operator to the device's queue.

use model::Identity;
use twins::{EnqueueError, Enqueued, NewCommand};

use crate::hub::Hub;

/// Stores a command, and wakes the device's connection once that is on disk.
///
/// # Errors
/// [`EnqueueError`]; then nothing was stored.
pub(crate) async fn send(hub: &Hub, identity: &Identity, command: NewCommand) -> Result<Enqueued, EnqueueError> {
    let enqueued = hub.twins.enqueue_command(identity, command).await?;
    hub.presence.commands_wait(identity);
    Ok(enqueued)
}
