//! The property bag that ends a hub topic: `%24.mid=7&%24.ct=text%2Fplain&colour=red`.
//!
//! Reading is lenient because clients differ (encoded or bare dollar, a `?` before, a `/` after);
//! writing follows the one form that every client reads: the dollar encoded, system properties
//! first, `%20` for a space.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use crate::limits::{MESSAGE_ID_BYTES_MAX, PROPERTIES_MAX, PROPERTY_BAG_BYTES_MAX};
use crate::{MessageProperties, SystemProperties, Timestamp};

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why a text is not a property bag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPropertyBag {
    /// Longer than 16 KiB.
    #[error("a property bag may have at most {PROPERTY_BAG_BYTES_MAX} bytes, this one has {length}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// More than 100 properties.
    #[error("a message may have at most {PROPERTIES_MAX} properties")]
    TooMany,
    /// A `%` that does not start an encoded byte, or bytes that are not UTF-8.
    #[error("property number {index} is not percent-encoded UTF-8")]
    Encoding {
        /// Counted from 1.
        index: usize,
    },
    /// A value without a name.
    #[error("property number {index} has no name")]
    NameMissing {
        /// Counted from 1.
        index: usize,
    },
    /// A system property whose value is out of bounds or not of its type.
    #[error("the system property {name} has a value it may not have")]
    SystemValue {
        /// The property's name as in the bag.
        name: &'static str,
    },
}

/// Reads a bag into system and application properties.
///
/// A leading `?` and one trailing `/` are stripped; a `+` is a plus sign; of a system property
/// given twice the last counts; unknown system properties are kept as application properties.
///
/// # Errors
/// [`InvalidPropertyBag`] names the first property that is wrong.
pub fn parse(bag: &str) -> Result<MessageProperties, InvalidPropertyBag> {
    if bag.len() > PROPERTY_BAG_BYTES_MAX {
        return Err(InvalidPropertyBag::TooLong { length: bag.len() });
    }
    let bag = bag.strip_prefix('?').unwrap_or(bag);
    let bag = bag.strip_suffix('/').unwrap_or(bag);
    let mut properties = MessageProperties::default();
    for (position, pair) in bag.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if position == PROPERTIES_MAX {
            return Err(InvalidPropertyBag::TooMany);
        }
        let index = position + 1;
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) => (decode(name, index)?, Some(decode(value, index)?)),
            None => (decode(pair, index)?, None),
        };
        if name.is_empty() {
            return Err(InvalidPropertyBag::NameMissing { index });
        }
        set(&mut properties, &name, value)?;
    }
    Ok(properties)
}

fn decode(text: &str, index: usize) -> Result<Cow<'_, str>, InvalidPropertyBag> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let escapes_are_whole = text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes();
        matches!((digits.next(), digits.next()), (Some(a), Some(b)) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
    });
    if !escapes_are_whole {
        return Err(InvalidPropertyBag::Encoding { index });
    }
    percent_decode_str(text).decode_utf8().map_err(|_| InvalidPropertyBag::Encoding { index })
}

fn set(properties: &mut MessageProperties, name: &str, value: Option<Cow<'_, str>>) -> Result<(), InvalidPropertyBag> {
    if name == "$.exp" {
        let moment = value.as_deref().map(parse_expiry).transpose()?;
        properties.system.expiry = moment;
        return Ok(());
    }
    let value = value.map(Cow::into_owned);
    match text_slot(&mut properties.system, name) {
        Some((name, slot)) => {
            let bounded = matches!(name, "$.mid" | "$.cid");
            if bounded && value.as_ref().is_some_and(|text| text.len() > MESSAGE_ID_BYTES_MAX) {
                return Err(InvalidPropertyBag::SystemValue { name });
            }
            *slot = value;
        }
        None => properties.application.push((name.to_owned(), value)),
    }
    Ok(())
}

/// Seconds since the epoch, or a date: clients write either.
fn parse_expiry(text: &str) -> Result<Timestamp, InvalidPropertyBag> {
    let invalid = InvalidPropertyBag::SystemValue { name: "$.exp" };
    match text.parse::<i64>() {
        Ok(seconds) => Ok(Timestamp::from_milliseconds(seconds.saturating_mul(1000))),
        Err(_) => Timestamp::parse_rfc3339(text).map_err(|_| invalid),
    }
}

fn text_slot<'a>(system: &'a mut SystemProperties, name: &str) -> Option<(&'static str, &'a mut Option<String>)> {
    Some(match name {
        "$.to" => ("$.to", &mut system.to),
        "$.mid" => ("$.mid", &mut system.message_id),
        "$.cid" => ("$.cid", &mut system.correlation_id),
        "$.uid" => ("$.uid", &mut system.user_id),
        "$.ct" => ("$.ct", &mut system.content_type),
        "$.ce" => ("$.ce", &mut system.content_encoding),
        "$.ctime" => ("$.ctime", &mut system.creation_time),
        "$.on" => ("$.on", &mut system.output_name),
        "$.ifid" => ("$.ifid", &mut system.interface_id),
        "$.sub" => ("$.sub", &mut system.component),
        "$.cdid" => ("$.cdid", &mut system.connection_device_id),
        "$.cmid" => ("$.cmid", &mut system.connection_module_id),
        "$.diagid" => ("$.diagid", &mut system.diagnostic_id),
        "$.diagctx" => ("$.diagctx", &mut system.diagnostic_context),
        "$.schema" => ("$.schema", &mut system.message_schema),
        "iothub-ack" => ("iothub-ack", &mut system.ack),
        _ => return None,
    })
}

