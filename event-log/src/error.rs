//! What can go wrong, one enum an operation.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use model::{EventHubId, PartitionId, SequenceNumber};
use thiserror::Error;

use crate::producers::SequenceError;

/// The log takes no more events. Reading goes on.
#[derive(Debug, Clone, Error)]
pub enum LogFailed {
    /// The log was closed.
    #[error("the event log is closed")]
    Closed,
    /// A write or a sync failed. That is final: whether the bytes lie on disk is unknown, so
    /// nothing is acknowledged any more until the log is opened again and recovers.
    #[error("the event log stopped: {reason}")]
    Poisoned {
        /// What failed.
        reason: Arc<str>,
    },
    /// No further segment can be prepared, most likely because the disk is full. Nothing of the
    /// batch is stored. The log tries again every second and goes on by itself.
    #[error("the event log has no room: {reason}")]
    Full {
        /// What failed.
        reason: Arc<str>,
    },
}

/// No such partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("event hub {} has no partition {partition}, or does not exist", hub.0)]
pub struct UnknownPartition {
    /// The event hub.
    pub hub: EventHubId,
    /// The partition.
    pub partition: PartitionId,
}

/// Why a log could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process, or another handle of this one, has the log open.
    #[error("the event log in {} is open elsewhere", directory.display())]
    InUse {
        /// The log's directory.
        directory: PathBuf,
    },
    /// The disk refused.
    #[error("{operation} {}", path.display())]
    Disk {
        /// What was attempted.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The disk can read no block of a sealed file. The others may be well: without this file the
    /// log opens.
    #[error(
        "no block of {} can be read; if that lasts, move the file out of the directory, and the log opens without its events, which then count as lost",
        path.display()
    )]
    Unreadable {
        /// The sealed file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A segment was written by a later version of the hub.
    #[error("{} has format version {version}, this version reads {}", path.display(), crate::format::VERSION)]
    Version {
        /// The segment.
        path: PathBuf,
        /// The version in its header.
        version: u32,
    },
    /// A segment belongs to another log.
    #[error("{} belongs to another event log", path.display())]
    Foreign {
        /// The segment.
        path: PathBuf,
    },
    /// The configuration is out of bounds.
    #[error("the configuration's {setting} of {value} lies outside {min} to {max}")]
    Config {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: u64,
        /// The least that works.
        min: u64,
        /// The most that works.
        max: u64,
    },
    /// An event hub could not be defined.
    #[error(transparent)]
    Define(#[from] DefineError),
}

/// Why an event hub could not be defined.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DefineError {
    /// The hub exists with another number of partitions, which is fixed at creation.
    #[error("event hub {} has {existing} partitions, not {requested}", hub.0)]
    PartitionCount {
        /// The event hub.
        hub: EventHubId,
        /// Partitions it has.
        existing: u32,
        /// Partitions asked for.
        requested: u32,
    },
    /// The hub was removed; its number is not given again.
    #[error("event hub {} was removed", hub.0)]
    Removed {
        /// The event hub.
        hub: EventHubId,
    },
    /// The positions of all partitions would not fit into the head of a segment.
    #[error("{requested} partitions in all; a segment of this size has room for the positions of {max}")]
    TooManyPartitions {
        /// Partitions of all event hubs together.
        requested: usize,
        /// The most there can be.
        max: usize,
    },
}

/// Why the files of a removed event hub are not all gone. Its events are unreadable all the same;
/// removing it again goes on.
#[derive(Debug, Error)]
pub enum RemoveError {
    /// The disk refused.
    #[error("{operation} {}", path.display())]
    Disk {
        /// What was attempted.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// Why a batch was not staged. Nothing of it is stored.
#[derive(Debug, Clone, Error)]
pub enum StageError {
    /// No such partition.
    #[error(transparent)]
    UnknownPartition(#[from] UnknownPartition),
    /// The batch has no events.
    #[error("the batch is empty")]
    EmptyBatch,
    /// The batch is larger than a commit group may be.
    #[error("the batch takes {bytes} bytes, the most is {max}")]
    BatchTooLarge {
        /// Bytes that staging it takes.
        bytes: usize,
        /// The most there can be.
        max: usize,
    },
    /// The permit covers less than [`Batch::staged_bytes`](crate::Batch::staged_bytes).
    #[error("the permit covers {reserved} bytes, the batch takes {bytes}")]
    PermitTooSmall {
        /// Bytes that staging the batch takes.
        bytes: usize,
        /// Bytes reserved.
        reserved: usize,
    },
    /// The batch of an idempotent producer is neither the next one nor one of the last, so one
    /// before it is missing.
    #[error("the producer's sequence {got} comes where {expected} is next")]
    OutOfOrderSequence {
        /// The sequence that would be next.
        expected: i32,
        /// The batch's first sequence.
        got: i32,
    },
    /// The producer was restarted, and this batch comes from before.
    #[error("the producer's epoch {got} is over, {current_epoch} has begun")]
    ProducerFenced {
        /// The epoch of the producer's last batch.
        current_epoch: i16,
        /// The batch's epoch.
        got: i16,
    },
    /// The log takes no more events.
    #[error(transparent)]
    Log(#[from] LogFailed),
}

impl From<SequenceError> for StageError {
    fn from(error: SequenceError) -> Self {
        match error {
            SequenceError::OutOfOrder { expected, got } => Self::OutOfOrderSequence { expected, got },
            SequenceError::Fenced { current_epoch, got } => Self::ProducerFenced { current_epoch, got },
        }
    }
}

/// Why there is no reader.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReaderError {
    /// No such partition.
    #[error(transparent)]
    UnknownPartition(#[from] UnknownPartition),
}

/// Why a read brought no batches. After a gap the reader stands behind it and can go on.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Damage on disk took these events away.
    #[error("events {} to {} of the partition are lost to damage on disk", .0.from, .0.to)]
    Gap(LostRange),
    /// The disk refused to read; the reader stands where it stood.
    #[error("reading the events of segment {epoch}")]
    Disk {
        /// The segment's number; a sealed file has that of its segment.
        epoch: u64,
        /// The system's answer.
        source: io::Error,
    },
    /// The event hub was removed, its events with it.
    #[error("event hub {} was removed", hub.0)]
    Removed {
        /// The event hub.
        hub: EventHubId,
    },
    /// No such partition.
    #[error(transparent)]
    UnknownPartition(#[from] UnknownPartition),
}

/// Events of a partition that damage took away, first and last included. Where the damage also
/// hides how many there were, the range is the widest possible; its numbers are never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LostRange {
    /// The event hub.
    pub hub: EventHubId,
    /// The partition.
    pub partition: PartitionId,
    /// The first number lost.
    pub from: SequenceNumber,
    /// The last number lost.
    pub to: SequenceNumber,
}
