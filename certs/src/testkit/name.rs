//! Distinguished names of any shape.

use super::der;

/// String types of ASN.1, by tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StringType {
    /// Any text.
    Utf8 = 12,
    /// A few ASCII characters.
    Printable = 19,
    /// T.61.
    Teletex = 20,
    /// ASCII.
    Ia5 = 22,
    /// UTF-32.
    Universal = 28,
    /// UTF-16.
    Bmp = 30,
}

/// A distinguished name: sets of attributes in a row.
#[derive(Debug, Clone, Default)]
pub struct Name(Vec<Vec<Vec<u8>>>);

const COMMON_NAME: &str = "2.5.4.3";
const SERIAL_NUMBER: &str = "2.5.4.5";
const ORGANIZATION: &str = "2.5.4.10";

impl Name {
    /// Without any attribute.
    pub fn empty() -> Self {
        Self::default()
    }

    /// One common name, a UTF8String.
    pub fn common(name: impl AsRef<[u8]>) -> Self {
        Self::empty().and_common(StringType::Utf8, name)
    }

    /// One organization and nothing else.
    pub fn organization(name: &str) -> Self {
        Self(vec![vec![attribute(ORGANIZATION, StringType::Utf8, name.as_bytes())]])
    }

    /// One more set, of one common name.
    pub fn and_common(mut self, kind: StringType, name: impl AsRef<[u8]>) -> Self {
        self.0.push(vec![attribute(COMMON_NAME, kind, name.as_ref())]);
        self
    }

    /// A common name more in the last set.
    pub fn beside_common(self, name: &str) -> Self {
        self.beside(COMMON_NAME, name)
    }

    /// A serial number in the last set.
    pub fn beside_serial_number(self, number: &str) -> Self {
        self.beside(SERIAL_NUMBER, number)
    }

    fn beside(mut self, oid: &str, value: &str) -> Self {
        let last = self.0.last_mut().expect("a set to add to");
        last.push(attribute(oid, StringType::Printable, value.as_bytes()));
        self
    }

    /// As DER.
    pub fn to_der(&self) -> Vec<u8> {
        der::sequence(&self.0.iter().map(|attributes| der::set(attributes)).collect::<Vec<_>>())
    }
}

fn attribute(oid: &str, kind: StringType, value: &[u8]) -> Vec<u8> {
    der::sequence(&[der::oid(oid), der::element(kind as u8, value)])
}
