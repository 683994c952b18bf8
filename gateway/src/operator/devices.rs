//! Devices in the registry.

use std::sync::Arc;

use axum::Extension;
use model::Identity;
use model::api::{Authentication, Capabilities, ErrorCode, Status};
use model::limits::{PAGE_ITEMS_MAX, SERVICE_BODY_BYTES_MAX};
use serde::Deserialize;
use twins::{IfMatch, NewDevice, UnknownIdentity};

use super::if_match::Condition;
use super::parameters::Parameters;
use crate::https::{Answer, Json, Refusal, Reply, Target};
use crate::hub::Hub;

/// What of a device an operator may write. Clients send back whole devices; the rest of what
/// they send is the hub's to know and ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeviceWrite {
    device_id: Option<String>,
    status: Option<Status>,
    status_reason: Option<String>,
    authentication: Option<Authentication>,
    capabilities: Option<Capabilities>,
}

pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>, parameters: Parameters) -> Answer {
    let limit = parameters.get("top").and_then(|top| top.parse().ok()).filter(|top| (1..=PAGE_ITEMS_MAX).contains(top));
    Reply::OK.json(&hub.twins.devices(None, limit.unwrap_or(PAGE_ITEMS_MAX)).await?)
}

pub(super) async fn show(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target) -> Answer {
    let found = hub.twins.device(&identity.device).await?;
    let device = found.ok_or_else(|| Refusal::from(UnknownIdentity::Device(identity.device)))?;
    Reply::OK.json_with_etag(&device, &device.etag)
}

/// Without a condition it creates, with one it updates.
pub(super) async fn put(
    Extension(hub): Extension<Arc<Hub>>,
    Target(identity): Target,
    Condition(condition): Condition,
    Json(write): Json<DeviceWrite, SERVICE_BODY_BYTES_MAX>,
) -> Answer {
    check_id(write.device_id.as_deref(), identity.device.as_str())?;
    let new = NewDevice {
        authentication: write.authentication.unwrap_or_default(),
        status: write.status.unwrap_or_default(),
        status_reason: write.status_reason,
        capabilities: write.capabilities.unwrap_or_default(),
    };
    let device = match condition {
        IfMatch::Absent => hub.twins.create_device(identity.device, new).await?,
        IfMatch::Any | IfMatch::Etag(_) => {
            let device = hub.twins.update_device(identity.device.clone(), new, condition).await?;
            hub.presence.recheck(&identity);
            device
        }
    };
    Reply::OK.json_with_etag(&device, &device.etag)
}

pub(super) async fn delete(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target, Condition(condition): Condition) -> Answer {
    hub.twins.delete_device(identity.device.clone(), condition).await?;
    hub.presence.recheck(&Identity::device(identity.device));
    Ok(Reply::no_content())
}

/// An id in a body must be the path's.
pub(super) fn check_id(in_body: Option<&str>, in_path: &str) -> Result<(), Refusal> {
    match in_body {
        Some(id) if id != in_path => Err(Refusal::new(ErrorCode::ArgumentInvalid, format!("the body names {id:?}, the path {in_path:?}"))),
        Some(_) | None => Ok(()),
    }
}
