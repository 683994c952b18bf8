//! Opening a sealed file by either of its ends.

use std::io;
use std::path::Path;

use thiserror::Error;

use super::footer::Footer;
use super::format::{self, Anchor, AnchorRead, End, FileIdentity};
use super::{SealedFile, name_parts};
use crate::disk::{Disk, DiskFile, Holes, read_around_holes};

/// Why a file could not be opened as a sealed one.
#[derive(Debug, Error)]
pub(crate) enum SealedFault {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// Neither end of the file leads to a footer that verifies: the file was not finished, or it
    /// is damaged at both.
    #[error("the {what} at byte {at} does not verify")]
    Damaged {
        /// What was looked for last.
        what: &'static str,
        /// Its place in the file.
        at: u64,
    },
    /// Written by a later version.
    #[error("format version {0} of sealed files is unknown; this version reads {known}", known = format::VERSION)]
    Version(u32),
    /// The file's name gives another epoch or event hub than its content.
    #[error("the file's name belongs to another sealed file")]
    Foreign,
}

impl SealedFile {
    /// Opens a file by its trailer, or, should that be damaged, by its head. Reads no events.
    ///
    /// # Errors
    /// See [`SealedFault`].
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, SealedFault> {
        let file = disk.open(path)?;
        let file_bytes = file.length()?;
        let mut holes = Holes::default();
        let (identity, footer) = match open_at(&*file, file_bytes, End::Trailer, &mut holes) {
            Err(SealedFault::Damaged { what, at }) => {
                let opened = open_at(&*file, file_bytes, End::Head, &mut holes)?;
                tracing::warn!(file = %path.display(), what, at, "a sealed file is damaged at its end and was opened by its head");
                opened
            }
            opened => opened?,
        };
        if path.file_name().and_then(|name| name.to_str()).and_then(name_parts) != Some((identity.segment.epoch, identity.hub)) {
            return Err(SealedFault::Foreign);
        }
        let opened = Self::new(path.to_owned(), file, identity, file_bytes, footer);
        opened.note_holes(&holes);
        Ok(opened)
    }

    /// The places of those ends of the file, or of their copies of the footer, that do not verify.
    pub(crate) fn damaged_ends(&self) -> io::Result<Vec<u64>> {
        let (mut damaged, mut holes, file) = (Vec::new(), Holes::default(), self.handle()?);
        for end in [End::Head, End::Trailer] {
            match open_at(&*file, self.file_bytes, end, &mut holes) {
                Ok((identity, _)) if identity == self.identity => {}
                Ok(_) | Err(SealedFault::Version(_) | SealedFault::Foreign) => damaged.push(end.place(self.file_bytes)),
                Err(SealedFault::Damaged { at, .. }) => damaged.push(at),
                Err(SealedFault::Disk(error)) => return Err(error),
            }
        }
        self.note_holes(&holes);
        Ok(damaged)
    }
}

/// The footer that one end of the file leads to.
fn open_at(file: &dyn DiskFile, file_bytes: u64, end: End, holes: &mut Holes) -> Result<(FileIdentity, Footer), SealedFault> {
    let (what, at) = (end.name(), end.place(file_bytes));
    let anchor = match Anchor::decode(&read_around_holes(file, at, format::ANCHOR_BYTES, holes)?, end) {
        AnchorRead::Valid(anchor) => anchor,
        AnchorRead::Version(version) => return Err(SealedFault::Version(version)),
        AnchorRead::Invalid => return Err(SealedFault::Damaged { what, at }),
    };
    let damaged = SealedFault::Damaged { what: "footer", at: anchor.footer.at };
    if anchor.footer.end() > file_bytes {
        return Err(damaged);
    }
    let bytes = read_around_holes(file, anchor.footer.at, anchor.footer.bytes as usize, holes)?;
    if crc32c::crc32c_append(anchor.identity.seed(), &bytes) != anchor.footer.checksum {
        return Err(damaged);
    }
    let footer = Footer::decode(&bytes, anchor.identity.hub, file_bytes).ok_or(damaged)?;
    Ok((anchor.identity, footer))
}
