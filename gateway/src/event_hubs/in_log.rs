//! An event hub as the event log is told of it.

use event_log::{EventHubDefinition, EventLog, Retention};
use model::EventHubId;
use twins::EventHub;

/// The event hub of the hub's own state. The database gives ids from 1 on.
pub(crate) const INTERNAL: EventHubId = EventHubId(0);

/// What the log has to know of an event hub.
pub(crate) fn definition(hub: &EventHub) -> EventHubDefinition {
    let model::Retention { time, bytes } = hub.retention;
    EventHubDefinition { id: hub.id, partitions: hub.partitions, retention: Retention::Limits { time, bytes } }
}

/// Removes the events of an event hub that nobody finds any more. What cannot be removed now is
/// at the next start.
pub(super) async fn remove(log: &EventLog, id: EventHubId) {
    let log = log.clone();
    let removed = tokio::task::spawn_blocking(move || log.remove(id)).await;
    match removed {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(event_hub = id.0, %error, "the events of a deleted event hub are removed at the next start");
        }
        Err(_) => tracing::error!(event_hub = id.0, "removing the events of a deleted event hub panicked"),
    }
}
