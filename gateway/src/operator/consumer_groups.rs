//! Consumer groups: who reads, and how far behind. Ours.

use std::sync::Arc;

use axum::Extension;

use super::event_hubs::named;
use crate::https::{Answer, Reply, RequestPath};
use crate::hub::Hub;

/// Every group.
pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>) -> Answer {
    Reply::OK.json(&hub.groups.list(None))
}

/// Groups that read one event hub, and of each what concerns it.
pub(super) async fn of_event_hub(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    let event_hub = named(&hub, &path)?;
    Reply::OK.json(&hub.groups.list(Some(&event_hub.name)))
}
