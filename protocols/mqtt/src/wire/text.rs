//! UTF-8 strings of the protocol (MQTT 5 §1.5.4).

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use bytes::Bytes;
use bytestring::ByteString;
use thiserror::Error;

/// The longest string or binary field, in bytes: its length is a 16-bit number.
pub const FIELD_BYTES_MAX: usize = u16::MAX as usize;

/// UTF-8 text of at most 65,535 bytes without U+0000.
///
/// Decoded text is a slice of the packet it came in: cloning counts a reference, and keeping it
/// keeps the packet's buffer. [`Text::detached`] makes a copy that does not.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(ByteString);

/// Why bytes are not [`Text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidText {
    /// The bytes are not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// U+0000 occurs.
    #[error("text contains U+0000")]
    Null,
    /// More than 65,535 bytes.
    #[error("text of {length} bytes does not fit a 16-bit length")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl Text {
    /// Takes bytes that came from the wire.
    ///
    /// # Errors
    /// [`InvalidText`], with U+0000 found before the bytes are looked at as UTF-8.
    #[inline]
    pub fn from_bytes(bytes: Bytes) -> Result<Self, InvalidText> {
        if bytes.len() > FIELD_BYTES_MAX {
            return Err(InvalidText::TooLong { length: bytes.len() });
        }
        if has_byte(&bytes, |byte| byte == 0) {
            return Err(InvalidText::Null);
        }
        ByteString::try_from(bytes).map(Self).map_err(|_| InvalidText::NotUtf8)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A copy that shares no memory with the packet the text came in.
    pub fn detached(&self) -> Self {
        Self(ByteString::from(self.as_str()))
    }
}

/// Whether any byte satisfies `predicate`; without an early exit, so that it compiles to vector
/// instructions.
#[inline]
pub(super) fn has_byte(bytes: &[u8], predicate: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |found, &byte| found | predicate(byte))
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl TryFrom<String> for Text {
    type Error = InvalidText;
    fn try_from(text: String) -> Result<Self, InvalidText> {
        Self::from_bytes(Bytes::from(text))
    }
}

impl TryFrom<&str> for Text {
    type Error = InvalidText;
    fn try_from(text: &str) -> Result<Self, InvalidText> {
        Self::from_bytes(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl FromStr for Text {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        Self::try_from(text)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<&str, InvalidText>) {
        assert_eq!(Text::from_bytes(Bytes::copy_from_slice(bytes)).as_deref(), expected.as_ref().copied(), "{bytes:02x?}");
    }

    #[test]
    fn text_is_utf8_without_null() {
        check(b"", Ok(""));
        check("größe".as_bytes(), Ok("größe"));
        check(b"\xef\xbb\xbfmarked", Ok("\u{feff}marked"));
        check(b"a\0b", Err(InvalidText::Null));
        check(b"\xff", Err(InvalidText::NotUtf8));
        check(b"\xed\xa0\x80", Err(InvalidText::NotUtf8));
        check(b"\xc0\x80", Err(InvalidText::NotUtf8));
    }

    #[test]
    fn text_fits_a_16_bit_length() {
        assert!(Text::try_from("x".repeat(65_535)).is_ok());
        assert_eq!(Text::try_from("x".repeat(65_536)), Err(InvalidText::TooLong { length: 65_536 }));
    }
}
