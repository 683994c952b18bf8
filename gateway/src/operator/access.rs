//! Who may do what: a policy's token or a pinned certificate, and the right it carries.

use std::sync::Arc;

use axum::Extension;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::MethodRouter;
use certs::judge::{Evidence, OperatorGrant};
use model::Rights;

use crate::auth::OperatorRefusal;
use crate::https::{Refusal, RequestPath};
use crate::hub::Hub;
use crate::listener::Peer;

/// Lets operators with `rights` through to `operations`, before anything of the body is read.
pub(super) fn needs(rights: Rights, operations: MethodRouter) -> MethodRouter {
    operations.route_layer(from_fn(move |mut request: Request, next: Next| async move {
        match admitted(&request, rights) {
            Ok(grant) => {
                request.extensions_mut().insert(grant);
                next.run(request).await
            }
            Err(refusal) => refusal.into_response(),
        }
    }))
}

/// Carries out `operations` even if the caller hangs up: what has been stored must also reach
/// the judge, and the devices it is about.
pub(super) fn carried_out(operations: MethodRouter) -> MethodRouter {
    operations.route_layer(from_fn(|Extension(hub): Extension<Arc<Hub>>, request: Request, next: Next| async move {
        hub.drain.carry_out(next.run(request)).await
    }))
}

fn admitted(request: &Request, rights: Rights) -> Result<OperatorGrant, Refusal> {
    let extensions = request.extensions();
    let parts = (extensions.get::<Arc<Hub>>(), extensions.get::<Arc<Peer>>(), extensions.get::<RequestPath>());
    let (Some(hub), Some(peer), Some(path)) = parts else {
        return Err(Refusal::fault("the request does not say where it comes from"));
    };
    let host = hub.settings.host_names.first().map_or("", String::as_str);
    let resource = format!("{host}{}", path.as_str());
    let admitted = hub.admit_operator(evidence(request, peer), &resource, rights);
    match &admitted {
        // Who lacks a right is no stranger.
        Ok(_) | Err(OperatorRefusal::Forbidden { .. }) => peer.admitted(),
        Err(OperatorRefusal::Unauthorized(_)) => peer.refused(),
    }
    Ok(admitted?)
}

/// A token counts before a certificate: a client may have one for another purpose.
fn evidence<'a>(request: &'a Request, peer: &'a Peer) -> Evidence<'a> {
    match (request.headers().get(AUTHORIZATION), &peer.chain) {
        // What is not text is a token that does not parse.
        (Some(value), _) => Evidence::Token(value.to_str().unwrap_or_default()),
        (None, Some(chain)) => Evidence::Certificate(chain),
        (None, None) => Evidence::Nothing,
    }
}
