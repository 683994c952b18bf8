//! Looking through the files of a log that nobody has open, changing nothing: every checksum is
//! verified, every batch can be shown.

mod report;
mod sealed;
mod segment;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use model::{EventHubId, PartitionId, SequenceNumber};
use thiserror::Error;

use crate::batch::StoredBatch;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::partition::PartitionKey;
use crate::recovery::Successor;
use crate::recovery::directory::{Found, find_segment, tell_used};
use crate::sealed::name_parts;
use crate::segment::{epoch_of, spare_epoch_of};
pub use report::{Damage, Damaged, FileKind, FileReport, LogReport, PartitionReport};
use report::{Findings, Standings};

/// Which events are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Selection {
    /// Of this event hub only.
    pub hub: Option<EventHubId>,
    /// Of partitions with this number only.
    pub partition: Option<PartitionId>,
    /// From this number on. Batches are shown whole, see [`StoredBatch::wanted`].
    pub from: Option<SequenceNumber>,
}

impl Selection {
    fn has(&self, (hub, partition): PartitionKey) -> bool {
        self.hub.is_none_or(|wanted| wanted == hub) && self.partition.is_none_or(|wanted| wanted == partition)
    }
}

/// A batch as it was found.
#[derive(Debug, Clone, Copy)]
pub struct InspectedBatch<'a> {
    /// The file.
    pub path: &'a Path,
    /// The place of its frame in the file.
    pub at: u64,
    /// The event hub.
    pub hub: EventHubId,
    /// The partition.
    pub partition: PartitionId,
    /// The batch; it verifies.
    pub batch: &'a StoredBatch,
}

/// Why a log cannot be looked through. Damage is no error, it is in the report.
#[derive(Debug, Error)]
pub enum InspectError {
    /// A hub has the log open, and what is read while it writes would look like damage.
    #[error("a running hub has the event log in {} open; stop the hub, or inspect a copy of the directory", directory.display())]
    InUse {
        /// The log's directory.
        directory: PathBuf,
    },
    /// Nothing in the directory has the name of a file of an event log.
    #[error("{} holds no event log", directory.display())]
    NoLog {
        /// The directory.
        directory: PathBuf,
    },
    /// A file belongs to another log or version, or the disk refused.
    #[error(transparent)]
    File(#[from] OpenError),
}

/// Looks through the log in `directory`, the oldest file first, and shows every batch of the
/// selection to `show` until that breaks off. The report tells of what was looked at: of all of
/// the log unless the selection leaves something out.
///
/// Changes nothing and, given a [`ReadOnlyDisk`](crate::ReadOnlyDisk), could not. Holds the
/// directory's lock meanwhile. Blocks.
///
/// # Errors
/// See [`InspectError`].
pub fn inspect(
    directory: &Path,
    disk: &dyn Disk,
    selection: Selection,
    show: &mut dyn FnMut(InspectedBatch<'_>) -> ControlFlow<()>,
) -> Result<LogReport, InspectError> {
    let _lock = disk.lock(&directory.join("lock")).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            InspectError::InUse { directory: directory.to_owned() }
        } else {
            InspectError::File(failed("locking", directory)(error))
        }
    })?;
    let names = Names::list(disk, directory)?;
    if names.is_empty() {
        return Err(InspectError::NoLog { directory: directory.to_owned() });
    }
    let mut inspection = Inspection { selection, show, findings: Findings::default(), standings: Standings::default() };
    let _ = inspection.run(disk, directory, names)?;
    Ok(inspection.findings.into_report(inspection.standings))
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Disk { operation, path, source }
}

/// The log's files, each kind in order.
struct Names {
    segments: Vec<u64>,
    sealed: Vec<(u64, EventHubId)>,
    spares: Vec<u64>,
}

impl Names {
    fn list(disk: &dyn Disk, directory: &Path) -> Result<Self, OpenError> {
        let mut names = disk.list(directory).map_err(failed("listing", directory))?;
        names.sort_unstable();
        Ok(Self {
            segments: names.iter().filter_map(|name| epoch_of(name)).collect(),
            sealed: names.iter().filter_map(|name| name_parts(name)).collect(),
            spares: names.iter().filter_map(|name| spare_epoch_of(name)).collect(),
        })
    }

    fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.sealed.is_empty() && self.spares.is_empty()
    }
}

struct Inspection<'a> {
    selection: Selection,
    show: &'a mut dyn FnMut(InspectedBatch<'_>) -> ControlFlow<()>,
    findings: Findings,
    standings: Standings,
}

impl Inspection<'_> {
    fn run(&mut self, disk: &dyn Disk, directory: &Path, names: Names) -> Result<ControlFlow<()>, OpenError> {
        let found = names.segments.iter().map(|epoch| find_segment(disk, directory, *epoch)).collect::<Result<Vec<Found>, _>>()?;
        let (used, unused) = tell_used(found)?;
        let mut log_id = used.first().and_then(|found| found.log_id);
        for (epoch, hub) in names.sealed {
            let path = crate::sealed::path(directory, epoch, hub);
            if used.iter().any(|found| found.epoch == epoch) {
                // As recovery sees it: while the segment is there it is the truth.
                self.note_unread(disk, &path, FileKind::Superseded)?;
            } else if self.run_sealed(disk, &path, hub, &mut log_id)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        for epoch in unused {
            self.note_unread(disk, &crate::segment::path(directory, epoch), FileKind::Prepared)?;
        }
        for epoch in names.spares {
            self.note_unread(disk, &crate::segment::spare_path(directory, epoch), FileKind::Spare)?;
        }
        let mut used = used.into_iter().peekable();
        while let Some(found) = used.next() {
            let successor = used.peek().map_or(Successor::None, Successor::of);
            let path = found.path.clone();
            if self.run_segment(&found, successor).map_err(failed("reading", &path))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A file without content of its own.
    fn note_unread(&mut self, disk: &dyn Disk, path: &Path, kind: FileKind) -> Result<(), OpenError> {
        let bytes = disk.open(path).and_then(|file| file.length()).map_err(failed("opening", path))?;
        self.findings.begin_file(path, kind, bytes);
        Ok(())
    }

    /// A batch that verifies: counts it and shows it.
    fn note_batch(&mut self, path: &Path, at: u64, (hub, partition): PartitionKey, batch: StoredBatch) -> ControlFlow<()> {
        let from = self.selection.from.unwrap_or(SequenceNumber::FIRST);
        if !self.selection.has((hub, partition)) || batch.end() <= from {
            return ControlFlow::Continue(());
        }
        self.findings.note_batch(&batch);
        self.standings.note_batch((hub, partition), &batch, from);
        let batch = StoredBatch { wanted: batch.base.max(from), ..batch };
        (self.show)(InspectedBatch { path, at, hub, partition, batch: &batch })
    }
}
