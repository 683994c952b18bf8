//! Sets of packet identifiers.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::wire::PacketId;

/// Packet identifiers in use. Never larger than a receive maximum, so that an identifier's own bits
/// are hash enough and nobody gains by choosing them badly.
#[derive(Debug, Default)]
pub(super) struct PacketIds(HashSet<PacketId, BuildHasherDefault<Spread>>);

impl PacketIds {
    /// False if it was there already.
    pub(super) fn insert(&mut self, packet_id: PacketId) -> bool {
        self.0.insert(packet_id)
    }

    pub(super) fn remove(&mut self, packet_id: PacketId) {
        self.0.remove(&packet_id);
    }

    pub(super) fn contains(&self, packet_id: PacketId) -> bool {
        self.0.contains(&packet_id)
    }
}

/// Spreads sixteen bits over the sixty-four that a hash table looks at, by a multiplication with an
/// odd number near 2^64 divided by the golden ratio.
#[derive(Debug, Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 << 8 | u64::from(*byte));
        }
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
