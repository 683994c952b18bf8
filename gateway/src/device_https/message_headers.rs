//! Properties of messages as HTTP headers: `iothub-app-{name}` for the sender's own, fixed names
//! for the others (`iot-hub-wire` §1.5). Header names have no case, so names of properties that
//! come this way are in lower case; those of a batch stay as they are written.

use axum::http::header::{CONTENT_ENCODING, InvalidHeaderValue};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use model::limits::{MESSAGE_ID_BYTES_MAX, PROPERTIES_MAX};
use model::{MessageProperties, SystemProperties};
use thiserror::Error;
use twins::LockedCommand;

/// What stands before the name of an application property.
const APPLICATION: &str = "iothub-app-";
/// An application property that several clients send instead of the system property.
const CREATION_TIME: &str = "iothub-creation-time-utc";
/// Characters of a bad name that are shown.
const SHOWN_CHARACTERS_MAX: usize = 64;

/// Why a message's properties are not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum InvalidHeader {
    /// A value that is not UTF-8.
    #[error("the value of {name} is not UTF-8")]
    Encoding {
        /// The property.
        name: String,
    },
    /// The same property twice.
    #[error("{name} is given twice")]
    Twice {
        /// The property.
        name: String,
    },
    /// An application property without a name.
    #[error("a property has no name behind {APPLICATION}")]
    NameMissing,
    /// A value that is too long.
    #[error("{name} may have at most {MESSAGE_ID_BYTES_MAX} bytes")]
    TooLong {
        /// The property.
        name: String,
    },
    /// More than 100 properties.
    #[error("a message may have at most {PROPERTIES_MAX} properties")]
    TooMany,
    /// A compressed body, which whoever reads the event could not make sense of.
    #[error("a body is taken as it is; the content coding {coding} is not undone")]
    ContentCoding {
        /// What was sent.
        coding: String,
    },
}

/// Reads the properties of a message. Headers that are none are left alone, unknown ones of the
/// hub's among them. `Content-Type` is of the request and not of the message: clients set it
/// without being asked.
///
/// # Errors
/// [`InvalidHeader`]
pub(super) fn read(headers: &HeaderMap) -> Result<MessageProperties, InvalidHeader> {
    let mut properties = MessageProperties::default();
    let mut count = 0;
    for name in headers.keys().filter(|name| is_property(name.as_str())) {
        let name = name.as_str();
        let mut values = headers.get_all(name).iter();
        let (first, second) = (values.next(), values.next());
        if second.is_some() {
            return Err(InvalidHeader::Twice { name: shown(name) });
        }
        let value = first.map(HeaderValue::as_bytes).unwrap_or_default();
        let value = std::str::from_utf8(value).map_err(|_| InvalidHeader::Encoding { name: shown(name) })?;
        count += 1;
        if count > PROPERTIES_MAX {
            return Err(InvalidHeader::TooMany);
        }
        set(&mut properties, name, Some(value.to_owned()))?;
    }
    take_content_coding(headers, &mut properties.system)?;
    Ok(properties)
}

fn is_property(name: &str) -> bool {
    name.starts_with("iothub-") || name == "dt-subject"
}

/// Some clients write the character encoding where HTTP has the compression.
fn take_content_coding(headers: &HeaderMap, system: &mut SystemProperties) -> Result<(), InvalidHeader> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(()) };
    let coding = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    if coding.is_empty() || coding == "identity" {
        return Ok(());
    }
    if !coding.starts_with("utf-") {
        return Err(InvalidHeader::ContentCoding { coding: shown(&coding) });
    }
    system.content_encoding.get_or_insert(coding);
    Ok(())
}

/// Sets the property called `name`, as a header or a batch calls it. What the hub knows of no such
/// name is left out.
///
/// # Errors
/// [`InvalidHeader`]
pub(super) fn set(properties: &mut MessageProperties, name: &str, value: Option<String>) -> Result<(), InvalidHeader> {
    let application = name.get(..APPLICATION.len()).filter(|prefix| prefix.eq_ignore_ascii_case(APPLICATION));
    let Some(own) = application.and_then(|_| name.get(APPLICATION.len()..)) else {
        return set_system(&mut properties.system, &name.to_ascii_lowercase(), value);
    };
    match own {
        "" => Err(InvalidHeader::NameMissing),
        CREATION_TIME => {
            if properties.system.creation_time.is_none() {
                properties.system.creation_time = value;
            }
            Ok(())
        }
        own => {
            properties.application.push((own.to_owned(), value));
            Ok(())
        }
    }
}

fn set_system(system: &mut SystemProperties, name: &str, value: Option<String>) -> Result<(), InvalidHeader> {
    let slot = match name {
        "iothub-messageid" => &mut system.message_id,
        "iothub-correlationid" => &mut system.correlation_id,
        "iothub-userid" => &mut system.user_id,
        "iothub-to" => &mut system.to,
        "iothub-contenttype" => &mut system.content_type,
        "iothub-contentencoding" => &mut system.content_encoding,
        "iothub-creationtimeutc" | CREATION_TIME => &mut system.creation_time,
        "iothub-outputname" => &mut system.output_name,
        "iothub-interface-id" => &mut system.interface_id,
        "dt-subject" => &mut system.component,
        "iothub-messageschema" => &mut system.message_schema,
        "iothub-ack" => &mut system.ack,
        // An event does not expire, so `iothub-expiry` says nothing, in whichever form it is written.
        _ => return Ok(()),
    };
    let is_bounded = matches!(name, "iothub-messageid" | "iothub-correlationid");
    if is_bounded && value.as_ref().is_some_and(|text| text.len() > MESSAGE_ID_BYTES_MAX) {
        return Err(InvalidHeader::TooLong { name: shown(name) });
    }
    *slot = value;
    Ok(())
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN_CHARACTERS_MAX).collect()
}

