//! The commands of one identity, as a reader sees it that asks instead of being connected: each is
//! its own for a time, and it says what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use twins::{CommandReadError, LockToken, SettleError};

use super::admission::Admitted;
use super::message_headers;

/// A command ready to be written.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What a device says of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settlement {
    Complete,
    Reject,
    Abandon,
}

/// The next command, which nobody else gets for the time of `lock`: 5 to 300 s, by default as
/// configured. One that no header can carry is rejected, as no reader over HTTPS will ever get it.
///
/// # Errors
/// [`CommandReadError`]
pub(super) async fn next(admitted: &Admitted, lock: Option<Duration>) -> Result<Option<Delivery>, CommandReadError> {
    let (hub, identity) = (&admitted.hub, admitted.identity());
    loop {
        let Some(command) = hub.twins.receive_commands(identity, 1, lock).await?.pop() else { return Ok(None) };
        match message_headers::of_command(&command) {
            Ok(headers) => {
                hub.metrics.command_delivered();
                admitted.note_activity(admitted.hub.clock.now());
                return Ok(Some(Delivery { headers, body: command.message.body }));
            }
            Err(error) => {
                tracing::warn!(%identity, sequence = command.sequence_number, %error, "rejected a command that HTTP cannot carry");
                // A lost lock means that somebody else has settled it.
                if let Err(SettleError::Store(error)) = hub.twins.reject_command(identity, command.lock).await {
                    return Err(error.into());
                }
            }
        }
    }
}

/// Carries out what the device says of the command that it holds under `lock`. Durable when this
/// returns.
///
/// # Errors
/// [`SettleError`]
pub(super) async fn settle(admitted: &Admitted, lock: LockToken, settlement: Settlement) -> Result<(), SettleError> {
    let (twins, identity) = (&admitted.hub.twins, admitted.identity());
    match settlement {
        Settlement::Complete => twins.complete_command(identity, lock).await,
        Settlement::Reject => twins.reject_command(identity, lock).await,
        Settlement::Abandon => {
            let (hub, identity) = (Arc::clone(&admitted.hub), identity.clone());
            // Though the caller hangs up: whoever else waits for the command must hear of it.
            let abandoning = async move {
                hub.twins.abandon_command(&identity, lock).await?;
                hub.presence.commands_wait(&identity);
                Ok(())
            };
            admitted.hub.drain.carry_out(abandoning).await
        }
    }
}
