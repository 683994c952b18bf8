//! Event hubs, by name. Ours.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use model::api::{ErrorCode, EventHubInfo, EventHubPatch, EventHubRequest, PartitionInfo};
use model::{EventHubName, PartitionId, Retention};
use twins::{EventHub, EventHubChange, NewEventHub, UnknownEventHub};

use crate::https::{Answer, Json, Refusal, Reply, RequestPath};
use crate::hub::Hub;

/// The largest body that describes an event hub.
const BODY_BYTES_MAX: usize = 4 * 1024;

pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>) -> Answer {
    Reply::OK.json(&hub.event_hubs.list().iter().map(|hub| shown(hub)).collect::<Vec<_>>())
}

pub(super) async fn show(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    Reply::OK.json(&shown(&*named(&hub, &path)?))
}

/// Creates; what exists is changed by [`update`] alone.
pub(super) async fn create(
    Extension(hub): Extension<Arc<Hub>>,
    Extension(path): Extension<RequestPath>,
    Json(request): Json<EventHubRequest, BODY_BYTES_MAX>,
) -> Answer {
    let new = NewEventHub::new(name(&path)?, request.partitions.unwrap_or_default());
    let retention = Retention {
        time: request.retention_milliseconds.map_or(new.retention.time, Duration::from_millis),
        bytes: request.retention_bytes,
    };
    let message_bytes_max = request.message_bytes_max.unwrap_or(new.message_bytes_max);
    let created = hub.event_hubs.create(NewEventHub { retention, message_bytes_max, ..new }).await?;
    Reply::CREATED.json(&shown(&created))
}

pub(super) async fn update(
    Extension(hub): Extension<Arc<Hub>>,
    Extension(path): Extension<RequestPath>,
    Json(patch): Json<EventHubPatch, BODY_BYTES_MAX>,
) -> Answer {
    let change = EventHubChange {
        partitions: patch.partitions,
        retention_time: patch.retention_milliseconds.map(Duration::from_millis),
        retention_bytes: patch.retention_bytes,
        message_bytes_max: patch.message_bytes_max,
    };
    Reply::OK.json(&shown(&*hub.event_hubs.update(&name(&path)?, change).await?))
}

pub(super) async fn delete(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    hub.event_hubs.delete(&name(&path)?).await?;
    Ok(Reply::no_content())
}

/// Where each partition stands.
pub(super) async fn partitions(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    let event_hub = named(&hub, &path)?;
    let standing = |partition| standing(&hub, &event_hub, partition);
    Reply::OK.json(&event_hub.partitions.partitions().map(standing).collect::<Result<Vec<_>, _>>()?)
}

fn standing(hub: &Hub, event_hub: &EventHub, partition: PartitionId) -> Result<PartitionInfo, Refusal> {
    let stored = hub.log.partition(event_hub.id, partition)?;
    let events = u64::try_from(stored.next.0.saturating_sub(stored.first.0)).unwrap_or(0);
    Ok(PartitionInfo {
        partition,
        first_sequence: (events > 0).then_some(stored.first),
        last_sequence: (events > 0).then_some(model::SequenceNumber(stored.next.0 - 1)),
        next_sequence: stored.next,
        last_enqueued_time: stored.last_enqueued_time,
        events,
        bytes: stored.bytes,
    })
}

/// The event hub that the path's second segment names.
///
/// # Errors
/// A [`Refusal`] with [`ErrorCode::ResourceNotFound`] when there is none.
pub(super) fn named(hub: &Hub, path: &RequestPath) -> Result<Arc<EventHub>, Refusal> {
    let name = name(path)?;
    hub.event_hubs.get(name.as_str()).ok_or_else(|| UnknownEventHub(name).into())
}

/// The name in the path's second segment, of an event hub that may not exist.
pub(super) fn name(path: &RequestPath) -> Result<EventHubName, Refusal> {
    let name = path.segment(1).unwrap_or_default();
    name.parse().map_err(|error| Refusal::new(ErrorCode::ArgumentInvalid, format!("{error}")))
}

fn shown(hub: &EventHub) -> EventHubInfo {
    EventHubInfo {
        name: hub.name.to_string(),
        partitions: hub.partitions,
        retention_milliseconds: hub.retention.milliseconds(),
        retention_bytes: hub.retention.bytes,
        message_bytes_max: hub.message_bytes_max,
        topic_id: topic_id(&hub.topic_id),
        created_time: hub.created,
    }
}

/// Hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn topic_id(id: &[u8; 16]) -> String {
    let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| digits.get(group).unwrap_or_default());
    groups.join("-")
}
