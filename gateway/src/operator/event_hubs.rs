//! Event hubs, by name. Ours.

use std::sync::Arc;

use axum::Extension;
use model::EventHubName;
use model::api::{ErrorCode, EventHubInfo};
use twins::EventHub;

use crate::https::{Answer, Refusal, Reply, RequestPath};
use crate::hub::Hub;

pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>) -> Answer {
    let hubs = hub.twins.event_hubs().await?;
    Reply::OK.json(&hubs.iter().map(shown).collect::<Vec<_>>())
}

pub(super) async fn show(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<Arc<RequestPath>>) -> Answer {
    Reply::OK.json(&shown(&named(&hub, &path).await?))
}

/// The event hub that the path's second segment names.
///
/// # Errors
/// A [`Refusal`] with [`ErrorCode::ResourceNotFound`] when there is none.
pub(super) async fn named(hub: &Hub, path: &RequestPath) -> Result<EventHub, Refusal> {
    let name = path.segment(1).unwrap_or_default();
    let name: EventHubName = name.parse().map_err(|error| Refusal::new(ErrorCode::ArgumentInvalid, format!("{error}")))?;
    let found = hub.twins.event_hubs().await?.into_iter().find(|hub| hub.name == name);
    found.ok_or_else(|| Refusal::new(ErrorCode::ResourceNotFound, format!("there is no event hub {name}")))
}

fn shown(hub: &EventHub) -> EventHubInfo {
    EventHubInfo { name: hub.name.to_string(), partitions: hub.partitions, created_time: hub.created }
}
