//! Twins of devices and modules.

use std::sync::Arc;

use axum::Extension;
use model::api::Twin;
use model::limits::TWIN_BODY_BYTES_MAX;
use twins::document;

use super::if_match::Condition;
use crate::https::{Answer, Payload, Reply, Target};
use crate::hub::Hub;
use crate::twin_sync;

pub(super) async fn show(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target) -> Answer {
    let twin = hub.twins.twin(&identity).await?;
    hub.metrics.twin_operation("service_get");
    shown(&twin)
}

/// Merges.
pub(super) async fn patch(
    Extension(hub): Extension<Arc<Hub>>,
    Target(identity): Target,
    Condition(condition): Condition,
    Payload(body): Payload<TWIN_BODY_BYTES_MAX>,
) -> Answer {
    let twin = twin_sync::patch_twin(&hub, &identity, document::parse_twin_patch(&body)?, condition).await?;
    hub.metrics.twin_operation("service_patch");
    shown(&twin)
}

/// Replaces the sections that the body has.
pub(super) async fn replace(
    Extension(hub): Extension<Arc<Hub>>,
    Target(identity): Target,
    Condition(condition): Condition,
    Payload(body): Payload<TWIN_BODY_BYTES_MAX>,
) -> Answer {
    let twin = twin_sync::replace_twin(&hub, &identity, document::parse_twin_patch(&body)?, condition).await?;
    hub.metrics.twin_operation("service_replace");
    shown(&twin)
}

fn shown(twin: &Twin) -> Answer {
    Reply::OK.json_with_etag(twin, &twin.etag)
}
