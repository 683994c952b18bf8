//! What the hub publishes for a client that went away without a word.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use event_log::{Origin, StageError};
use model::MessageProperties;
use model::property_bag::{self, InvalidPropertyBag};
use mqtt_proto::wire::PublishProperties;

use super::admission::Admitted;
use super::uplink::add_packet_properties;
use crate::hub::Hub;

/// A will, as telemetry.
#[derive(Debug, Clone)]
pub(crate) struct Will {
    properties: MessageProperties,
    body: Bytes,
    /// How long the client may take to come back before the will is published: its delay, but no
    /// longer than its session lives (MQTT 5, 3.1.3.2.2).
    delay: Duration,
}

impl Will {
    /// Reads a will whose topic ends in `bag`, of a session that outlives its connection by
    /// `session_expiry_seconds`.
    ///
    /// # Errors
    /// [`InvalidPropertyBag`]
    pub(crate) fn new(bag: &str, will: &mqtt_proto::wire::Will, session_expiry_seconds: u32) -> Result<Self, InvalidPropertyBag> {
        let mut properties = property_bag::parse(bag)?;
        let packet = PublishProperties {
            content_type: will.properties.content_type.clone(),
            correlation_data: will.properties.correlation_data.clone(),
            user_properties: will.properties.user_properties.clone(),
            ..PublishProperties::default()
        };
        add_packet_properties(&mut properties, &packet, will.retain);
        properties.application.push(("iothub-MessageType".to_owned(), Some("Will".to_owned())));
        let delay_seconds = will.properties.delay_interval.unwrap_or(0).min(session_expiry_seconds);
        let delay = Duration::from_secs(u64::from(delay_seconds));
        Ok(Self { properties, body: will.payload.clone(), delay })
    }

    /// Publishes the will, after its delay if it has one and unless the client came back.
    pub(crate) async fn publish(self, hub: Arc<Hub>, admitted: Admitted) {
        let identity = admitted.grant.identity.clone();
        if !self.delay.is_zero() {
            // A hub that stops publishes it now: it cannot learn whether the client comes back.
            let patience = async {
                let _ = tokio::time::timeout(self.delay, hub.drain.begun()).await;
            };
            if hub.presence.returns(&identity, patience).await {
                return;
            }
        }
        let mut sender = hub.telemetry.sender(&admitted.grant, admitted.model_id.as_deref(), Origin::Mqtt);
        if let Err(refused) = sender.admit_with(hub.clock.now(), &self.properties, &self.body) {
            tracing::warn!(%identity, reason = %refused, "dropped a will");
            return;
        }
        let batch = sender.take_batch();
        let stored = async {
            let permit = sender.log().reserve(sender.staged_bytes(&batch)).await?;
            if let Some(ticket) = sender.append(permit, &batch)? {
                ticket.await?;
            }
            Ok::<(), StageError>(())
        };
        if let Err(failed) = stored.await {
            tracing::error!(%identity, reason = %failed, "a will could not be stored");
        }
    }
}
