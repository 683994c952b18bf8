//! Takes the fields of one packet off its front.

use bytes::{Buf, Bytes};

use super::error::Malformed;
use super::quality::PacketId;
use super::text::Text;
use super::varint::{self, Varint};

/// What is left of a packet. Text and binary fields are slices of it.
#[derive(Debug)]
pub(super) struct Reader {
    rest: Bytes,
}

impl Reader {
    #[inline]
    pub(super) fn new(rest: Bytes) -> Self {
        Self { rest }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.rest.try_get_u8().map_err(|_| Malformed::Short)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.rest.try_get_u16().map_err(|_| Malformed::Short)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.rest.try_get_u32().map_err(|_| Malformed::Short)
    }

    /// A variable byte integer inside a version 5 packet.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u32, Malformed> {
        match varint::read(&self.rest) {
            Varint::Incomplete => Err(Malformed::Short),
            Varint::TooLong => Err(Malformed::VarintTooLong),
            Varint::Value { minimal: false, .. } => Err(Malformed::VarintNotMinimal),
            Varint::Value { value, width, .. } => {
                self.rest.advance(width);
                Ok(value)
            }
        }
    }

    #[inline]
    pub(super) fn packet_id(&mut self) -> Result<PacketId, Malformed> {
        PacketId::new(self.u16()?).ok_or(Malformed::PacketIdZero)
    }

    /// The next `length` bytes.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<Bytes, Malformed> {
        if length > self.rest.len() {
            return Err(Malformed::Short);
        }
        Ok(self.rest.split_to(length))
    }

    /// Bytes preceded by their 16-bit length.
    #[inline]
    pub(super) fn binary(&mut self) -> Result<Bytes, Malformed> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<Text, Malformed> {
        Ok(Text::from_bytes(self.binary()?)?)
    }

    /// Everything that is left.
    #[inline]
    pub(super) fn into_rest(self) -> Bytes {
        self.rest
    }

    /// Ends the packet: nothing may be left.
    #[inline]
    pub(super) fn finish(self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(Malformed::Trailing { bytes }),
        }
    }
}
