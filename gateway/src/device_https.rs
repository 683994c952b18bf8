//! Devices and modules over HTTPS (`iot-hub-wire` §2): they send messages, fetch and settle
//! commands, and — ours — wait for both commands and direct methods without polling in a hurry.
//!
//! | request | file |
//! | --- | --- |
//! | `POST …/messages/events` | [`events`]: one message or a batch, 204 once it is on disk |
//! | `GET …/messages/devicebound[?wait=s]`, `DELETE`, `POST …/abandon` | [`devicebound`] |
//! | `POST …/files`, `POST …/files/notifications[/{id}]` | [`files`]: an upload begun and ended |
//! | `GET …/methods[?wait=s]`, `POST …/methods/{rid}?s=status` | [`methods`], ours |
//!
//! each below `/devices/{d}` or `/devices/{d}/modules/{m}`. Whoever asks is judged by [`admission`]
//! before anything of a body is read; [`long_poll`] ends waits; [`message_headers`] is the one
//! place that knows how properties stand in headers; [`reason`] alone chooses codes.

use axum::Router;
use axum::routing::{MethodRouter, delete, post};

use crate::https::handing_out;

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

#[cfg(test)]
mod tests;

pub(crate) use admission::Memory;

/// Every operation, under paths whose fixed segments stand in lower case.
pub(crate) fn routes() -> Router {
    let operations: [(&str, MethodRouter); 5] = [
        ("/messages/events", post(events::send)),
        // A lock that is missing is refused as a wrong one is.
        ("/messages/devicebound", handing_out(devicebound::receive).delete(devicebound::complete_or_reject)),
        ("/messages/devicebound/{lock}", delete(devicebound::complete_or_reject)),
        ("/messages/devicebound/{lock}/abandon", post(devicebound::abandon)),
        ("/methods", handing_out(methods::next)),
    ];
    let answers = [("/methods/{rid}", post(methods::answer))];
    let files = [
        ("/files", post(files::begin)),
        ("/files/notifications", post(files::end)),
        ("/files/notifications/{id}", post(files::end_in_path)),
    ];
    operations.into_iter().chain(answers).chain(files).fold(Router::new(), |router, (path, operation)| {
        router
            .route(&format!("/devices/{{device}}{path}"), operation.clone())
            .route(&format!("/devices/{{device}}/modules/{{module}}{path}"), operation)
    })
}
