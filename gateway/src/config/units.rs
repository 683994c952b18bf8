//! Quantities as a configuration writes them: a number and its unit in one text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A number of bytes: `"64 MiB"`, `"512 KiB"`, `"100 bytes"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(pub(crate) u64);

/// A length of time: `"10s"`, `"1h 30m"`, `"250ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

/// A text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InvalidQuantity {
    /// Not a size.
    #[error("{0:?} is not a size; write a whole number and its unit, like \"64 MiB\" (units: bytes, KiB, MiB, GiB, TiB)")]
    Size(String),
    /// Not a length of time.
    #[error("{0:?} is not a length of time; write a number and its unit, like \"10s\", \"5m\" or \"1h 30m\"")]
    Span(String),
}

/// From the largest, so that a size is written with the largest unit that divides it.
const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("bytes", 0)];

impl FromStr for ByteSize {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let invalid = || InvalidQuantity::Size(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(invalid)?;
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let (_, shift) = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(invalid)?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divides = |shift: u32| self.0.is_multiple_of(1 << shift);
        let (unit, shift) = UNITS.into_iter().find(|(_, shift)| self.0 > 0 && divides(*shift)).unwrap_or(("bytes", 0));
        write!(f, "{} {unit}", self.0 >> shift)
    }
}

impl FromStr for Span {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        humantime::parse_duration(text).map(Self).map_err(|_| InvalidQuantity::Span(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

macro_rules! written_as_text {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

written_as_text!(ByteSize);
written_as_text!(Span);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_size_reads_back_as_it_was_written(bytes: u64) {
            let size = ByteSize(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn a_span_reads_back_as_it_was_written(seconds in 0..u64::from(u32::MAX), nanoseconds in 0..1_000_000_000_u32) {
            let span = Span(Duration::new(seconds, nanoseconds));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }

    #[test]
    fn sizes_are_written_with_their_largest_whole_unit() {
        for (text, bytes) in [("64 MiB", 64 << 20), ("1 KiB", 1024), ("1025 bytes", 1025), ("0 bytes", 0), ("1 TiB", 1 << 40)] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        assert_eq!("64MiB".parse(), Ok(ByteSize(64 << 20)));
    }

    #[test]
    fn quantities_without_a_known_unit_are_refused() {
        for bad in ["", "64", "MiB", "-1 MiB", "64 MB", "1.5 GiB", "99999999999 TiB"] {
            assert_eq!(bad.parse::<ByteSize>(), Err(InvalidQuantity::Size(bad.to_owned())));
        }
        for bad in ["", "10", "ten seconds", "-1s"] {
            assert_eq!(bad.parse::<Span>(), Err(InvalidQuantity::Span(bad.to_owned())));
        }
    }
}
