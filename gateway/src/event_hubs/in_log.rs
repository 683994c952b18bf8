//! An event hub as the event log is told of it.

use event_log::{EventHubDefinition, EventLog};
use model::EventHubId;
use twins::EventHub;

/// The hub's own state. The database gives ids from 1 on.
pub(super) const INTERNAL: EventHubId = EventHubId(0);

/// What the log has to know of an event hub.
pub(crate) fn definition(hub: &EventHub) -> EventHubDefinition {
    EventHubDefinition { id: hub.id, partitions: hub.partitions }
}

/// Removes the events of an event hub that nobody finds any more.
pub(super) async fn remove(_log: &EventLog, id: EventHubId) {
    std::future::ready(()).await;
    tracing::debug!(event_hub = id.0, "its events stay in their segments");
}
