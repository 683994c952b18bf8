//! MQTT inside a WebSocket, for clients whose network lets nothing but port 443 through.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Extension;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use futures_util::FutureExt as _;
use model::api::ErrorCode;

use super::{Answer, Refusal};
use crate::hub::Hub;
use crate::listener::Peer;
use crate::listener::websocket::{WebSocketStream, bounded};
use crate::mqtt;

/// What an AMQP client asks for.
const AMQP: &str = "AMQPWSB10";
/// Held for each connection, so small: packets mostly are.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Turns the connection into one of MQTT. Extensions such as compression are declined, query
/// parameters (`iothub-no-client-cert`) ignored: a client certificate is never demanded.
pub(super) async fn upgrade(
    Extension(hub): Extension<Arc<Hub>>,
    Extension(peer): Extension<Arc<Peer>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer {
    let upgrade = upgrade.map_err(|rejection| Refusal::new(ErrorCode::ArgumentInvalid, rejection.body_text()))?;
    if hub.drain.is_draining() {
        return Err(Refusal::new(ErrorCode::ServiceUnavailable, "the hub is stopping"));
    }
    let upgrade = bounded(upgrade).read_buffer_size(READ_BUFFER_BYTES);
    if upgrade.selected_protocol().is_none() {
        return Err(wrong_subprotocol(&upgrade));
    }
    Ok(switched(upgrade, hub, (*peer).clone()))
}

fn switched(upgrade: WebSocketUpgrade, hub: Arc<Hub>, peer: Peer) -> Response {
    upgrade.on_upgrade(|socket| async move {
        // A task of its own, because a stop waits only for tasks it knows of.
        let drain = hub.drain.clone();
        drain.spawn(async move {
            let metrics = hub.metrics.clone();
            let served = mqtt::serve(hub, WebSocketStream::new(socket), peer);
            if AssertUnwindSafe(served).catch_unwind().await.is_err() {
                metrics.panicked();
                tracing::error!("a connection over WebSocket ended by a panic; this is a defect of the hub");
            }
        });
    })
}

fn wrong_subprotocol(upgrade: &WebSocketUpgrade) -> Refusal {
    if upgrade.requested_protocols().any(|protocol| protocol.as_bytes() == AMQP.as_bytes()) {
        return Refusal::new(ErrorCode::NotImplemented, "AMQP is not built yet; use MQTT");
    }
    Refusal::new(ErrorCode::ArgumentInvalid, "the WebSocket must ask for the subprotocol mqtt")
}
