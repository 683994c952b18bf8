//! The list of blocks that a file is put together from, as its XML document says. Pure.
//!
//! ```text
//! <?xml version="1.0" encoding="utf-8"?>
//! <BlockList><Latest>QUFB</Latest><Uncommitted>QUFC</Uncommitted>…</BlockList>
//! ```
//!
//! This reads that document and no other: elements without attributes, no entities, for base64
//! needs none, and no document type. What it does not know it refuses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// Blocks of one file.
pub(crate) const BLOCKS_MAX: usize = 50_000;
/// The largest document: every block with the longest id and element.
pub(crate) const BLOCK_LIST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a block's id, before base64.
const BLOCK_ID_BYTES: std::ops::RangeInclusive<usize> = 1..=64;

/// A block's id, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BlockId(Vec<u8>);

/// A text that is not base64 of 1 to 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a block's id is base64 of at most 64 bytes")]
pub(crate) struct InvalidBlockId;

/// Why a document is not a list of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum InvalidBlockList {
    /// Not the one document that this reads.
    #[error("the body is not a list of blocks in XML")]
    Form,
    /// More blocks than a file has.
    #[error("a file has at most {BLOCKS_MAX} blocks")]
    TooMany,
    /// Not a block's id.
    #[error(transparent)]
    Id(#[from] InvalidBlockId),
    /// A block of the file as it was: those are not kept.
    #[error("blocks of a file that was committed before are not kept; upload them again")]
    Committed,
}

impl BlockId {
    /// Reads an id as a request writes it.
    ///
    /// # Errors
    /// [`InvalidBlockId`]
    pub(crate) fn from_base64(text: &str) -> Result<Self, InvalidBlockId> {
        let bytes = STANDARD.decode(text).map_err(|_| InvalidBlockId)?;
        if BLOCK_ID_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidBlockId) }
    }

    /// Its bytes, 1 to 64.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Reads the ids in a document, in their order.
///
/// # Errors
/// [`InvalidBlockList`]
pub(crate) fn parse(document: &[u8]) -> Result<Vec<BlockId>, InvalidBlockList> {
    let text = std::str::from_utf8(document).map_err(|_| InvalidBlockList::Form)?;
    let mut rest = Rest(text.strip_prefix('\u{feff}').unwrap_or(text));
    rest.skip_declaration()?;
    let mut ids = Vec::new();
    match rest.tag()? {
        "BlockList/" => return rest.ended(ids),
        "BlockList" => {}
        _ => return Err(InvalidBlockList::Form),
    }
    loop {
        let kind = match rest.tag()? {
            "/BlockList" => return rest.ended(ids),
            kind @ ("Latest" | "Uncommitted" | "Committed") => kind,
            _ => return Err(InvalidBlockList::Form),
        };
        let id = BlockId::from_base64(rest.text()?.trim())?;
        if rest.tag()?.strip_prefix('/') != Some(kind) {
            return Err(InvalidBlockList::Form);
        }
        if kind == "Committed" {
            return Err(InvalidBlockList::Committed);
        }
        if ids.len() == BLOCKS_MAX {
            return Err(InvalidBlockList::TooMany);
        }
        ids.push(id);
    }
}

/// What of a document is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip_declaration(&mut self) -> Result<(), InvalidBlockList> {
        self.0 = self.0.trim_start();
        if let Some(declaration) = self.0.strip_prefix("<?xml ") {
            let (_, rest) = declaration.split_once("?>").ok_or(InvalidBlockList::Form)?;
            self.0 = rest;
        }
        Ok(())
    }

    /// What stands between the next angle brackets; before them there is only white space.
    fn tag(&mut self) -> Result<&'a str, InvalidBlockList> {
        let tag = self.0.trim_start().strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (name, rest) = tag.ok_or(InvalidBlockList::Form)?;
        self.0 = rest;
        let (name, is_empty) = name.strip_suffix('/').map_or((name, false), |name| (name, true));
        match (name.trim_end(), is_empty) {
            ("BlockList", true) => Ok("BlockList/"),
            (_, true) => Err(InvalidBlockList::Form),
            (name, false) => Ok(name),
        }
    }

    fn text(&mut self) -> Result<&'a str, InvalidBlockList> {
        let end = self.0.find('<').ok_or(InvalidBlockList::Form)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        Ok(text)
    }

    fn ended<T>(&self, value: T) -> Result<T, InvalidBlockList> {
        if self.0.trim().is_empty() { Ok(value) } else { Err(InvalidBlockList::Form) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(document: &str) -> Result<Vec<Vec<u8>>, InvalidBlockList> {
        parse(document.as_bytes()).map(|ids| ids.into_iter().map(|id| id.0).collect())
    }

    #[test]
    fn the_documents_of_the_storage_clients_are_read() {
        let two = Ok(vec![b"AAA".to_vec(), b"AAB".to_vec()]);
        for document in [
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList><Latest>QUFB</Latest><Latest>QUFC</Latest></BlockList>",
            "<?xml version='1.0' encoding='utf-8'?><BlockList><Uncommitted>QUFB</Uncommitted><Latest>QUFC</Latest></BlockList>",
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\r\n<BlockList>\r\n  <Latest> QUFB </Latest>\r\n  <Latest>QUFC</Latest>\r\n</BlockList>\r\n",
            "<BlockList><Latest>QUFB</Latest><Latest>QUFC</Latest></BlockList >",
        ] {
            assert_eq!(ids(document), two, "{document}");
        }
        for document in ["<BlockList/>", "<BlockList />", "<BlockList></BlockList>"] {
            assert_eq!(ids(document), Ok(vec![]), "{document}");
        }
    }

    #[test]
    fn every_other_document_is_refused() {
        use InvalidBlockList::{Committed, Form, Id};
        for (document, fault) in [
            ("", Form),
            ("<BlockList>", Form),
            ("<BlockList><Latest>QUFB</Latest>", Form),
            ("<BlockList><Latest>QUFB</Uncommitted></BlockList>", Form),
            ("<BlockList><Latest>QUFB<Latest>QUFB</Latest></Latest></BlockList>", Form),
            ("<BlockList><Other>QUFB</Other></BlockList>", Form),
            ("<BlockList x=\"1\"></BlockList>", Form),
            ("<BlockList></BlockList><BlockList/>", Form),
            ("<BlockList>stray</BlockList>", Form),
            ("<!DOCTYPE b [<!ENTITY x \"QUFB\">]><BlockList><Latest>&x;</Latest></BlockList>", Form),
            ("<BlockList><!-- --></BlockList>", Form),
            ("<BlockList><Latest>&#81;UFB</Latest></BlockList>", Id(InvalidBlockId)),
            ("<BlockList><Latest></Latest></BlockList>", Id(InvalidBlockId)),
            ("<BlockList><Latest>not base64</Latest></BlockList>", Id(InvalidBlockId)),
            ("<BlockList><Committed>QUFB</Committed></BlockList>", Committed),
        ] {
            assert_eq!(ids(document), Err(fault), "{document}");
        }
        assert_eq!(parse(b"\xff"), Err(Form));
        let long = STANDARD.encode([0; 65]);
        assert_eq!(ids(&format!("<BlockList><Latest>{long}</Latest></BlockList>")), Err(Id(InvalidBlockId)));
        let many = "<Latest>QUFB</Latest>".repeat(BLOCKS_MAX + 1);
        assert_eq!(ids(&format!("<BlockList>{many}</BlockList>")), Err(InvalidBlockList::TooMany));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[<>/BlockLatest= A-Z&;]{0,80}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }
    }
}
