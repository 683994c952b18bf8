//! The rules a twin's documents obey (`iot-hub-wire` §5.1), and reading them from bytes. Pure.

mod parse;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;

use model::limits::{TWIN_BODY_BYTES_MAX, TWIN_DEPTH_MAX, TWIN_KEY_BYTES_MAX, TWIN_STRING_BYTES_MAX};
use thiserror::Error;

pub use parse::{parse, parse_twin_patch};
pub use rules::{check, size};

/// A JSON object with its members in the order written.
pub type Map = serde_json::Map<String, serde_json::Value>;

/// A part of a twin, with a limit and rules of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionName {
    /// What the service notes about a device; devices do not see it.
    Tags,
    /// What the service wants.
    Desired,
    /// What the device says.
    Reported,
}

impl fmt::Display for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tags => "tags",
            Self::Desired => "properties.desired",
            Self::Reported => "properties.reported",
        })
    }
}

/// Which rule a document breaks, and where. A `path` reads `a.b[0].c`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// More bytes than are read at all.
    #[error("a twin document may have at most {TWIN_BODY_BYTES_MAX} bytes, this one has {bytes}")]
    BodyTooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// Not JSON, or not UTF-8.
    #[error("the document is not JSON at line {line}, column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at the end of the line before.
        column: usize,
    },
    /// JSON of another kind where an object must be.
    #[error("{path:?} must be an object")]
    NotAnObject {
        /// Where; empty for the whole document.
        path: String,
    },
    /// One key twice in an object.
    #[error("the key {path:?} is given twice")]
    DuplicateKey {
        /// Where.
        path: String,
    },
    /// Objects or arrays nested too deep.
    #[error("{path:?} is nested deeper than {TWIN_DEPTH_MAX} levels")]
    TooDeep {
        /// The first value that is.
        path: String,
    },
    /// A key without characters.
    #[error("a key in {path:?} is empty")]
    EmptyKey {
        /// The object that has it.
        path: String,
    },
    /// A key over 1 KiB.
    #[error("a key in {path:?} has {bytes} bytes, at most {TWIN_KEY_BYTES_MAX} are allowed")]
    KeyTooLong {
        /// The object that has it.
        path: String,
        /// The key's length.
        bytes: usize,
    },
    /// A key with a control character, `.`, `$` or a space.
    #[error("the key {path:?} contains {character:?}, which a key may not")]
    KeyCharacter {
        /// Where.
        path: String,
        /// The first offending character.
        character: char,
    },
    /// A string over 4 KiB.
    #[error("the text at {path:?} has {bytes} bytes, at most {TWIN_STRING_BYTES_MAX} are allowed")]
    StringTooLong {
        /// Where.
        path: String,
        /// The string's length in UTF-8.
        bytes: usize,
    },
    /// A whole number outside ±2⁵², however it is written.
    #[error("the number at {path:?} is out of bounds: whole numbers lie between -4503599627370496 and 4503599627370495")]
    NumberOutOfBounds {
        /// Where.
        path: String,
    },
    /// A null inside an array, where it cannot mean "delete".
    #[error("{path:?} is a null inside an array")]
    NullInArray {
        /// Where.
        path: String,
    },
    /// The change makes a section grow over its limit.
    #[error("{section} would have {bytes} bytes, at most {limit} are allowed")]
    SectionTooLarge {
        /// Which.
        section: SectionName,
        /// How many it would have, counted as §5.1 counts.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
}
