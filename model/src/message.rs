//! A message under way: what a device sent, or what it is sent.

use bytes::Bytes;

use crate::Timestamp;

/// A message: system properties, application properties in their order, and a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// System and application properties.
    pub properties: MessageProperties,
    /// The payload, uninterpreted.
    pub body: Bytes,
}

/// Everything a message carries beside its body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageProperties {
    /// Properties the protocol defines.
    pub system: SystemProperties,
    /// The sender's own properties in the order sent. `None` is a key without a value,
    /// which differs from an empty one.
    pub application: Vec<(String, Option<String>)>,
}

/// The properties with a meaning to the hub or to every client. Absent ones are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SystemProperties {
    /// The sender's id of the message, at most 128 bytes.
    pub message_id: Option<String>,
    /// The id of a message this one answers.
    pub correlation_id: Option<String>,
    /// Who is said to have made the message.
    pub user_id: Option<String>,
    /// The address the sender named.
    pub to: Option<String>,
    /// When the message stops being of use.
    pub expiry: Option<Timestamp>,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Character encoding of the body.
    pub content_encoding: Option<String>,
    /// When the sender made the message, as it wrote it.
    pub creation_time: Option<String>,
    /// Output a module sent the message to.
    pub output_name: Option<String>,
    /// Digital-twin interface.
    pub interface_id: Option<String>,
    /// Digital-twin component, `dt-subject`.
    pub component: Option<String>,
    /// Sending device of a module input.
    pub connection_device_id: Option<String>,
    /// Sending module of a module input.
    pub connection_module_id: Option<String>,
    /// Diagnostics id.
    pub diagnostic_id: Option<String>,
    /// Diagnostics correlation context.
    pub diagnostic_context: Option<String>,
    /// Schema of the body.
    pub message_schema: Option<String>,
    /// Which feedback the sender of a command wants: `none`, `positive`, `negative` or `full`.
    pub ack: Option<String>,
}

impl Message {
    /// The size that limits count: body, system property values, application names and values.
    pub fn counted_bytes(&self) -> usize {
        self.body.len() + self.properties.counted_bytes()
    }
}

impl MessageProperties {
    /// The size that limits count: system values, application names and values.
    pub fn counted_bytes(&self) -> usize {
        let application = |(name, value): &(String, Option<String>)| name.len() + value.as_ref().map_or(0, String::len);
        self.system.counted_bytes() + self.application.iter().map(application).sum::<usize>()
    }
}

impl SystemProperties {
    fn counted_bytes(&self) -> usize {
        let texts = [
            &self.message_id,
            &self.correlation_id,
            &self.user_id,
            &self.to,
            &self.content_type,
            &self.content_encoding,
            &self.creation_time,
            &self.output_name,
            &self.interface_id,
            &self.component,
            &self.connection_device_id,
            &self.connection_module_id,
            &self.diagnostic_id,
            &self.diagnostic_context,
            &self.message_schema,
            &self.ack,
        ];
        texts.into_iter().flatten().map(String::len).sum::<usize>() + self.expiry.map_or(0, |_| 8)
    }
}
