//! Writes fields, and lengths that are known only after what they count.

use bytes::{BufMut, Bytes, BytesMut};

use super::error::Unencodable;
use super::fixed_header::PacketType;
use super::text::{FIELD_BYTES_MAX, Text};
use super::{VARINT_MAX, varint};

/// Writes a whole packet: the first byte, the length, what `body` writes, then `tail`.
///
/// `tail` is a PUBLISH's payload: kept apart so that it is copied once, whatever its length does
/// to the width of the packet's length. A failed packet leaves nothing in `out`.
#[inline]
pub(super) fn packet(
    out: &mut BytesMut,
    packet: PacketType,
    flags: u8,
    tail: &[u8],
    body: impl FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
) -> Result<(), Unencodable> {
    let start = out.len();
    out.put_u8((packet as u8) << 4 | flags);
    let written = length_prefixed(out, tail.len(), body);
    match written {
        Ok(()) => out.put_slice(tail),
        Err(_) => out.truncate(start),
    }
    written
}

/// Writes what `body` writes, preceded by its length as a variable byte integer. `following` bytes
/// are counted in though written later.
#[inline]
pub(super) fn length_prefixed(
    out: &mut BytesMut,
    following: usize,
    body: impl FnOnce(&mut BytesMut) -> Result<(), Unencodable>,
) -> Result<(), Unencodable> {
    let prefix = out.len();
    let guessed = varint::width(following);
    out.put_bytes(0, guessed);
    body(out)?;
    let length = out.len() - prefix - guessed + following;
    if length > VARINT_MAX as usize {
        return Err(Unencodable::TooLarge { bytes: length });
    }
    let width = varint::width(length);
    if width > guessed {
        make_room(out, prefix + guessed, width - guessed);
    }
    if let Some(place) = out.get_mut(prefix..prefix + width) {
        varint::write(length, place);
    }
    Ok(())
}

/// Moves everything from `position` on back by `bytes`.
fn make_room(out: &mut BytesMut, position: usize, bytes: usize) {
    let end = out.len();
    out.put_bytes(0, bytes);
    out.copy_within(position..end, position + bytes);
}

#[inline]
pub(super) fn text(out: &mut BytesMut, text: &Text) {
    // Text is never longer than its length field can say.
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
}

#[inline]
pub(super) fn binary(out: &mut BytesMut, bytes: &Bytes) -> Result<(), Unencodable> {
    if bytes.len() > FIELD_BYTES_MAX {
        return Err(Unencodable::BinaryTooLong { length: bytes.len() });
    }
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
    Ok(())
}
