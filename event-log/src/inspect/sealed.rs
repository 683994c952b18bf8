//! Looking through a sealed file.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use model::{EventHubId, SequenceNumber};

use super::report::{Damaged, FileKind};
use super::{Inspection, failed};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::sealed::{Part, SealedFault, SealedFile};

/// Read at once.
const READ_BYTES: usize = 1024 * 1024;

impl Inspection<'_> {
    pub(super) fn run_sealed(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        hub: EventHubId,
        log_id: &mut Option<u128>,
    ) -> Result<ControlFlow<()>, OpenError> {
        if self.selection.hub.is_some_and(|wanted| wanted != hub) {
            return Ok(ControlFlow::Continue(()));
        }
        let file = match SealedFile::open(disk, path) {
            Ok(file) => file,
            Err(SealedFault::Disk(source)) => return Err(failed("reading", path)(source)),
            Err(SealedFault::Version(version)) => return Err(OpenError::Version { path: path.to_owned(), version }),
            Err(SealedFault::Foreign) => return Err(OpenError::Foreign { path: path.to_owned() }),
            Err(SealedFault::Damaged { at, .. }) => {
                self.note_unread(disk, path, FileKind::Sealed)?;
                self.findings.note_damage(path, at, Damaged::SealedFile);
                return Ok(ControlFlow::Continue(()));
            }
        };
        if *log_id.get_or_insert(file.log_id()) != file.log_id() {
            return Err(OpenError::Foreign { path: path.to_owned() });
        }
        self.findings.begin_file(path, FileKind::Sealed, file.file_bytes());
        let flow = self.run_sealed_file(&file).map_err(failed("reading", path))?;
        self.findings.note_holes(path, &file.holes());
        Ok(flow)
    }

    fn run_sealed_file(&mut self, file: &SealedFile) -> io::Result<ControlFlow<()>> {
        for at in file.damaged_ends()? {
            self.findings.note_damage(file.path(), at, Damaged::SealedFileEnd);
        }
        for at in file.damaged_index_blocks()? {
            self.findings.note_damage(file.path(), at, Damaged::IndexBlock);
        }
        if file.notes()?.is_none() {
            self.findings.note_damage(file.path(), file.notes_at(), Damaged::Notes);
        }
        for part in file.parts() {
            let from = self.selection.from.unwrap_or(part.first);
            if self.selection.has((file.hub(), part.partition)) && from < part.end && self.run_part(file, part, from)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The frames of a part from `from` on; where one does not follow the one before there is
    /// damage.
    fn run_part(&mut self, file: &SealedFile, part: &Part, from: SequenceNumber) -> io::Result<ControlFlow<()>> {
        let key = (file.hub(), part.partition);
        self.standings.prove(key, part.first.max(from));
        let Some(place) = file.locate(part.partition, from)? else { return Ok(ControlFlow::Continue(())) };
        let mut frames = file.frames(part, place, READ_BYTES);
        let mut expected_at = frames.place();
        while let Some(frame) = frames.next(true)? {
            if frame.at != expected_at {
                self.findings.note_damage(file.path(), expected_at, Damaged::Frame);
            }
            expected_at = frames.place();
            let Some(batch) = frame.batch else {
                self.findings.note_damage(file.path(), frame.at, Damaged::Frame);
                continue;
            };
            if self.note_batch(file.path(), frame.at, key, batch).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if expected_at != part.data_end() {
            self.findings.note_damage(file.path(), expected_at, Damaged::Frame);
        }
        self.standings.prove(key, part.end);
        Ok(ControlFlow::Continue(()))
    }
}
