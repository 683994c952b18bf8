//! Devices and modules over HTTPS (`iot-hub-wire` §2): they send messages, fetch and settle
//! commands, and — ours — wait for both commands and direct methods without polling in a hurry.
//!
//! [`resource`] reads a path, and the match in `operate` is the table of operations: [`events`] takes
//! messages, [`devicebound`] hands out commands and hears what became of them, [`methods`] does so with
//! calls, [`files`] begins and ends uploads. Whoever asks is judged by [`admission`] before anything of
//! a body is read; [`long_poll`] ends waits; [`message_headers`] is the one place that knows how
//! properties stand in headers; [`reason`] alone chooses codes.

use axum::extract::Request;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};

mod admission;
mod batch;
mod devicebound;
mod events;
mod files;
mod inbox;
mod long_poll;
mod message_headers;
mod methods;
mod reason;
mod resource;

#[cfg(test)]
mod tests;

pub(crate) use admission::Memory;
pub(crate) use resource::Resource;

use admission::Admitted;

use crate::https::{Answer, CameBy, LockTimeout, Origin, Refusal, RequestBody, RequestPath};
use crate::operator::Parameters;

/// Answers a request of a device or module on `resource`, which is the one at `path`.
pub(crate) async fn answer<B: RequestBody>(resource: Resource, origin: &Origin, path: &RequestPath, request: Request<B>) -> Response {
    let (parts, body) = request.into_parts();
    if !resource.methods().contains(&parts.method) {
        return Refusal::method_not_allowed().allowing(resource.methods());
    }
    operate(resource, origin, path, &parts, body).await.into_response()
}

/// Messages come by the thousand, so the room that the others need is made where they are asked for.
async fn operate<B: RequestBody>(resource: Resource, origin: &Origin, path: &RequestPath, parts: &Parts, body: B) -> Answer {
    let admitted = Admitted::of(origin, path, &parts.headers)?;
    let parameters = || Parameters::within(&parts.uri);
    let came_by = || CameBy::of(&origin.hub, &origin.peer, parts);
    match resource {
        Resource::Events => events::send(&admitted, &parts.headers, body).await,
        Resource::Commands if parts.method == Method::GET => {
            let (wait, lock_timeout) = (long_poll::wait(&parameters()?)?, LockTimeout::of(&parts.headers)?);
            Box::pin(devicebound::receive(&admitted, wait, lock_timeout)).await
        }
        // A lock that is missing is refused as a wrong one is.
        Resource::Commands | Resource::Command => Box::pin(devicebound::complete_or_reject(&admitted, path, &parameters()?)).await,
        Resource::AbandonedCommand => Box::pin(devicebound::abandon(&admitted, path)).await,
        Resource::Methods => Box::pin(methods::next(&admitted, long_poll::wait(&parameters()?)?)).await,
        Resource::Call => Box::pin(methods::answer(&admitted, path, &parameters()?, body)).await,
        Resource::Files => Box::pin(files::begin(&admitted, came_by(), body)).await,
        Resource::EndedUploads => Box::pin(files::end(&admitted, came_by(), body)).await,
        Resource::EndedUpload => Box::pin(files::end_in_path(&admitted, came_by(), path, body)).await,
    }
}
