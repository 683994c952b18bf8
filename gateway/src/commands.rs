//! Commands (cloud-to-device messages), from the operator to the device's queue.

use model::api::RedriveResult;
use model::{Identity, Timestamp};
use twins::{DeadLetters, EnqueueError, Enqueued, NewCommand, RedriveError};

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

/// Puts dead letters back into their queue, and wakes the device's readers once that is on disk.
///
/// # Errors
/// [`RedriveError`]; if the store failed, some may have gone.
pub(crate) async fn redrive(
    hub: &Hub,
    identity: &Identity,
    which: DeadLetters,
    expiry: Option<Timestamp>,
) -> Result<RedriveResult, RedriveError> {
    let result = hub.twins.redrive_dead_letters(identity, which, expiry).await;
    // Whoever looks in vain loses nothing.
    hub.presence.commands_wait(identity);
    result
}
