//! What looking through a log found.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use model::{EventHubId, PartitionId, SequenceNumber};

use crate::batch::StoredBatch;
use crate::disk::Holes;
use crate::error::LostRange;
use crate::partition::PartitionKey;

/// What was found in a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogReport {
    /// Every file.
    pub files: Vec<FileReport>,
    /// Every partition that left a trace, in order.
    pub partitions: Vec<PartitionReport>,
    /// What does not verify, in order of files and places.
    pub damage: Vec<Damage>,
    /// Events that are gone, in order: by damage that is still to be seen, or was before.
    pub lost: Vec<LostRange>,
    /// Where the last write was torn: it was never acknowledged, and the next opening cuts it.
    pub torn_tail: Option<(PathBuf, u64)>,
}

impl LogReport {
    /// Whether everything verifies and nothing is lost. A torn tail is no fault.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.lost.is_empty()
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A segment with events not sealed yet.
    Segment,
    /// A segment prepared for use.
    Prepared,
    /// A segment that is sealed, kept to be used again.
    Spare,
    /// One hub's part of a sealed segment.
    Sealed,
    /// A sealed file whose segment is still there, so that it does not count.
    Superseded,
}

/// A file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// Its length.
    pub bytes: u64,
    /// Commit groups that verify, in a segment.
    pub groups: u64,
    /// Batches that verify.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
}

/// A partition over all files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionReport {
    /// The event hub.
    pub hub: EventHubId,
    /// The partition.
    pub partition: PartitionId,
    /// The first number that the files tell of.
    pub first: SequenceNumber,
    /// The number behind the last.
    pub end: SequenceNumber,
    /// Events found between them.
    pub events: u64,
    /// Bytes of their batches.
    pub bytes: u64,
}

/// Something that does not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Its place there.
    pub at: u64,
    /// What it is.
    pub what: Damaged,
}

/// What kinds of things do not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damaged {
    /// A segment's head. Its groups are still read.
    SegmentHead,
    /// A commit group, or some frame in it. Its other frames are still read.
    Group,
    /// A group that must have been there is not.
    MissingGroup,
    /// A sealed file at both ends: nothing in it can be read.
    SealedFile,
    /// One end of a sealed file, or its copy of the footer. The other is used.
    SealedFileEnd,
    /// A frame of a sealed file.
    Frame,
    /// A block of a sealed file's index. Costs speed only.
    IndexBlock,
    /// The notes of a sealed file.
    Notes,
    /// Bytes that the disk cannot read; what lay there is damaged too.
    Unreadable {
        /// How many.
        bytes: u64,
    },
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable { bytes } => return write!(f, "{bytes} bytes that the disk cannot read"),
            Self::SegmentHead => "head of the segment",
            Self::Group => "commit group",
            Self::MissingGroup => "end of the segment, groups are missing",
            Self::SealedFile => "both ends of the sealed file, nothing in it can be read",
            Self::SealedFileEnd => "one end of the sealed file, the other is used",
            Self::Frame => "frame",
            Self::IndexBlock => "index block, which costs speed only",
            Self::Notes => "notes",
        })
    }
}

/// What gathers while files are read.
#[derive(Default)]
pub(super) struct Findings {
    files: Vec<FileReport>,
    damage: Vec<Damage>,
    pub(super) torn_tail: Option<(PathBuf, u64)>,
}

impl Findings {
    pub(super) fn begin_file(&mut self, path: &Path, kind: FileKind, bytes: u64) {
        self.files.push(FileReport { path: path.to_owned(), kind, bytes, groups: 0, batches: 0, events: 0 });
    }

    pub(super) fn note_group(&mut self) {
        if let Some(file) = self.files.last_mut() {
            file.groups += 1;
        }
    }

    pub(super) fn note_batch(&mut self, batch: &StoredBatch) {
        if let Some(file) = self.files.last_mut() {
            file.batches += 1;
            file.events += u64::from(batch.count);
        }
    }

    pub(super) fn note_damage(&mut self, path: &Path, at: u64, what: Damaged) {
        self.damage.push(Damage { path: path.to_owned(), at, what });
    }

    /// What the disk could not read of the file.
    pub(super) fn note_holes(&mut self, path: &Path, holes: &Holes) {
        holes.iter().for_each(|hole| self.note_damage(path, hole.start, Damaged::Unreadable { bytes: hole.end - hole.start }));
    }

    pub(super) fn into_report(mut self, standings: Standings) -> LogReport {
        self.files.sort_by(|one, other| one.path.cmp(&other.path));
        self.damage.sort_by(|one, other| (&one.path, one.at).cmp(&(&other.path, other.at)));
        let Standings { partitions, mut lost } = standings;
        lost.sort_unstable();
        let partitions = partitions.into_values().collect();
        LogReport { files: self.files, partitions, damage: self.damage, lost, torn_tail: self.torn_tail }
    }
}

/// Where each partition stands. Its numbers have no gaps, so what follows proves what is lost.
#[derive(Default)]
pub(super) struct Standings {
    partitions: BTreeMap<PartitionKey, PartitionReport>,
    lost: Vec<LostRange>,
}

impl Standings {
    /// The partition had come to `sequence`; without anything before, the files begin there.
    pub(super) fn prove(&mut self, (hub, partition): PartitionKey, sequence: SequenceNumber) -> &mut PartitionReport {
        let begin = PartitionReport { hub, partition, first: sequence, end: sequence, events: 0, bytes: 0 };
        let standing = self.partitions.entry((hub, partition)).or_insert(begin);
        if standing.end < sequence {
            self.lost.push(LostRange { hub, partition, from: standing.end, to: SequenceNumber(sequence.0 - 1) });
            standing.end = sequence;
        }
        standing
    }

    pub(super) fn note_batch(&mut self, key: PartitionKey, batch: &StoredBatch, from: SequenceNumber) {
        let standing = self.prove(key, batch.base.max(from));
        standing.end = standing.end.max(batch.end());
        standing.events += u64::from(batch.count);
        standing.bytes += batch.bytes.len() as u64;
    }
}
