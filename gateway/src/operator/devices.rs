//! Devices in the registry.

use std::sync::Arc;

use axum::Extension;
use axum::http::HeaderMap;
use model::api::{Authentication, Capabilities, ErrorCode, Status};
use model::limits::SERVICE_BODY_BYTES_MAX;
use model::{DeviceId, Identity};
use serde::Deserialize;
use twins::{IfMatch, NewDevice, UnknownIdentity};

use super::if_match::Condition;
use super::paging;
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

/// One page in the order of ids. A full page says where the next one begins, which is ours to
/// add: the official SDKs list one page only.
pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>, parameters: Parameters, headers: HeaderMap) -> Answer {
    let limit = paging::limit(&parameters);
    let after = paging::after(&headers)?.map(|id| id.parse::<DeviceId>().map_err(|_| paging::not_ours())).transpose()?;
    let devices = hub.twins.devices(after, limit).await?;
    let last = devices.last().filter(|_| devices.len() == limit).map(|device| device.device_id.as_str());
    paging::continued(Reply::OK.json(&devices)?, last)
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
