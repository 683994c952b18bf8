//! Names of devices and modules, valid by construction.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::ID_BYTES_MAX;

/// Why a text is not a device or module id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// The text has no characters.
    #[error("an id may not be empty")]
    Empty,
    /// The text is longer than 128 bytes.
    #[error("an id may have at most {ID_BYTES_MAX} characters, this one has {length}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A character outside the alphabet.
    #[error("an id may not contain {character:?}; allowed are ASCII letters, digits and - . % _ * ? ! ( ) , : = @ $ '")]
    Character {
        /// The first offending character.
        character: char,
    },
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.%_*?!(),:=@$'".contains(&byte)
}

fn validate(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(InvalidId::TooLong { length: text.len() });
    }
    match text.chars().find(|c| !c.is_ascii() || !is_id_byte(*c as u8)) {
        Some(character) => Err(InvalidId::Character { character }),
        None => Ok(()),
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                validate(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

id_type! {
    /// A device's id: 1 to 128 bytes of the IoT Hub alphabet, compared byte by byte.
    DeviceId
}

id_type! {
    /// A module's id within its device: the same alphabet and bounds as [`DeviceId`].
    ModuleId
}

/// Who speaks: a device, or a module of a device.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Identity {
    /// The device.
    pub device: DeviceId,
    /// The module, if the identity is one.
    pub module: Option<ModuleId>,
}

impl Identity {
    /// The identity of a device itself.
    pub fn device(device: DeviceId) -> Self {
        Self { device, module: None }
    }

    /// The identity of a module.
    pub fn module(device: DeviceId, module: ModuleId) -> Self {
        Self { device, module: Some(module) }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.module {
            None => fmt::Display::fmt(&self.device, f),
            Some(module) => write!(f, "{}/{}", self.device, module),
        }
    }
}

impl FromStr for Identity {
    type Err = InvalidId;

    /// Reads `device` or `device/module`, the form of MQTT client ids and common names.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.split_once('/') {
            None => Ok(Self::device(text.parse()?)),
            Some((device, module)) => Ok(Self::module(device.parse()?, module.parse()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_as_it_was_written() {
        for text in ["dev-1", "dev-1/mod", "a.%_*?!(),:=@$'", &"x".repeat(128)] {
            assert_eq!(text.parse::<Identity>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn an_id_outside_the_alphabet_is_refused_with_its_reason() {
        let cases = [
            ("", InvalidId::Empty),
            ("a b", InvalidId::Character { character: ' ' }),
            ("a#", InvalidId::Character { character: '#' }),
            ("a+", InvalidId::Character { character: '+' }),
            ("é", InvalidId::Character { character: 'é' }),
            ("a\0", InvalidId::Character { character: '\0' }),
        ];
        for (text, reason) in cases {
            assert_eq!(text.parse::<DeviceId>(), Err(reason), "{text:?}");
        }
        assert_eq!("x".repeat(129).parse::<DeviceId>(), Err(InvalidId::TooLong { length: 129 }));
        assert_eq!("a/b/c".parse::<Identity>(), Err(InvalidId::Character { character: '/' }));
        assert_eq!("a/".parse::<Identity>(), Err(InvalidId::Empty));
    }
}
