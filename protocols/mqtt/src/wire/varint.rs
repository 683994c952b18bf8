//! Variable byte integers (MQTT 5 §1.5.5): seven bits a byte, low bits first, four bytes at most.

/// The largest number: 28 bits.
pub const VARINT_MAX: u32 = 268_435_455;

/// What the first bytes of a buffer say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Varint {
    /// All bytes seen so far announce another one.
    Incomplete,
    /// A fourth byte announces a fifth.
    TooLong,
    /// A number, the bytes it took and whether fewer would have done.
    Value { value: u32, width: usize, minimal: bool },
}

/// Reads a number from the front of `bytes`.
#[inline]
pub(super) fn read(bytes: &[u8]) -> Varint {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Varint::Value { value, width: index + 1, minimal: index == 0 || *byte != 0 };
        }
    }
    if bytes.len() < 4 { Varint::Incomplete } else { Varint::TooLong }
}

/// Bytes that a number takes; 4 also for numbers that are too large to be written.
#[inline]
pub(super) fn width(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Writes a number into exactly the bytes of `place`, which is as long as [`width`] says.
#[inline]
pub(super) fn write(mut value: usize, place: &mut [u8]) {
    let last = place.len().saturating_sub(1);
    for (index, byte) in place.iter_mut().enumerate() {
        let more = if index < last { 0x80 } else { 0 };
        *byte = (value & 0x7f) as u8 | more;
        value >>= 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Varint) {
        assert_eq!(read(bytes), expected, "{bytes:02x?}");
    }

    fn number(value: u32, width: usize, minimal: bool) -> Varint {
        Varint::Value { value, width, minimal }
    }

    #[test]
    fn numbers_take_one_to_four_bytes() {
        check(&[0x00], number(0, 1, true));
        check(&[0x7f, 0xff], number(127, 1, true));
        check(&[0x80, 0x01], number(128, 2, true));
        check(&[0xff, 0x7f], number(16_383, 2, true));
        check(&[0xff, 0xff, 0xff, 0x7f], number(VARINT_MAX, 4, true));
        check(&[0xff, 0xff, 0xff, 0xff], Varint::TooLong);
        check(&[0x80, 0x80, 0x80, 0x80, 0x01], Varint::TooLong);
        check(&[], Varint::Incomplete);
        check(&[0xff, 0xff, 0xff], Varint::Incomplete);
    }

    #[test]
    fn a_needless_byte_shows() {
        check(&[0x80, 0x00], number(0, 2, false));
        check(&[0xff, 0x80, 0x00], number(127, 3, false));
    }

    #[test]
    fn written_numbers_read_back() {
        for value in [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
            let mut place = vec![0; width(value)];
            write(value, &mut place);
            check(&place, number(value as u32, place.len(), true));
        }
    }
}
