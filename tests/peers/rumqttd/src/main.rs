//! rumqttd with mutual TLS, as the foreign broker that the hub is compared with.
//!
//! ```text
//! rumqttd-peer ADDRESS CA.pem SERVER.pem SERVER.key
//! ```
//!
//! Listens on `ADDRESS` until it is killed, speaks MQTT 3.1.1, asks every client for a certificate
//! under `CA.pem`. No tracing subscriber is installed: one costs this broker more than its work.

use std::collections::HashMap;
use std::env;

use anyhow::{Context, anyhow};
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings, TlsConfig};

const USAGE: &str = "usage: rumqttd-peer ADDRESS CA.pem SERVER.pem SERVER.key";

fn main() -> anyhow::Result<()> {
    let [listen, ca, certificate, key]: [String; 4] =
        env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| anyhow!(USAGE))?;
    let server = ServerSettings {
        name: "tls".to_owned(),
        listen: listen.parse().context(USAGE)?,
        tls: Some(TlsConfig::Rustls { capath: Some(ca), certpath: certificate, keypath: key }),
        // The least it takes; every accepted connection waits this long.
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: 256 * 1024,
            max_inflight_count: 1000,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    // Segments as in the broker's own example configuration.
    let router = RouterConfig {
        max_connections: 10_010,
        max_outgoing_packet_count: 200,
        max_segment_size: 100 * 1024 * 1024,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    let config = Config { router, v4: Some(HashMap::from([("tls".to_owned(), server)])), ..Config::default() };
    Broker::new(config).start().context("rumqttd ended")
}
