//! Which paths there are. Fixed segments stand in lower case, see [`super::path`].

use axum::Router;
use axum::routing::any;
use model::api::ErrorCode;

use super::{Refusal, websocket};
use crate::{device_https, operator};

/// Everything that is served over HTTPS.
pub(super) fn router() -> Router {
    Router::new()
        .route("/$iothub/websocket", any(websocket::upgrade))
        .merge(device_https::routes())
        .merge(operator::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn unknown_path() -> Refusal {
    Refusal::new(ErrorCode::ResourceNotFound, "there is nothing at this path")
}

async fn method_not_allowed() -> Refusal {
    Refusal::new(ErrorCode::MethodNotAllowed, "this path does not take that method")
}
