//! What holders of a policy may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// What a policy allows; combine with `|`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Read the registry.
    pub const REGISTRY_READ: Self = Self(1);
    /// Read and change the registry.
    pub const REGISTRY_WRITE: Self = Self(2);
    /// Twins, methods, commands and events.
    pub const SERVICE_CONNECT: Self = Self(4);
    /// Connect as any device.
    pub const DEVICE_CONNECT: Self = Self(8);
    /// Everything.
    pub const ALL: Self = Self(15);

    /// Whether all of `wanted` is allowed.
    pub fn contains(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// As stored.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From what was stored; unknown bits are dropped.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }
}

impl std::ops::BitOr for Rights {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What may be done with an event hub; combine with `|`.
///
/// To manage includes to send and to listen, as the service has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventHubRights(u8);

/// A text that names no right on an event hub.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no right on an event hub; there are send, listen and manage")]
pub struct InvalidRight(String);

impl EventHubRights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Append events.
    pub const SEND: Self = Self(1);
    /// Read events, and keep a consumer group's progress.
    pub const LISTEN: Self = Self(2);
    /// Change and describe the event hub; and all the others.
    pub const MANAGE: Self = Self(7);

    const MANAGE_BIT: u8 = 4;
    /// Each right under its name, in the order written.
    const NAMES: [(&str, Self); 3] = [("send", Self::SEND), ("listen", Self::LISTEN), ("manage", Self::MANAGE)];

    /// Whether all of `wanted` is allowed.
    pub fn contains(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// As stored.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From what was stored; unknown bits are dropped.
    pub fn from_bits(bits: u8) -> Self {
        if bits & Self::MANAGE_BIT == 0 { Self(bits & Self::MANAGE.0) } else { Self::MANAGE }
    }

    /// The names of what is allowed.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(_, right)| self.contains(*right)).map(|(name, _)| name)
    }
}

impl std::ops::BitOr for EventHubRights {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromStr for EventHubRights {
    type Err = InvalidRight;

    /// Reads one right's name, in any case.
    fn from_str(text: &str) -> Result<Self, InvalidRight> {
        let named = Self::NAMES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        named.map(|(_, right)| right).ok_or_else(|| InvalidRight(text.to_owned()))
    }
}

impl fmt::Display for EventHubRights {
    /// `send,listen`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.names();
        names.next().map_or(Ok(()), |first| f.write_str(first))?;
        names.try_for_each(|name| write!(f, ",{name}"))
    }
}

impl Serialize for EventHubRights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for EventHubRights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().try_fold(Self::NONE, |rights, name| Ok(rights | name.parse().map_err(de::Error::custom)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_contain_only_what_was_given() {
        let service = Rights::SERVICE_CONNECT | Rights::REGISTRY_READ;
        assert!(service.contains(Rights::REGISTRY_READ));
        assert!(!service.contains(Rights::REGISTRY_READ | Rights::REGISTRY_WRITE));
        assert_eq!(Rights::from_bits(255), Rights::ALL);
    }

    #[test]
    fn to_manage_an_event_hub_includes_to_send_and_to_listen() {
        assert!(EventHubRights::MANAGE.contains(EventHubRights::SEND | EventHubRights::LISTEN));
        assert!(!(EventHubRights::SEND | EventHubRights::LISTEN).contains(EventHubRights::MANAGE));
        assert_eq!(EventHubRights::from_bits(4), EventHubRights::MANAGE);
        assert_eq!(EventHubRights::from_bits(0xF8 | 1), EventHubRights::SEND);
    }

    #[test]
    fn rights_on_an_event_hub_are_written_as_a_list_of_names() {
        for (rights, text, json) in [
            (EventHubRights::NONE, "", "[]"),
            (EventHubRights::SEND, "send", r#"["send"]"#),
            (EventHubRights::SEND | EventHubRights::LISTEN, "send,listen", r#"["send","listen"]"#),
            (EventHubRights::MANAGE, "send,listen,manage", r#"["send","listen","manage"]"#),
        ] {
            assert_eq!(rights.to_string(), text);
            assert_eq!(serde_json::to_string(&rights).expect("JSON"), json);
            assert_eq!(serde_json::from_str::<EventHubRights>(json).expect("rights"), rights);
        }
        assert_eq!(serde_json::from_str::<EventHubRights>(r#"["Manage"]"#).expect("rights"), EventHubRights::MANAGE);
        assert!(serde_json::from_str::<EventHubRights>(r#"["own"]"#).is_err());
    }
}
