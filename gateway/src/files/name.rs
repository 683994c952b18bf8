//! Names of containers and of files in them. What passes here is a name and nothing else: it has
//! no part that a path, a header or a terminal would take for an instruction.

use std::fmt;
use std::str::FromStr;

use model::DeviceId;
use model::limits::BLOB_NAME_BYTES_MAX;
use thiserror::Error;

/// A container: 3 to 63 lower-case letters, digits and single hyphens between them, and no first
/// segment of a path that means something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerName(String);

/// A file's name in its container: the id of the device it is from, a slash, and a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlobName(String);

/// Why a text is not a container's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InvalidContainerName {
    /// Not in the form of one.
    #[error("{0:?} must be 3 to 63 lower-case letters, digits and single hyphens between them")]
    Form(String),
    /// The service API has it.
    #[error("{0:?} begins a path of the service API; choose another name")]
    Taken(String),
}

/// Why a text is not a file's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InvalidBlobName {
    /// Nothing.
    #[error("a file's name is missing")]
    Empty,
    /// Too much.
    #[error("a file's name may have {BLOB_NAME_BYTES_MAX} bytes with the device's id before it, this one has {bytes}")]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// A control character or a backslash.
    #[error("a file's name may not hold {character:?}")]
    Character {
        /// The first.
        character: char,
    },
    /// A part between slashes that is empty, `.` or `..`.
    #[error("a part of a file's name between slashes may not be empty, \".\" or \"..\"")]
    Segment,
    /// No device's id before the first slash.
    #[error("a file's name in a container begins with the id of a device and a slash")]
    NoDevice,
}

/// First segments of the paths that are served, and of those that may be one day.
const TAKEN: &[&str] = &[
    "devices",
    "twins",
    "statistics",
    "jobs",
    "configurations",
    "messages",
    "digitaltwins",
    "eventhubs",
    "certificateauthorities",
    "files",
    "routes",
    "endpoints",
    "enrollments",
    "enrollmentgroups",
    "registrations",
    "metrics",
    "healthz",
];

impl FromStr for ContainerName {
    type Err = InvalidContainerName;

    fn from_str(text: &str) -> Result<Self, InvalidContainerName> {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !(3..=63).contains(&text.len()) || !text.split('-').all(is_word) {
            return Err(InvalidContainerName::Form(text.to_owned()));
        }
        if TAKEN.contains(&text) {
            return Err(InvalidContainerName::Taken(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Default for ContainerName {
    /// `uploads`
    fn default() -> Self {
        Self("uploads".to_owned())
    }
}

impl ContainerName {
    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl BlobName {
    /// The name of what `device` calls `name`.
    ///
    /// # Errors
    /// [`InvalidBlobName`]
    pub(crate) fn of_device(device: &DeviceId, name: &str) -> Result<Self, InvalidBlobName> {
        if name.is_empty() {
            return Err(InvalidBlobName::Empty);
        }
        format!("{device}/{name}").parse()
    }

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose it is, and what that device calls it.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or((&self.0, ""))
    }
}

impl FromStr for BlobName {
    type Err = InvalidBlobName;

    fn from_str(text: &str) -> Result<Self, InvalidBlobName> {
        if text.len() > BLOB_NAME_BYTES_MAX {
            return Err(InvalidBlobName::TooLong { bytes: text.len() });
        }
        if let Some(character) = text.chars().find(|c| c.is_control() || *c == '\\') {
            return Err(InvalidBlobName::Character { character });
        }
        let (device, name) = text.split_once('/').ok_or(InvalidBlobName::NoDevice)?;
        if device.parse::<DeviceId>().is_err() {
            return Err(InvalidBlobName::NoDevice);
        }
        if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(InvalidBlobName::Segment);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_named_as_the_storage_service_names_them() {
        for good in ["uploads", "abc", "a-b-1", &"x".repeat(63)] {
            assert_eq!(good.parse::<ContainerName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "ab", "Uploads", "-ab", "ab-", "a--b", "a_b", "a.b", "../x", "ü-x", &"x".repeat(64)] {
            assert_eq!(bad.parse::<ContainerName>(), Err(InvalidContainerName::Form(bad.to_owned())));
        }
        assert_eq!("devices".parse::<ContainerName>(), Err(InvalidContainerName::Taken("devices".into())));
    }

    #[test]
    fn a_name_says_whose_it_is_and_leads_nowhere_else() {
        let device: DeviceId = "dev-1".parse().expect("an id");
        let name = |name: &str| BlobName::of_device(&device, name).map(|name| name.to_string());
        for good in ["f.txt", "2026/01/a b.bin", "ümlaut ☃", "..f", "a..b", "...", "%2e%2e", "a?b#c", "x".repeat(1018).as_str()] {
            assert_eq!(name(good), Ok(format!("dev-1/{good}")));
        }
        let cases = [
            ("", InvalidBlobName::Empty),
            ("..", InvalidBlobName::Segment),
            ("../dev-2/f", InvalidBlobName::Segment),
            ("a/./b", InvalidBlobName::Segment),
            ("/a", InvalidBlobName::Segment),
            ("a/", InvalidBlobName::Segment),
            ("a//b", InvalidBlobName::Segment),
            ("a\\b", InvalidBlobName::Character { character: '\\' }),
            ("a\0b", InvalidBlobName::Character { character: '\0' }),
            ("a\r\nb", InvalidBlobName::Character { character: '\r' }),
            ("a\u{9b}b", InvalidBlobName::Character { character: '\u{9b}' }),
        ];
        for (bad, fault) in cases {
            assert_eq!(name(bad), Err(fault), "{bad:?}");
        }
        assert_eq!(name(&"x".repeat(1019)), Err(InvalidBlobName::TooLong { bytes: 1025 }));
        for bad in ["f.txt", "/f.txt", "a b/f.txt", ""] {
            assert_eq!(bad.parse::<BlobName>(), Err(InvalidBlobName::NoDevice), "{bad:?}");
        }
    }
}
