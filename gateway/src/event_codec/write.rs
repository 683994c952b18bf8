//! Headers of device messages, encoded as rarely as they change: once a connection, once a read
//! of the socket, and once for each run of messages with the same properties.

use certs::judge::AuthGrant;
use event_log::HeaderBlock;
use model::{MessageProperties, Timestamp};

use super::{
    ANNOTATIONS, AUTH_METHOD, CONTENT_ENCODING, CONTENT_TYPE, CORRELATION_CONTEXT, CORRELATION_ID, CREATION_TIME, DATA_SCHEMA, DEVICE_ID,
    DIAGNOSTIC_ID, ENQUEUED_TIME, GENERATION_ID, INTERFACE_ID, MESSAGE_ID, MESSAGE_SCHEMA, MESSAGE_SOURCE, MODULE_ID, OUTPUT_NAME, SUBJECT,
    USER_ID, amqp,
};

/// What is the same for every message of a connection.
#[derive(Debug, Clone)]
pub(crate) struct SenderHeaders {
    /// Who sent it and how that was proved; stands before the time of receipt.
    pub sender: HeaderBlock,
    /// Source and model; stands after it.
    pub source: HeaderBlock,
}

impl SenderHeaders {
    /// The headers of telemetry under `grant`.
    pub(crate) fn telemetry(grant: &AuthGrant, model_id: Option<&str>) -> Self {
        let mut sender = HeaderBlock::new().with(DEVICE_ID, &amqp::string(grant.identity.device.as_str()));
        if let Some(module) = &grant.identity.module {
            sender = sender.with(MODULE_ID, &amqp::string(module.as_str()));
        }
        let sender =
            sender.with(GENERATION_ID, &amqp::string(&grant.generation)).with(AUTH_METHOD, &amqp::string(&grant.auth_method_json()));
        let source = HeaderBlock::new().with(MESSAGE_SOURCE, &amqp::string("Telemetry"));
        let source = match model_id {
            Some(model_id) => source.with(DATA_SCHEMA, &amqp::string(model_id)),
            None => source,
        };
        Self { sender, source }
    }
}

/// Writes what is the same for all messages that one read of the socket brought, in place of what
/// `headers` held.
pub(crate) fn write_receipt(headers: &mut HeaderBlock, received: Timestamp) {
    headers.clear();
    headers.push(ENQUEUED_TIME, Some(&amqp::timestamp(received)));
}

/// The headers of one message's own properties.
#[derive(Debug, Clone)]
pub(crate) struct EncodedProperties {
    /// The headers.
    pub headers: HeaderBlock,
    /// What the properties count towards the message's size limit.
    pub counted_bytes: usize,
}

impl EncodedProperties {
    /// Encodes system and application properties. An application property with the name of an
    /// annotation is left out: that name is the hub's.
    pub(crate) fn new(properties: &MessageProperties) -> Self {
        let system = &properties.system;
        let annotations = [
            (SUBJECT, &system.component),
            (INTERFACE_ID, &system.interface_id),
            (OUTPUT_NAME, &system.output_name),
            (CREATION_TIME, &system.creation_time),
            (MESSAGE_SCHEMA, &system.message_schema),
            (DIAGNOSTIC_ID, &system.diagnostic_id),
            (CORRELATION_CONTEXT, &system.diagnostic_context),
        ];
        let texts = [
            (MESSAGE_ID, &system.message_id),
            (CORRELATION_ID, &system.correlation_id),
            (USER_ID, &system.user_id),
            (CONTENT_TYPE, &system.content_type),
            (CONTENT_ENCODING, &system.content_encoding),
        ];
        let mut headers = HeaderBlock::new();
        for (name, value) in annotations {
            if let Some(value) = value {
                headers = headers.with(name, &amqp::string(value));
            }
        }
        for (name, value) in texts {
            if let Some(value) = value {
                headers = headers.with(name, value.as_bytes());
            }
        }
        for (name, value) in properties.application.iter().filter(|(name, _)| !ANNOTATIONS.contains(&name.as_str())) {
            headers = match value {
                Some(value) => headers.with(name, &amqp::string(value)),
                None => headers.with(name, &amqp::null()),
            };
        }
        Self { headers, counted_bytes: properties.counted_bytes() }
    }
}
