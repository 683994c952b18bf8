//! Several messages in one body: a JSON array of `{"body","base64Encoded"?,"properties"?}`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::MessageProperties;
use model::limits::BATCH_MESSAGES_MAX;
use serde::Deserialize;
use thiserror::Error;

use super::message_headers::{self, InvalidHeader};

/// The type of such a body.
const CONTENT_TYPE: &str = "application/vnd.microsoft.iothub.json";

/// Why a batch is not taken, none of its messages.
#[derive(Debug, Error)]
pub(super) enum InvalidBatch {
    /// It is not an array of messages.
    #[error("the body is no batch of messages: {0}")]
    Syntax(#[from] serde_json::Error),
    /// There is nothing in it.
    #[error("there is no message in the batch")]
    Empty,
    /// More messages than one batch may have.
    #[error("a batch may have at most {BATCH_MESSAGES_MAX} messages")]
    TooMany,
    /// A body that is said to be base64.
    #[error("the body of message {index} is not base64")]
    Base64 {
        /// Counted from 0.
        index: usize,
    },
    /// A property that may not be.
    #[error("message {index}: {error}")]
    Property {
        /// Counted from 0.
        index: usize,
        /// Why not.
        error: InvalidHeader,
    },
}

/// One of the messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchedMessage {
    pub(super) properties: MessageProperties,
    pub(super) body: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(default = "yes")]
    base64_encoded: bool,
    #[serde(borrow, default)]
    properties: BTreeMap<Cow<'a, str>, Option<Cow<'a, str>>>,
}

fn yes() -> bool {
    true
}

/// Whether a request's content type, parameters aside, is that of a batch.
pub(super) fn is_batch(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case(CONTENT_TYPE)
}

/// Reads every message, or says which is wrong.
///
/// # Errors
/// [`InvalidBatch`]
pub(super) fn read(text: &[u8]) -> Result<Vec<BatchedMessage>, InvalidBatch> {
    let items: Vec<Item<'_>> = serde_json::from_slice(text)?;
    if items.is_empty() {
        return Err(InvalidBatch::Empty);
    }
    if items.len() > BATCH_MESSAGES_MAX {
        return Err(InvalidBatch::TooMany);
    }
    items.into_iter().enumerate().map(|(index, item)| message(index, item)).collect()
}

fn message(index: usize, item: Item<'_>) -> Result<BatchedMessage, InvalidBatch> {
    let body = if item.base64_encoded {
        STANDARD.decode(item.body.as_bytes()).map_err(|_| InvalidBatch::Base64 { index })?
    } else {
        item.body.into_owned().into_bytes()
    };
    let mut properties = MessageProperties::default();
    for (name, value) in item.properties {
        let set = message_headers::set(&mut properties, &name, value.map(Cow::into_owned));
        set.map_err(|error| InvalidBatch::Property { index, error })?;
    }
    if properties.application.len() > model::limits::PROPERTIES_MAX {
        return Err(InvalidBatch::Property { index, error: InvalidHeader::TooMany });
    }
    Ok(BatchedMessage { properties, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_base64_unless_they_say_otherwise() {
        let read = read(
            br#"[{"body":"eyJ0IjoxfQ==","properties":{"iothub-app-Key":"v","iothub-messageid":"m1","iothub-app-n":null}},
                 {"body":"caf\u00e9 \"1\"","base64Encoded":false},{"body":""}]"#,
        );
        let read = read.expect("a batch");
        assert_eq!(
            read.iter().map(|message| message.body.as_slice()).collect::<Vec<_>>(),
            [&b"{\"t\":1}"[..], "café \"1\"".as_bytes(), b""]
        );
        let first = &read[0].properties;
        assert_eq!(first.system.message_id.as_deref(), Some("m1"));
        assert_eq!(first.application, [("Key".to_owned(), Some("v".to_owned())), ("n".to_owned(), None)]);
    }

    #[test]
    fn a_batch_that_cannot_be_says_which_message_is_wrong() {
        let many = format!("[{}]", vec![r#"{"body":""}"#; BATCH_MESSAGES_MAX + 1].join(","));
        let cases = [
            ("", "the body is no batch of messages: "),
            (r#"{"body":"x"}"#, "the body is no batch of messages: "),
            (r#"[{"properties":{}}]"#, "the body is no batch of messages: missing field `body`"),
            (r#"[{"body":1}]"#, "the body is no batch of messages: "),
            ("[]", "there is no message in the batch"),
            (r#"[{"body":""},{"body":"x"}]"#, "the body of message 1 is not base64"),
            (r#"[{"body":"","properties":{"iothub-app-":"v"}}]"#, "message 0: a property has no name behind iothub-app-"),
            (&many, "a batch may have at most 1000 messages"),
        ];
        for (text, expected) in cases {
            let refused = read(text.as_bytes()).expect_err(text).to_string();
            assert!(refused.starts_with(expected), "{text}: {refused}");
        }
    }

    #[test]
    fn the_type_of_a_batch_is_known_in_any_case_and_with_parameters() {
        assert!(is_batch("application/vnd.microsoft.iothub.json"));
        assert!(is_batch("Application/vnd.Microsoft.IoTHub.json; charset=utf-8"));
        assert!(!is_batch("application/json"));
    }
}
