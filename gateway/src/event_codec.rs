//! A message as the headers of a stored event, and back as JSON.
//!
//! The order and encoding of headers are fixed, because Kafka clients read them as they are
//! stored: first the hub's annotations, each the AMQP encoding of its typed value; then the
//! message's own system properties as UTF-8 text; then application properties as AMQP strings.
//! Annotation names cannot come from the sender, so nobody can claim another device's id.

mod amqp;
mod read;
mod write;

pub(crate) use read::event_item;
pub(crate) use write::{EncodedProperties, SenderHeaders, write_receipt};

/// The device that sent the message.
const DEVICE_ID: &str = "iothub-connection-device-id";
/// The module that sent it.
const MODULE_ID: &str = "iothub-connection-module-id";
/// Which creation of that identity.
const GENERATION_ID: &str = "iothub-connection-auth-generation-id";
/// How it proved itself, as JSON in a string.
const AUTH_METHOD: &str = "iothub-connection-auth-method";
/// When the hub received the message.
const ENQUEUED_TIME: &str = "iothub-enqueuedtime";
/// `Telemetry`, or which kind of event.
const MESSAGE_SOURCE: &str = "iothub-message-source";
/// The digital-twin model of the connection.
const DATA_SCHEMA: &str = "dt-dataschema";
/// The digital-twin component.
const SUBJECT: &str = "dt-subject";
/// The digital-twin interface.
const INTERFACE_ID: &str = "iothub-interface-id";
/// The module output.
const OUTPUT_NAME: &str = "iothub-outputname";
/// When the sender made the message.
const CREATION_TIME: &str = "iothub-creation-time-utc";
/// The schema the sender names.
const MESSAGE_SCHEMA: &str = "iothub-message-schema";
/// Diagnostics.
const DIAGNOSTIC_ID: &str = "Diagnostic-Id";
/// Diagnostics.
const CORRELATION_CONTEXT: &str = "Correlation-Context";

/// Every annotation, in the order written.
const ANNOTATIONS: [&str; 14] = [
    DEVICE_ID,
    MODULE_ID,
    GENERATION_ID,
    AUTH_METHOD,
    ENQUEUED_TIME,
    MESSAGE_SOURCE,
    DATA_SCHEMA,
    SUBJECT,
    INTERFACE_ID,
    OUTPUT_NAME,
    CREATION_TIME,
    MESSAGE_SCHEMA,
    DIAGNOSTIC_ID,
    CORRELATION_CONTEXT,
];

const MESSAGE_ID: &str = "message-id";
const CORRELATION_ID: &str = "correlation-id";
const USER_ID: &str = "user-id";
const CONTENT_TYPE: &str = "content-type";
const CONTENT_ENCODING: &str = "content-encoding";

/// The message's own system properties, in the order written.
const TEXTS: [&str; 5] = [MESSAGE_ID, CORRELATION_ID, USER_ID, CONTENT_TYPE, CONTENT_ENCODING];

#[cfg(test)]
mod tests;