/// Writes a bag: system properties first and `$.to` before all others, then application
/// properties in their order.
pub fn format(properties: &MessageProperties) -> String {
    let system = &properties.system;
    let expiry = system.expiry.map(|moment| moment.to_string());
    let pairs = [
        ("$.to", &system.to),
        ("$.mid", &system.message_id),
        ("$.cid", &system.correlation_id),
        ("$.uid", &system.user_id),
        ("$.exp", &expiry),
        ("$.ct", &system.content_type),
        ("$.ce", &system.content_encoding),
        ("$.ctime", &system.creation_time),
        ("$.on", &system.output_name),
        ("$.ifid", &system.interface_id),
        ("$.sub", &system.component),
        ("$.cdid", &system.connection_device_id),
        ("$.cmid", &system.connection_module_id),
        ("$.diagid", &system.diagnostic_id),
        ("$.diagctx", &system.diagnostic_context),
        ("$.schema", &system.message_schema),
        ("iothub-ack", &system.ack),
    ];
    let mut bag = String::new();
    for (name, value) in pairs {
        if let Some(value) = value {
            append(&mut bag, name, Some(value));
        }
    }
    for (name, value) in &properties.application {
        append(&mut bag, name, value.as_deref());
    }
    bag
}

fn append(bag: &mut String, name: &str, value: Option<&str>) {
    if !bag.is_empty() {
        bag.push('&');
    }
    let name = utf8_percent_encode(name, ENCODED);
    // Writing to a String cannot fail.
    let _ = match value {
        Some(value) => write!(bag, "{name}={}", utf8_percent_encode(value, ENCODED)),
        None => write!(bag, "{name}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bag: &str, expect: Result<&[(&str, Option<&str>)], InvalidPropertyBag>) -> SystemProperties {
        let read = parse(bag);
        let owned = |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
        let application = read.as_ref().map(|p| p.application.clone()).map_err(Clone::clone);
        assert_eq!(application, expect.map(|pairs| pairs.iter().map(owned).collect()), "{bag}");
        read.map(|p| p.system).unwrap_or_default()
    }

    #[test]
    fn bags_of_every_client_are_read() {
        let python = check("%24.mid=m%201&%24.ct=application%2Fjson&%24.ce=utf-8&a=1", Ok(&[("a", Some("1"))]));
        assert_eq!(python.message_id.as_deref(), Some("m 1"));
        assert_eq!(python.content_type.as_deref(), Some("application/json"));
        let node = check("%24.on=out1&key%20%26%3D=v%20%C3%A9%2B/", Ok(&[("key &=", Some("v é+"))]));
        assert_eq!(node.output_name.as_deref(), Some("out1"));
        let bare = check("?$.cid=c&iothub-ack=full", Ok(&[]));
        assert_eq!((bare.correlation_id.as_deref(), bare.ack.as_deref()), (Some("c"), Some("full")));
        check("", Ok(&[]));
        check("/", Ok(&[]));
        check("a+b=c+d", Ok(&[("a+b", Some("c+d"))]));
        check("null&empty=", Ok(&[("null", None), ("empty", Some(""))]));
        check("$.unknown=1", Ok(&[("$.unknown", Some("1"))]));
    }

    #[test]
    fn a_broken_bag_is_refused_with_its_place() {
        check("a=1&b=%2", Err(InvalidPropertyBag::Encoding { index: 2 }));
        check("a=%zz", Err(InvalidPropertyBag::Encoding { index: 1 }));
        check("a=%ff", Err(InvalidPropertyBag::Encoding { index: 1 }));
        check("=x", Err(InvalidPropertyBag::NameMissing { index: 1 }));
        check("$.exp=soon", Err(InvalidPropertyBag::SystemValue { name: "$.exp" }));
        check(&format!("$.mid={}", "x".repeat(129)), Err(InvalidPropertyBag::SystemValue { name: "$.mid" }));
        check(&"&a=b".repeat(101), Err(InvalidPropertyBag::TooMany));
        let length = PROPERTY_BAG_BYTES_MAX + 1;
        check(&"x".repeat(length), Err(InvalidPropertyBag::TooLong { length }));
    }

    #[test]
    fn a_bag_reads_back_as_it_was_written() {
        let properties = MessageProperties {
            system: SystemProperties {
                to: Some("/devices/dev1/messages/deviceBound".into()),
                message_id: Some("m1".into()),
                expiry: Some(Timestamp::from_milliseconds(1_795_000_000_123)),
                ack: Some("full".into()),
                ..SystemProperties::default()
            },
            application: vec![("a b".into(), Some("ü&=".into())), ("empty".into(), Some(String::new())), ("null".into(), None)],
        };
        let bag = format(&properties);
        assert!(bag.starts_with("%24.to=%2Fdevices%2Fdev1%2Fmessages%2FdeviceBound&%24.mid=m1&"), "{bag}");
        assert_eq!(parse(&bag), Ok(properties));
    }
}
