//! Which paths there are beside those of devices. Fixed segments stand in lower case, see
//! [`super::path`].

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use model::api::ErrorCode;

use super::{Refusal, websocket};
use crate::{blob_service, operator};

/// Everything that is served over HTTPS, but what [`crate::device_https`] answers.
pub(super) fn router() -> Router {
    Router::new()
        .route("/$iothub/websocket", any(websocket::upgrade))
        .merge(operator::routes())
        .fallback(file_or_nothing)
        .method_not_allowed_fallback(method_not_allowed)
}

/// The container of uploads is called as configured, so its files are looked for last.
async fn file_or_nothing(request: Request) -> Response {
    let nothing = || Refusal::new(ErrorCode::ResourceNotFound, "there is nothing at this path").into_response();
    blob_service::answer(request).await.unwrap_or_else(nothing)
}

async fn method_not_allowed() -> Refusal {
    Refusal::method_not_allowed()
}
