//! Counts of the registry and of connections.

use std::sync::Arc;

use axum::Extension;
use serde::Serialize;

use crate::https::{Answer, Reply};
use crate::hub::Hub;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceCounts {
    total_device_count: u64,
    enabled_device_count: u64,
    disabled_device_count: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceCounts {
    connected_device_count: usize,
}

pub(super) async fn devices(Extension(hub): Extension<Arc<Hub>>) -> Answer {
    let counts = hub.twins.device_statistics();
    Reply::OK.json(&DeviceCounts {
        total_device_count: counts.total,
        enabled_device_count: counts.enabled,
        disabled_device_count: counts.disabled,
    })
}

pub(super) async fn service(Extension(hub): Extension<Arc<Hub>>) -> Answer {
    Reply::OK.json(&ServiceCounts { connected_device_count: hub.presence.connected_count() })
}
