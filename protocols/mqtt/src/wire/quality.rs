//! Quality of service and packet identifiers.

use std::fmt;
use std::num::NonZeroU16;

/// Quality of service: how often a message may arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum QoS {
    /// 0: not acknowledged.
    #[default]
    AtMostOnce = 0,
    /// 1: acknowledged, may arrive more than once.
    AtLeastOnce = 1,
    /// 2: acknowledged in two steps, arrives once.
    ExactlyOnce = 2,
}

impl QoS {
    /// From its two bits; 3 is none.
    #[inline]
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A packet identifier, never 0 (MQTT-2.2.1-3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The first identifier.
    pub const FIRST: Self = Self(NonZeroU16::MIN);

    /// None for 0.
    #[inline]
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    /// The number, 1 to 65,535.
    #[inline]
    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// The following identifier; 1 comes after 65,535.
    pub fn next(self) -> Self {
        self.0.checked_add(1).map_or(Self::FIRST, Self)
    }
}

impl fmt::Debug for PacketId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_is_no_quality() {
        assert_eq!(QoS::from_bits(2), Some(QoS::ExactlyOnce));
        assert_eq!(QoS::from_bits(3), None);
    }

    #[test]
    fn identifiers_skip_zero_when_they_wrap() {
        assert_eq!(PacketId::new(0), None);
        assert_eq!(PacketId::new(65_535).map(PacketId::next), Some(PacketId::FIRST));
    }
}
