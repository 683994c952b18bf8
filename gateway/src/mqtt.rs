//! MQTT for devices and modules, over TLS and over WebSocket alike.
//!
//! One task owns one connection. [`link`] moves bytes between the socket and the sans-IO session,
//! [`admission`] turns a CONNECT into a grant, [`connection`] is the loop that follows, [`uplink`]
//! acknowledges telemetry once it is durable, [`work`] runs what needs the store, one after
//! another, [`downlink`] sends commands, methods and desired changes, [`will`] speaks for a client
//! that went away without a word. Topics and codes are read and written in [`dialect`] and
//! [`reason`] only.

mod admission;
mod connection;
mod dialect;
mod downlink;
mod link;
mod reason;
mod sessions;
mod uplink;
mod will;
mod work;

use std::sync::Arc;

use model::limits;
use mqtt_proto::session::Config;
use mqtt_proto::wire::DecodeLimits;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use sessions::Sessions;

use crate::hub::Hub;
use crate::listener::Peer;
use link::Link;

/// Serves one connection from its CONNECT to its end.
pub(crate) async fn serve<S>(hub: Arc<Hub>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut link = Box::new(Link::new(stream, session_config()));
    let connect = tokio::select! {
        connect = link.connect() => connect,
        // Nothing is owed to a client that has not asked for anything.
        () = hub.drain.begun() => None,
    };
    let Some(connect) = connect else { return };
    match admission::admit(&hub, &peer, &connect) {
        Ok(admitted) => connection::run(hub, link, *connect, admitted).await,
        Err(refusal) => {
            tracing::info!(peer = %peer.address, client_id = %shown(&connect.client_id), reason = %refusal, "refused an MQTT connection");
            let (code, reason) = reason::connect_refused(&refusal);
            link.refuse(code, reason).await;
        }
    }
}

/// What a stranger wrote, as a log may show it: escaped, and its first 128 characters.
fn shown(text: &str) -> String {
    text.chars().take(128).flat_map(char::escape_debug).collect()
}

/// The limits that the hub announces and holds clients to.
fn session_config() -> Config {
    Config {
        limits: DecodeLimits {
            packet_bytes_max: limits::MQTT_PACKET_BYTES_MAX,
            connect_bytes_max: limits::MQTT_CONNECT_BYTES_MAX,
            filters_max: limits::MQTT_FILTERS_PER_SUBSCRIBE_MAX,
            filter_bytes_max: limits::MQTT_FILTER_BYTES_MAX,
            filter_levels_max: limits::MQTT_FILTER_LEVELS_MAX,
            user_properties_max: limits::PROPERTIES_MAX,
        },
        in_flight_max: limits::MQTT_IN_FLIGHT_MAX,
        silence_max: limits::MQTT_SILENCE_MAX,
        connect_timeout: limits::HANDSHAKE_TIMEOUT,
        ..Config::default()
    }
}