/// The headers that go with a command.
///
/// # Errors
/// A property holds what no header can: a control character.
pub(super) fn of_command(command: &LockedCommand) -> Result<HeaderMap, InvalidHeaderValue> {
    let system = &command.message.properties.system;
    let mut headers = HeaderMap::new();
    let texts = [
        ("iothub-messageid", &system.message_id),
        ("iothub-correlationid", &system.correlation_id),
        ("iothub-userid", &system.user_id),
        ("iothub-to", &system.to),
        ("iothub-ack", &system.ack),
        ("iothub-contenttype", &system.content_type),
        ("iothub-contentencoding", &system.content_encoding),
        // The names under which the C SDK looks for them.
        ("contenttype", &system.content_type),
        ("contentencoding", &system.content_encoding),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes())?);
        }
    }
    if let Some(expiry) = system.expiry {
        headers.insert("iothub-expiry", HeaderValue::try_from(expiry.to_string())?);
    }
    headers.insert("iothub-sequencenumber", HeaderValue::from(command.sequence_number));
    headers.insert("iothub-deliverycount", HeaderValue::from(command.delivery_count));
    headers.insert("iothub-enqueuedtime", HeaderValue::try_from(command.enqueued_time.to_string())?);
    headers.insert("etag", HeaderValue::try_from(format!("\"{}\"", command.lock))?);
    for (name, value) in &command.message.properties.application {
        // Names are checked when a command is sent: each of them makes a header's name.
        if let Ok(name) = HeaderName::try_from(format!("{APPLICATION}{name}")) {
            headers.append(name, HeaderValue::from_bytes(value.as_deref().unwrap_or_default().as_bytes())?);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a [u8])];

    fn headers(pairs: Pairs<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).expect("a name"), HeaderValue::from_bytes(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn every_system_property_has_its_header() {
        let text = |value: &str| Some(value.to_owned());
        let read = read(&headers(&[
            ("IoTHub-MessageId", b"mid"),
            ("iothub-correlationid", b"cid"),
            ("iothub-userid", b"uid"),
            ("iothub-to", b"/devices/d/messages/events"),
            ("iothub-contenttype", b"application/json"),
            ("iothub-contentencoding", b"utf-8"),
            ("iothub-creationtimeutc", b"2026-01-01T00:00:00Z"),
            ("iothub-interface-id", b"ifid"),
            ("dt-subject", b"sub"),
            ("iothub-messageschema", b"schema"),
            ("iothub-ack", b"full"),
            ("iothub-expiry", b"Thu Jan 01 2026 00:00:00 GMT+0000"),
            ("content-type", b"application/octet-stream"),
            ("iothub-app-Colour", "röt".as_bytes()),
            ("iothub-app-empty", b""),
        ]));
        let system = SystemProperties {
            message_id: text("mid"),
            correlation_id: text("cid"),
            user_id: text("uid"),
            to: text("/devices/d/messages/events"),
            content_type: text("application/json"),
            content_encoding: text("utf-8"),
            creation_time: text("2026-01-01T00:00:00Z"),
            interface_id: text("ifid"),
            component: text("sub"),
            message_schema: text("schema"),
            ack: text("full"),
            ..SystemProperties::default()
        };
        let application = vec![("colour".to_owned(), text("röt")), ("empty".to_owned(), text(""))];
        assert_eq!(read, Ok(MessageProperties { system, application }));
    }

    #[test]
    fn properties_that_cannot_be_are_named() {
        let name = |name: &str| name.to_owned();
        let long = [b'x'; MESSAGE_ID_BYTES_MAX + 1];
        let cases: [(Pairs<'_>, InvalidHeader); 7] = [
            (&[("iothub-app-k", b"\xFF")], InvalidHeader::Encoding { name: name("iothub-app-k") }),
            (&[("iothub-app-k", b"1"), ("iothub-app-k", b"2")], InvalidHeader::Twice { name: name("iothub-app-k") }),
            (&[("iothub-messageid", b"1"), ("iothub-messageid", b"1")], InvalidHeader::Twice { name: name("iothub-messageid") }),
            (&[("iothub-app-", b"v")], InvalidHeader::NameMissing),
            (&[("iothub-messageid", &long)], InvalidHeader::TooLong { name: name("iothub-messageid") }),
            (&[("iothub-correlationid", &long)], InvalidHeader::TooLong { name: name("iothub-correlationid") }),
            (&[("content-encoding", b"gzip")], InvalidHeader::ContentCoding { coding: name("gzip") }),
        ];
        for (pairs, expected) in cases {
            assert_eq!(read(&headers(pairs)), Err(expected));
        }
        let many: Vec<String> = (0..=PROPERTIES_MAX).map(|number| format!("iothub-app-{number}")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"v"[..])).collect();
        assert_eq!(read(&headers(&many)), Err(InvalidHeader::TooMany));
    }

    #[test]
    fn encoding_and_creation_time_are_found_where_clients_put_them() {
        let read = |pairs: Pairs<'_>| read(&headers(pairs)).expect("properties").system;
        assert_eq!(read(&[("content-encoding", b"UTF-8")]).content_encoding.as_deref(), Some("utf-8"));
        assert_eq!(read(&[("content-encoding", b"identity")]).content_encoding, None);
        let both: Pairs<'_> = &[("content-encoding", b"utf-8"), ("iothub-contentencoding", b"utf-16")];
        assert_eq!(read(both).content_encoding.as_deref(), Some("utf-16"));
        assert_eq!(read(&[("iothub-app-iothub-creation-time-utc", b"t")]).creation_time.as_deref(), Some("t"));
    }
}
