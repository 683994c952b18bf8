//! The few AMQP 1.0 primitives that header values are made of (part 1.6 of the specification).

use model::Timestamp;

const NULL: u8 = 0x40;
const TIMESTAMP: u8 = 0x83;
const STRING_8: u8 = 0xA1;
const STRING_32: u8 = 0xB1;

/// A decoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// No value.
    Null,
    /// A moment.
    Timestamp(Timestamp),
    /// A text.
    String(&'a str),
}

/// Encodes a text, in one byte of length where that suffices.
pub(super) fn string(text: &str) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len() + 5);
    match u8::try_from(text.len()) {
        Ok(length) => encoded.extend([STRING_8, length]),
        Err(_) => {
            encoded.push(STRING_32);
            // A property is bounded far below 4 GiB by the packet that carried it.
            encoded.extend((text.len() as u32).to_be_bytes());
        }
    }
    encoded.extend(text.as_bytes());
    encoded
}

/// Encodes a moment.
pub(super) fn timestamp(moment: Timestamp) -> [u8; 9] {
    let mut encoded = [TIMESTAMP; 9];
    if let Some(milliseconds) = encoded.last_chunk_mut() {
        *milliseconds = moment.as_milliseconds().to_be_bytes();
    }
    encoded
}

/// Encodes the absence of a value.
pub(super) fn null() -> [u8; 1] {
    [NULL]
}

/// Decodes a value that fills `bytes`; `None` if it is none of these.
pub(super) fn decode(bytes: &[u8]) -> Option<Value<'_>> {
    let (constructor, rest) = bytes.split_first()?;
    match *constructor {
        NULL if rest.is_empty() => Some(Value::Null),
        TIMESTAMP => {
            let milliseconds = i64::from_be_bytes(rest.try_into().ok()?);
            Some(Value::Timestamp(Timestamp::from_milliseconds(milliseconds)))
        }
        STRING_8 => {
            let (length, text) = rest.split_first()?;
            text_of_length(text, usize::from(*length))
        }
        STRING_32 => {
            let (length, text) = rest.split_first_chunk::<4>()?;
            text_of_length(text, usize::try_from(u32::from_be_bytes(*length)).ok()?)
        }
        _ => None,
    }
}

fn text_of_length(bytes: &[u8], length: usize) -> Option<Value<'_>> {
    if bytes.len() != length {
        return None;
    }
    std::str::from_utf8(bytes).ok().map(Value::String)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_as_they_were_written() {
        let long = "x".repeat(256);
        for text in ["", "hello", &"x".repeat(255), &long] {
            assert_eq!(decode(&string(text)), Some(Value::String(text)));
        }
        assert_eq!(string("hello"), b"\xA1\x05hello");
        let moment = Timestamp::from_milliseconds(1_795_000_000_123);
        assert_eq!(decode(&timestamp(moment)), Some(Value::Timestamp(moment)));
        assert_eq!(decode(&null()), Some(Value::Null));
    }

    #[test]
    fn other_bytes_are_no_value() {
        for bytes in [&b""[..], b"text", b"\xA1\x05hell", b"\xA1\x01\xFF", b"\x83\x00", b"\x40\x00", b"\xB1\xFF\xFF\xFF\xFF"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
