//! Places in the event buffer: event hubs, their partitions and positions in them.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{EVENT_HUB_NAME_BYTES_MAX, PARTITIONS_DEFAULT, PARTITIONS_MAX};

/// The number under which the buffer stores an event hub. Never given to another hub again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventHubId(pub u32);

/// Why a text is not the name of an event hub.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not an event hub name: 1 to 249 letters, digits, dots, hyphens and underscores, a letter or digit at both ends")]
pub struct InvalidEventHubName(String);

/// The name of an event hub: a Kafka topic name that is also a legal Event Hubs name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventHubName(Arc<str>);

impl EventHubName {
    /// `events`, the hub that device telemetry goes to on every installation.
    pub fn events() -> Self {
        Self("events".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventHubName {
    type Err = InvalidEventHubName;
    fn from_str(text: &str) -> Result<Self, InvalidEventHubName> {
        let bytes = text.as_bytes();
        let ends_well = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let valid = bytes.len() <= EVENT_HUB_NAME_BYTES_MAX
            && ends_well(bytes.first())
            && ends_well(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(b));
        if valid { Ok(Self(text.into())) } else { Err(InvalidEventHubName(text.to_owned())) }
    }
}

/// A map by names is asked with a text from the wire.
impl Borrow<str> for EventHubName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EventHubName {
    type Error = InvalidEventHubName;
    fn try_from(text: String) -> Result<Self, InvalidEventHubName> {
        text.parse()
    }
}

impl From<EventHubName> for String {
    fn from(name: EventHubName) -> String {
        name.as_str().to_owned()
    }
}

impl fmt::Display for EventHubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A partition of an event hub, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartitionId(pub u32);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Counts the events of a partition from 0, without gaps; the only position there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SequenceNumber(pub i64);

impl SequenceNumber {
    /// The position of a partition's first event.
    pub const FIRST: Self = Self(0);

    /// The position `count` events further on.
    pub fn plus(self, count: u32) -> Self {
        Self(self.0.saturating_add(i64::from(count)))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How many partitions an event hub has: 1 to 1,024, fixed at creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct PartitionCount(u32);

/// A number of partitions outside 1 to 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event hub has 1 to {PARTITIONS_MAX} partitions, not {0}")]
pub struct InvalidPartitionCount(u32);

impl PartitionCount {
    /// A single partition.
    pub const ONE: Self = Self(1);

    /// The count as a number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The partition that events of `key` go to: the Event Hubs service's own hash, so that
    /// clients which compute it themselves agree.
    ///
    /// An empty key goes to partition 0.
    pub fn partition_of_key(self, key: &[u8]) -> PartitionId {
        let hash = i32::from(partition_hash(key));
        PartitionId((hash % self.0 as i32).unsigned_abs())
    }

    /// Every partition in order.
    pub fn partitions(self) -> impl Iterator<Item = PartitionId> {
        (0..self.0).map(PartitionId)
    }
}

impl Default for PartitionCount {
    /// What an event hub has unless told.
    fn default() -> Self {
        Self(PARTITIONS_DEFAULT)
    }
}

impl TryFrom<u32> for PartitionCount {
    type Error = InvalidPartitionCount;
    fn try_from(count: u32) -> Result<Self, InvalidPartitionCount> {
        if (1..=PARTITIONS_MAX).contains(&count) { Ok(Self(count)) } else { Err(InvalidPartitionCount(count)) }
    }
}

impl From<PartitionCount> for u32 {
    fn from(count: PartitionCount) -> u32 {
        count.0
    }
}

/// Bob Jenkins' lookup3 with both seeds zero, folded to 16 signed bits.
fn partition_hash(key: &[u8]) -> i16 {
    if key.is_empty() {
        return 0;
    }
    let start = 0xDEAD_BEEF_u32.wrapping_add(key.len() as u32);
    let mut state = [start; 3];
    let mut rest = key;
    while let Some((block, tail)) = rest.split_first_chunk::<12>() {
        if tail.is_empty() {
            break;
        }
        add_words(&mut state, block);
        mix(&mut state);
        rest = tail;
    }
    let mut last = [0_u8; 12];
    if let Some(slot) = last.get_mut(..rest.len()) {
        slot.copy_from_slice(rest);
    }
    add_words(&mut state, &last);
    finish(&mut state);
    let [_, b, c] = state;
    (c ^ b) as u16 as i16
}

fn add_words(state: &mut [u32; 3], block: &[u8; 12]) {
    let (words, _) = block.as_chunks::<4>();
    for (slot, word) in state.iter_mut().zip(words) {
        *slot = slot.wrapping_add(u32::from_le_bytes(*word));
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    for (x, y, z, rotation) in [(0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4)] {
        let mut word = [*a, *b, *c];
        word[x] = word[x].wrapping_sub(word[y]) ^ word[y].rotate_left(rotation);
        word[y] = word[y].wrapping_add(word[z]);
        [*a, *b, *c] = word;
    }
}

fn finish([a, b, c]: &mut [u32; 3]) {
    for (x, y, rotation) in [(2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)] {
        let mut word = [*a, *b, *c];
        word[x] = (word[x] ^ word[y]).wrapping_sub(word[y].rotate_left(rotation));
        [*a, *b, *c] = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_to_the_partitions_that_the_official_clients_compute() {
        let long = "x".repeat(25);
        let vectors = [
            ("a", -16220, 0, 28),
            ("dev-7", 16652, 0, 12),
            ("sensor-1", 5346, 2, 2),
            ("sensor-42", -2925, 1, 13),
            ("device-0001", -24874, 2, 10),
            ("abcdefghijkl", -2373, 1, 5),
            ("abcdefghijklm", -31855, 3, 15),
            (long.as_str(), -26933, 1, 21),
            ("häuser", -12461, 1, 13),
            ("", 0, 0, 0),
        ];
        let four = PartitionCount::try_from(4).expect("in bounds");
        let many = PartitionCount::try_from(32).expect("in bounds");
        for (key, hash, of_four, of_many) in vectors {
            assert_eq!(partition_hash(key.as_bytes()), hash, "{key}");
            assert_eq!(four.partition_of_key(key.as_bytes()), PartitionId(of_four), "{key}");
            assert_eq!(many.partition_of_key(key.as_bytes()), PartitionId(of_many), "{key}");
        }
    }

    #[test]
    fn an_event_hub_has_between_one_and_1024_partitions() {
        assert!(PartitionCount::try_from(0).is_err());
        assert!(PartitionCount::try_from(1024).is_ok());
        assert!(PartitionCount::try_from(1025).is_err());
    }

    #[test]
    fn event_hub_names_are_legal_topic_names() {
        for good in ["events", "a", "A.b-c_9"] {
            assert!(good.parse::<EventHubName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "-a", "a.", "a b", "é", &"a".repeat(250)] {
            assert!(bad.parse::<EventHubName>().is_err(), "{bad}");
        }
    }
}
