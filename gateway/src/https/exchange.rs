//! One request, from its head to its answer: the path made ready for matching, the operation behind
//! a panic boundary, and the tracking id, body and log line of a refusal.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::body::RequestBody;
use super::path::RequestPath;
use super::refusal::Refusal;
use super::router;
use crate::device_https::{self, Memory, Resource};
use crate::hub::Hub;
use crate::listener::Peer;

/// Paths of one request that reach the log.
const LOGGED_PATH_BYTES_MAX: usize = 128;

/// The same for every connection: which hub and which peer travels with the request.
static ROUTER: LazyLock<TowerToHyperService<Router>> = LazyLock::new(|| TowerToHyperService::new(router::router()));

/// Where requests come from: the hub that serves them and the peer that sends them.
#[derive(Clone)]
pub(crate) struct Origin {
    /// The hub.
    pub(crate) hub: Arc<Hub>,
    /// The peer.
    pub(crate) peer: Arc<Peer>,
    /// Whom the connection was last admitted as.
    pub(crate) memory: Arc<Memory>,
}

/// Answers one request. Never fails: what goes wrong is an answer too.
pub(crate) async fn answer(origin: &Origin, request: Request<impl RequestBody>) -> Response {
    let (path, method) = (RequestPath::of(request.uri()), request.method().clone());
    let mut response = guarded(&origin.hub, operate(origin, &path, request)).await;
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        let tracking_id = format!("{:032x}", rand::random::<u128>());
        span(&tracking_id, &origin.peer, &method, &path).in_scope(|| refusal.log());
        response = refusal.written(response, &tracking_id, origin.hub.clock.now());
    }
    if method == Method::HEAD {
        // Over HTTP/2 nobody else takes it away, and a body breaks the stream of who did not ask for one.
        *response.body_mut() = Body::empty();
    }
    response
}

/// What the log says of a request beside what became of it. Written out where it is made, so only
/// those make one that have something to log.
pub(crate) fn span(tracking_id: &str, peer: &Peer, method: &Method, path: &RequestPath) -> tracing::Span {
    tracing::info_span!("request", tracking_id, peer = %peer.address, %method, path = shown(path.as_str()))
}

/// What devices ask most is found by one look at the path; everything else is the router's.
async fn operate(origin: &Origin, path: &RequestPath, request: Request<impl RequestBody>) -> Response {
    match Resource::at(path) {
        Some(resource) => device_https::answer(resource, origin, path, request).await,
        None => Box::pin(routed(prepared(origin, path, request.map(Body::new)))).await,
    }
}

async fn routed(request: Request) -> Response {
    match ROUTER.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A panic is a defect of ours; it costs this request its answer and nothing else.
fn guarded(hub: &Hub, operation: impl Future<Output = Response>) -> impl Future<Output = Response> {
    AssertUnwindSafe(operation).catch_unwind().map(|outcome| {
        outcome.unwrap_or_else(|_| {
            hub.metrics.panicked();
            Refusal::fault("the operation panicked").into_response()
        })
    })
}

/// Puts what the operations need into the request, and a path that the router can match.
fn prepared(origin: &Origin, path: &RequestPath, mut request: Request) -> Request {
    if let Some(uri) = path.matchable(request.uri()) {
        *request.uri_mut() = uri;
    }
    let extensions = request.extensions_mut();
    extensions.insert(origin.hub.clone());
    extensions.insert(origin.peer.clone());
    extensions.insert(path.clone());
    request
}

/// A URI's path is ASCII without controls, so only its length needs a bound.
fn shown(path: &str) -> &str {
    path.get(..LOGGED_PATH_BYTES_MAX).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::test_hub::TestHub;

    #[tokio::test]
    async fn a_panic_becomes_an_answer_and_is_counted() {
        let hub = TestHub::open().await;
        let response = guarded(&hub.hub, async { panic!("a defect") }).await;
        assert_eq!(response.status().as_u16(), 500);
        assert!(response.extensions().get::<Refusal>().is_some());
        assert_eq!(hub.hub.metrics.panics(), 1);
    }
}
