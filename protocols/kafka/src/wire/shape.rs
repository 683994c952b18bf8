//! The outline of every request: where its lengths and arrays stand.
//!
//! A walk along the outline makes sure that every announced length is covered by bytes that are
//! there, and that elements are no more than [`ELEMENTS_MAX`], before a decoder reserves anything.

mod table;

use bytes::Buf as _;

use super::api::Api;

/// Elements of all arrays and tagged fields of one request.
pub(super) const ELEMENTS_MAX: usize = 65_536;

/// A field of a request.
#[derive(Debug, Clone, Copy)]
struct Field {
    /// The first version that has it.
    since: i16,
    /// The last version that has it.
    until: i16,
    shape: Shape,
}

/// What a field looks like.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// This many bytes.
    Fixed(usize),
    /// A string, which may be null.
    Text,
    /// Bytes, which may be null.
    Blob,
    /// An array of values of this many bytes each.
    FixedEach(usize),
    /// An array of strings.
    TextEach,
    /// An array of structures.
    Each(&'static [Field]),
}

/// How many elements `body` has, if it carries what it announces. Bytes behind it are none of its
/// concern.
pub(super) fn elements(api: Api, version: i16, body: &[u8]) -> Option<usize> {
    walked(api, version, body).map(|walk| ELEMENTS_MAX - walk.elements)
}

/// The bytes behind a body.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn remainder(api: Api, version: i16, body: &[u8]) -> Option<&[u8]> {
    walked(api, version, body).map(|walk| walk.rest())
}

fn walked(api: Api, version: i16, body: &[u8]) -> Option<Walk<'_>> {
    let mut walk = Walk::new(body);
    walk.structure(table::fields(api), version, api.is_flexible(version))?;
    Some(walk)
}

/// A walk over bytes; `None` wherever they end too early.
pub(super) struct Walk<'a> {
    rest: &'a [u8],
    /// As many more may come.
    elements: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, elements: ELEMENTS_MAX }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn structure(&mut self, fields: &[Field], version: i16, flexible: bool) -> Option<()> {
        for field in fields.iter().filter(|field| (field.since..=field.until).contains(&version)) {
            self.field(field.shape, version, flexible)?;
        }
        if flexible { self.tagged_fields() } else { Some(()) }
    }

    fn field(&mut self, shape: Shape, version: i16, flexible: bool) -> Option<()> {
        match shape {
            Shape::Fixed(bytes) => self.skip(bytes),
            Shape::Text => self.text(flexible).map(|_| ()),
            Shape::Blob => self.blob(flexible).map(|_| ()),
            Shape::FixedEach(bytes) => {
                let count = self.count(flexible)?;
                self.skip(count.checked_mul(bytes)?)
            }
            Shape::TextEach => (0..self.count(flexible)?).try_for_each(|_| self.text(flexible).map(|_| ())),
            Shape::Each(fields) => (0..self.count(flexible)?).try_for_each(|_| self.structure(fields, version, flexible)),
        }
    }

    /// A string's bytes; `Some(None)` is null.
    pub(super) fn text(&mut self, flexible: bool) -> Option<Option<&'a [u8]>> {
        let length = if flexible { self.compact_length()? } else { self.rest.try_get_i16().ok().map(usize::try_from)?.ok() };
        self.nullable(length)
    }

    /// Bytes; `Some(None)` is null.
    pub(super) fn blob(&mut self, flexible: bool) -> Option<Option<&'a [u8]>> {
        let length = if flexible { self.compact_length()? } else { self.rest.try_get_i32().ok().map(usize::try_from)?.ok() };
        self.nullable(length)
    }

    /// The number of an array's elements, each of which takes a byte at least; null is none.
    pub(super) fn count(&mut self, flexible: bool) -> Option<usize> {
        let length = if flexible { self.compact_length()? } else { self.rest.try_get_i32().ok().map(usize::try_from)?.ok() };
        self.elements(length.unwrap_or(0))
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    pub(super) fn tagged_fields(&mut self) -> Option<()> {
        let count = self.varint()?;
        for _ in 0..self.elements(count)? {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length)?;
        }
        Some(())
    }

    fn elements(&mut self, count: usize) -> Option<usize> {
        self.elements = self.elements.checked_sub(count)?;
        (count <= self.rest.len()).then_some(count)
    }

    fn nullable(&mut self, length: Option<usize>) -> Option<Option<&'a [u8]>> {
        let Some(length) = length else { return Some(None) };
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(bytes))
    }

    /// One more than a length; 0 is null.
    fn compact_length(&mut self) -> Option<Option<usize>> {
        Some(self.varint()?.checked_sub(1))
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.rest.try_get_u8().ok()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value as usize);
            }
        }
        None
    }
}
