//! Many registry operations in one request, each carried out or refused by itself.

use std::sync::Arc;

use axum::Extension;
use model::Identity;
use model::api::{BulkItem, ErrorCode};
use model::limits::SERVICE_BODY_BYTES_MAX;

use crate::https::{Answer, Json, Refusal, Reply, written};
use crate::hub::Hub;
use crate::twin_sync;

/// 200 when all were carried out, else 400, with the same body.
pub(super) async fn run(Extension(hub): Extension<Arc<Hub>>, Json(items): Json<Vec<BulkItem>, SERVICE_BODY_BYTES_MAX>) -> Answer {
    let touched: Vec<(Identity, bool)> = items.iter().filter_map(touched).collect();
    let result = hub.twins.bulk(items).await?;
    for (identity, twin_written) in touched {
        hub.presence.recheck(&identity);
        if twin_written {
            twin_sync::tell_as_stored(&hub, &identity).await;
        }
    }
    if result.is_successful {
        return Reply::OK.json(&result);
    }
    let text = format!("{} operations were refused", result.errors.len());
    Err(Refusal::new(ErrorCode::BulkRegistryOperationFailure, text).instead(written(&result)?))
}

/// Which identity an operation is about, and whether it may write its desired properties. Ids
/// that are none are refused when the operation is carried out.
fn touched(item: &BulkItem) -> Option<(Identity, bool)> {
    let device = item.id.parse().ok()?;
    let module = item.module_id.as_deref().map(str::parse).transpose().ok()?;
    let desired = item.properties.as_ref().is_some_and(|properties| properties.desired.is_some());
    Some((Identity { device, module }, desired))
}
