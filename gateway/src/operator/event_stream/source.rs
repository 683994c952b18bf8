//! One partition of a stream: where it stands and where it ends.

use event_log::{ReadError, Reader, StoredBatch};
use model::{PartitionId, SequenceNumber};
use thiserror::Error;

/// Why a partition cannot be read any further.
#[derive(Debug, Error)]
pub(super) enum SourceFailed {
    /// The log could not read it, or has lost something.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Reading panicked, which is a defect of ours, or the runtime ends.
    #[error("reading was broken off")]
    BrokenOff,
}

/// What a read brought: the source itself, to read on, and batches.
pub(super) type Reading = Result<(Source, Result<Vec<StoredBatch>, ReadError>), SourceFailed>;

/// Reads one partition.
#[derive(Debug)]
pub(super) struct Source {
    /// The partition.
    pub(super) partition: PartitionId,
    /// The next event wanted.
    pub(super) next: SequenceNumber,
    /// Where to stop, exclusive.
    pub(super) end: Option<SequenceNumber>,
    /// Bytes to read at once.
    pub(super) read_bytes: usize,
    /// The log's reader.
    pub(super) reader: Reader,
}

impl Source {
    /// Whether everything asked for has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// The next events. A source without an end waits for them; one with an end has reached it
    /// when there are none.
    pub(super) async fn read(mut self) -> Reading {
        let Some(end) = self.end else {
            let read = self.reader.next(self.read_bytes).await;
            return Ok((self, read));
        };
        // Events may be passed over for their age up to the end, where `next` would wait.
        let reading = tokio::task::spawn_blocking(move || {
            let read = self.reader.try_next(self.read_bytes);
            if read.as_ref().is_ok_and(Vec::is_empty) {
                self.skip_to(end);
            }
            (self, read)
        });
        reading.await.map_err(|_| SourceFailed::BrokenOff)
    }

    /// Takes `sequence` as read, and says whether it was wanted: reading begins and ends with
    /// whole batches, asked for are events.
    pub(super) fn take(&mut self, sequence: SequenceNumber) -> bool {
        let wanted = sequence >= self.next && self.end.is_none_or(|end| sequence < end);
        self.skip_to(sequence.plus(1));
        wanted
    }

    /// Goes on at `sequence`, never back.
    pub(super) fn skip_to(&mut self, sequence: SequenceNumber) {
        self.next = self.next.max(sequence);
    }
}
