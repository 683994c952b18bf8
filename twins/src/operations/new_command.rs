//! What a command must be to be stored.

use std::time::Duration;

use model::limits::{COMMAND_BYTES_MAX, COMMAND_EXPIRY_MAX, MESSAGE_ID_BYTES_MAX};
use model::property_bag::{self, InvalidPropertyBag};
use model::{Identity, MessageProperties, Timestamp};

use super::command_types::{EnqueueError, NewCommand};
use crate::command_queue::guid;
use crate::feedback::Ack;
use crate::store::command_rows::CommandRow;

/// Checks a command and makes its row, still without a sequence number.
///
/// # Errors
/// [`EnqueueError`].
pub(super) fn new_row(
    identity: &Identity,
    command: NewCommand,
    now: Timestamp,
    expiry_default: Duration,
) -> Result<CommandRow, EnqueueError> {
    let NewCommand { mut message, expiry, ack, input } = command;
    let bytes = message.counted_bytes();
    if bytes > COMMAND_BYTES_MAX {
        return Err(EnqueueError::TooLarge { bytes });
    }
    let expiry = checked_expiry(expiry, now, expiry_default).map_err(|expiry| EnqueueError::InvalidExpiry { expiry })?;
    let message_id = message.properties.system.message_id.take().unwrap_or_else(|| guid(rand::random()));
    if message_id.len() > MESSAGE_ID_BYTES_MAX {
        return Err(EnqueueError::MessageIdTooLong { bytes: message_id.len() });
    }
    message.properties.system.message_id = Some(message_id.clone());
    message.properties.system.to = Some(address(identity, input)?);
    message.properties.system.expiry = Some(expiry);
    message.properties.system.ack = (ack != Ack::None).then(|| ack.as_str().to_owned());
    let properties = to_bag(&message.properties)?;
    let ack = ack.as_str().to_owned();
    Ok(CommandRow { sequence: 0, message_id, delivery_count: 0, enqueued: now, expiry, ack, properties, body: message.body.into() })
}

/// When a command expires that is sent at `now`; an error is what was asked for and may not be.
pub(super) fn checked_expiry(asked: Option<Timestamp>, now: Timestamp, default: Duration) -> Result<Timestamp, Timestamp> {
    match asked {
        None => Ok(now.saturating_add(default)),
        Some(expiry) if expiry <= now || expiry > now.saturating_add(COMMAND_EXPIRY_MAX) => Err(expiry),
        Some(expiry) => Ok(expiry),
    }
}

/// The address of a command, which receivers see as `to`.
fn address(identity: &Identity, input: Option<String>) -> Result<String, EnqueueError> {
    let device = &identity.device;
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    match (&identity.module, input) {
        (None, None) => Ok(format!("/devices/{device}/messages/deviceBound")),
        (Some(module), None) => Ok(format!("/devices/{device}/modules/{module}/messages/deviceBound")),
        (Some(module), Some(input)) if is_name(&input) => Ok(format!("/devices/{device}/modules/{module}/inputs/{input}")),
        (Some(_) | None, Some(input)) => Err(EnqueueError::InvalidInput { input, identity: identity.clone() }),
    }
}

/// The properties in the form they are delivered in. What would not come back from it the same
/// is refused here rather than when it is delivered.
fn to_bag(properties: &MessageProperties) -> Result<String, EnqueueError> {
    let is_token = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    for (name, value) in &properties.application {
        if name.is_empty() || !is_token(name) || !value.as_deref().is_none_or(is_token) {
            return Err(EnqueueError::InvalidProperty { name: name.clone() });
        }
    }
    let bag = property_bag::format(properties);
    match property_bag::parse(&bag) {
        Ok(read) if read == *properties => Ok(bag),
        Ok(read) => {
            let differs = |(name, _): &&(String, Option<String>)| !read.application.iter().any(|(other, _)| other == name);
            let name = properties.application.iter().find(differs).map(|(name, _)| name.clone()).unwrap_or_default();
            Err(EnqueueError::InvalidProperty { name })
        }
        Err(InvalidPropertyBag::TooLong { length }) => Err(EnqueueError::PropertiesTooLarge { bytes: length }),
        Err(InvalidPropertyBag::TooMany) => Err(EnqueueError::PropertiesTooLarge { bytes: bag.len() }),
        Err(InvalidPropertyBag::SystemValue { name }) => Err(EnqueueError::InvalidProperty { name: name.to_owned() }),
        Err(InvalidPropertyBag::Encoding { .. } | InvalidPropertyBag::NameMissing { .. }) => {
            Err(EnqueueError::InvalidProperty { name: String::new() })
        }
    }
}
