//! A stored event as one line of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event_log::{StoredBatch, StoredEvent};
use model::api::{EventBody, EventItem};
use model::{EventHubName, PartitionId};
use serde_json::{Map, Value};

use super::{ANNOTATIONS, DEVICE_ID, MODULE_ID, TEXTS, amqp};

/// The event as operators see it.
///
/// The values of annotations and application properties are decoded; a value in no known
/// encoding is shown as text, or in base64 where it is not UTF-8.
pub(crate) fn event_item(hub: &EventHubName, partition: PartitionId, batch: &StoredBatch, event: &StoredEvent) -> EventItem {
    let mut system = Map::new();
    let mut properties = Map::new();
    for (name, value) in &event.headers {
        let name = &*String::from_utf8_lossy(name);
        let value = value.as_deref().unwrap_or_default();
        if ANNOTATIONS.contains(&name) {
            system.entry(name).or_insert_with(|| decoded(value));
        } else if TEXTS.contains(&name) && amqp::decode(value).is_none() {
            system.entry(name).or_insert_with(|| text(value));
        } else {
            properties.insert(name.to_owned(), decoded(value));
        }
    }
    let named = |name: &str| system.get(name).and_then(Value::as_str).map(str::to_owned);
    EventItem {
        hub: hub.as_str().to_owned(),
        partition,
        sequence: event.sequence,
        enqueued_time: batch.append_time,
        device_id: named(DEVICE_ID),
        module_id: named(MODULE_ID),
        system,
        properties,
        body: body(event.value.as_deref().unwrap_or_default()),
    }
}

fn decoded(value: &[u8]) -> Value {
    match amqp::decode(value) {
        Some(amqp::Value::Null) => Value::Null,
        Some(amqp::Value::Timestamp(moment)) => Value::String(moment.to_string()),
        Some(amqp::Value::String(text)) => Value::String(text.to_owned()),
        None => text(value),
    }
}

fn text(value: &[u8]) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => Value::String(STANDARD.encode(value)),
    }
}

fn body(bytes: &[u8]) -> EventBody {
    match std::str::from_utf8(bytes) {
        Ok(text) => EventBody::Text(text.to_owned()),
        Err(_) => EventBody::Base64(STANDARD.encode(bytes)),
    }
}
