//! The body of a request that sends messages: one as it is, several as a JSON array.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::limits::{BATCH_MESSAGES_MAX, TELEMETRY_BYTES_MAX};
use model::{DeviceId, SystemProperties};
use serde_json::{Map, Value, json};

use crate::transport::properties as properties_of;

/// The type of the body of several messages.
const SEVERAL: &str = "application/vnd.microsoft.iothub.json";

/// A message with its device's running number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) number: u64,
    pub(super) body: Bytes,
}

/// Messages that go in one request; never empty.
#[derive(Debug)]
pub(super) struct Batch {
    numbers: Vec<u64>,
    /// The message, as long as it is the only one.
    single: Option<(SystemProperties, Bytes)>,
    /// Each as an item of the array, parted by commas.
    items: String,
}

/// A request's headers, beside those of every request, and its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Batch {
    /// A message alone, however long.
    pub(super) fn of(device: &DeviceId, message: Message) -> Self {
        let properties = properties_of(device, message.number);
        let items = item(&properties, &message.body);
        Self { numbers: vec![message.number], single: Some((properties, message.body)), items }
    }

    /// Takes in another, or gives it back when the request would become larger than the hub takes.
    pub(super) fn add(&mut self, device: &DeviceId, message: Message) -> Result<(), Message> {
        let item = item(&properties_of(device, message.number), &message.body);
        // The brackets, and a comma.
        let length = self.items.len() + item.len() + 3;
        if self.numbers.len() == BATCH_MESSAGES_MAX || length > TELEMETRY_BYTES_MAX {
            return Err(message);
        }
        self.items.push(',');
        self.items.push_str(&item);
        self.numbers.push(message.number);
        self.single = None;
        Ok(())
    }

    /// The numbers of the messages, in order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.numbers.iter().copied()
    }

    /// What is to be sent.
    pub(super) fn content(&self) -> Content {
        match &self.single {
            Some((properties, body)) => Content { headers: headers(properties), body: body.clone() },
            None => Content { headers: vec![("content-type", SEVERAL.into())], body: Bytes::from(format!("[{}]", self.items)) },
        }
    }
}

fn item(properties: &SystemProperties, body: &[u8]) -> String {
    let properties: Map<_, _> = headers(properties).into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    json!({"body": STANDARD.encode(body), "properties": properties}).to_string()
}

/// The properties that messages of this fleet have, under their names over HTTPS.
fn headers(properties: &SystemProperties) -> Vec<(&'static str, String)> {
    let named = [
        ("iothub-messageid", &properties.message_id),
        ("iothub-contenttype", &properties.content_type),
        ("iothub-contentencoding", &properties.content_encoding),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceId {
        "d1".parse().expect("a device id")
    }

    fn message(number: u64, body: &[u8]) -> Message {
        Message { number, body: Bytes::copy_from_slice(body) }
    }

    #[test]
    fn a_message_alone_goes_as_it_is_with_its_properties_as_headers() {
        let content = Batch::of(&device(), message(7, b"{\"t\":1}")).content();
        assert_eq!(content.body, "{\"t\":1}");
        let expected = [("iothub-messageid", "d1-7"), ("iothub-contenttype", "application/json"), ("iothub-contentencoding", "utf-8")];
        assert_eq!(content.headers, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn several_go_together_in_order_each_with_its_own_properties() {
        let mut batch = Batch::of(&device(), message(1, b"one"));
        assert_eq!(batch.add(&device(), message(2, &[0xff])), Ok(()));
        assert_eq!(batch.numbers().collect::<Vec<_>>(), [1, 2]);
        let content = batch.content();
        assert_eq!(content.headers, [("content-type", "application/vnd.microsoft.iothub.json".to_owned())]);
        let items: Value = serde_json::from_slice(&content.body).expect("JSON");
        let bodies: Vec<_> = items.as_array().expect("an array").iter().map(|item| &item["body"]).collect();
        assert_eq!(bodies, ["b25l", "/w=="]);
        assert_eq!(items[1]["properties"]["iothub-messageid"], "d1-2");
    }

    #[test]
    fn a_batch_takes_no_more_than_the_hub_does() {
        let mut batch = Batch::of(&device(), message(1, b"x"));
        let large = message(2, &vec![b'x'; TELEMETRY_BYTES_MAX * 3 / 4]);
        assert_eq!(batch.add(&device(), large.clone()), Err(large), "in base64 it is too long");
        let taken = (2..).take_while(|number| batch.add(&device(), message(*number, &[b'x'; 1024])).is_ok()).count();
        assert!(batch.content().body.len() <= TELEMETRY_BYTES_MAX);
        assert!((150..200).contains(&taken), "{taken}");
        let mut short = Batch::of(&device(), message(1, b""));
        assert_eq!((2..).take_while(|number| short.add(&device(), message(*number, b"")).is_ok()).count() + 1, BATCH_MESSAGES_MAX);
    }
}
