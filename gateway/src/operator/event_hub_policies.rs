//! Policies of event hubs, with their keys. Ours.

use std::sync::Arc;

use axum::Extension;
use model::PolicyName;
use model::api::{ErrorCode, EventHubPolicyInfo, EventHubPolicyRequest};
use twins::{DeleteEventHubPolicyError, EventHubPolicy};

use super::event_hubs::{name, named};
use crate::https::{Answer, Json, Refusal, Reply, RequestPath};
use crate::hub::Hub;

pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    let policies = hub.event_hubs.policies(&*named(&hub, &path)?).await?;
    Reply::OK.json(&policies.iter().map(shown).collect::<Vec<_>>())
}

pub(super) async fn show(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    let (event_hub, policy) = (named(&hub, &path)?, policy(&path)?);
    let found = hub.event_hubs.policies(&event_hub).await?.into_iter().find(|stored| stored.name == policy);
    let found = found.ok_or_else(|| Refusal::from(DeleteEventHubPolicyError::NotFound(event_hub.name.clone(), policy)))?;
    Reply::OK.json(&shown(&found))
}

/// Creates. A policy does not change: to change its rights is to delete it and make another, with
/// other keys.
pub(super) async fn create(
    Extension(hub): Extension<Arc<Hub>>,
    Extension(path): Extension<RequestPath>,
    Json(request): Json<EventHubPolicyRequest, 1024>,
) -> Answer {
    let created = hub.event_hubs.create_policy(&name(&path)?, policy(&path)?, request.rights).await?;
    Reply::CREATED.json(&shown(&created))
}

pub(super) async fn delete(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    hub.event_hubs.delete_policy(&name(&path)?, &policy(&path)?).await?;
    Ok(Reply::no_content())
}

/// The path's fourth segment.
fn policy(path: &RequestPath) -> Result<PolicyName, Refusal> {
    let name = path.segment(3).unwrap_or_default();
    name.parse().map_err(|error| Refusal::new(ErrorCode::ArgumentInvalid, format!("{error}")))
}

fn shown(policy: &EventHubPolicy) -> EventHubPolicyInfo {
    EventHubPolicyInfo {
        name: policy.name.clone(),
        rights: policy.rights,
        primary_key: policy.primary.to_base64(),
        secondary_key: policy.secondary.to_base64(),
    }
}
