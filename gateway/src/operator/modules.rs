//! Modules in the registry.

use std::sync::Arc;

use axum::Extension;
use model::api::Authentication;
use model::limits::SERVICE_BODY_BYTES_MAX;
use model::{Identity, ModuleId};
use serde::Deserialize;
use twins::{IfMatch, NewModule, UnknownIdentity};

use super::devices::check_id;
use super::if_match::Condition;
use crate::https::{Answer, Json, Refusal, Reply, Target};
use crate::hub::Hub;

/// What of a module an operator may write.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModuleWrite {
    device_id: Option<String>,
    module_id: Option<String>,
    managed_by: Option<String>,
    authentication: Option<Authentication>,
}

pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target) -> Answer {
    Reply::OK.json(&hub.twins.modules(&identity.device).await?)
}

pub(super) async fn show(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target) -> Answer {
    let module_id = module_of(&identity)?;
    let Some(module) = hub.twins.module(&identity.device, &module_id).await? else {
        return Err(missing(&hub, identity, module_id).await?);
    };
    Reply::OK.json_with_etag(&module, &module.etag)
}

/// Without a condition it creates, with one it updates.
pub(super) async fn put(
    Extension(hub): Extension<Arc<Hub>>,
    Target(identity): Target,
    Condition(condition): Condition,
    Json(write): Json<ModuleWrite, SERVICE_BODY_BYTES_MAX>,
) -> Answer {
    let module_id = module_of(&identity)?;
    check_id(write.device_id.as_deref(), identity.device.as_str())?;
    check_id(write.module_id.as_deref(), module_id.as_str())?;
    let new = NewModule { authentication: write.authentication.unwrap_or_default(), managed_by: write.managed_by };
    match condition {
        IfMatch::Absent => {
            let module = hub.twins.create_module(identity.device, module_id, new).await?;
            Reply::CREATED.json_with_etag(&module, &module.etag)
        }
        IfMatch::Any | IfMatch::Etag(_) => {
            let module = hub.twins.update_module(identity.device.clone(), module_id, new, condition).await?;
            hub.presence.recheck(&identity);
            Reply::OK.json_with_etag(&module, &module.etag)
        }
    }
}

pub(super) async fn delete(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target, Condition(condition): Condition) -> Answer {
    hub.twins.delete_module(identity.device.clone(), module_of(&identity)?, condition).await?;
    hub.presence.recheck(&identity);
    Ok(Reply::no_content())
}

fn module_of(identity: &Identity) -> Result<ModuleId, Refusal> {
    identity.module.clone().ok_or_else(|| Refusal::fault("a path of modules without a module"))
}

/// Whether it is the module that is missing, or its device too.
async fn missing(hub: &Hub, identity: Identity, module_id: ModuleId) -> Result<Refusal, Refusal> {
    let device_exists = hub.twins.device(&identity.device).await?.is_some();
    let unknown =
        if device_exists { UnknownIdentity::Module(identity.device, module_id) } else { UnknownIdentity::Device(identity.device) };
    Ok(unknown.into())
}
