//! Twins of devices and modules.

use std::sync::Arc;

use axum::Extension;
use model::api::{Twin, TwinPatch, TwinProperties};
use model::limits::TWIN_BODY_BYTES_MAX;
use serde_json::{Map, Value};
use twins::document::{self, DocumentError};

use super::if_match::Condition;
use crate::https::{Answer, Payload, Refusal, Reply, Target};
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
    let twin = twin_sync::patch_twin(&hub, &identity, read(&body)?, condition).await?;
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
    let twin = twin_sync::replace_twin(&hub, &identity, read(&body)?, condition).await?;
    hub.metrics.twin_operation("service_replace");
    shown(&twin)
}

fn shown(twin: &Twin) -> Answer {
    Reply::OK.json_with_etag(twin, &twin.etag)
}

/// The sections that may be written. Clients send back whole twins; what else is in them (an
/// etag, the status) is ignored, the header alone sets a condition.
fn read(body: &[u8]) -> Result<TwinPatch, Refusal> {
    let mut document = document::parse(body)?;
    let properties = match document.remove("properties") {
        None | Some(Value::Null) => None,
        Some(Value::Object(mut sections)) => Some(sections_of(&mut sections)),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            return Err(DocumentError::NotAnObject { path: "properties".to_owned() }.into());
        }
    };
    Ok(TwinPatch { tags: section(&mut document, "tags"), properties })
}

fn sections_of(properties: &mut Map<String, Value>) -> TwinProperties {
    TwinProperties { desired: section(properties, "desired"), reported: section(properties, "reported") }
}

/// A section that is null counts as absent: some clients write every field.
fn section(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    object.remove(name).filter(|value| !value.is_null())
}
