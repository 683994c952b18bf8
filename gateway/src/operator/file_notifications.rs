//! Notifications of uploaded files (`iot-hub-wire` §3.1).

use std::sync::Arc;

use axum::Extension;

use super::service_messages::{Envelope, Lock, LockTimeout, handed_out};
use crate::https::{Answer, Reply};
use crate::hub::Hub;

/// The oldest that nobody has, or 204.
pub(super) async fn receive(Extension(hub): Extension<Arc<Hub>>, LockTimeout(lock): LockTimeout) -> Answer {
    let Some(locked) = hub.twins.receive_file_notification(lock).await? else { return Ok(Reply::no_content()) };
    let envelope = Envelope {
        lock: locked.lock,
        message_id: &locked.message_id,
        sequence_number: locked.sequence_number,
        delivery_count: locked.delivery_count,
        enqueued_time: locked.notification.enqueued_time_utc,
        expiry_time: locked.expiry_time,
    };
    handed_out(&envelope, "application/json; charset=utf-8", &locked.notification)
}

pub(super) async fn complete(Extension(hub): Extension<Arc<Hub>>, Lock(lock): Lock) -> Answer {
    hub.twins.complete_file_notification(lock).await?;
    Ok(Reply::no_content())
}

pub(super) async fn abandon(Extension(hub): Extension<Arc<Hub>>, Lock(lock): Lock) -> Answer {
    hub.twins.abandon_file_notification(lock).await?;
    Ok(Reply::no_content())
}
