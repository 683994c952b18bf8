//! The one writer: takes what is staged, writes it, syncs it, releases who waits.

use std::io;
use std::sync::Arc;
use std::sync::PoisonError;

use bytes::Bytes;
use model::Timestamp;

use crate::batch::StoredBatch;
use crate::disk::write_all_at;
use crate::error::LogFailed;
use crate::format::{BLOCK_BYTES, GROUP_HEADER_BYTES, GroupHeader, SegmentHead, SegmentIdentity, finish_frame};
use crate::index::IndexEntry;
use crate::segment::Segment;
use crate::shared::Shared;
use crate::spare::SpareSegments;
use crate::staging::Group;
use crate::sync::{lock, read, write};
use crate::tail::Tail;

/// Owns the end of the log.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) segment: Arc<Segment>,
    pub(crate) next_group: u64,
    /// Random at each opening, see [`GroupHeader::writer`].
    pub(crate) id: u64,
    pub(crate) last_time: Timestamp,
    pub(crate) tail: Tail,
    pub(crate) spares: SpareSegments,
}

impl Writer {
    /// Commits group after group until the log ends and nothing is staged any more.
    pub(crate) fn run(mut self) {
        while let Some(group) = self.wait_for_group() {
            self.commit(group);
        }
    }

    /// Commits one group on the caller's thread; `false` if nothing was staged.
    #[cfg(feature = "testkit")]
    pub(crate) fn step(&mut self) -> bool {
        let group = lock(&self.shared.staging).take();
        let is_some = group.is_some();
        group.into_iter().for_each(|group| self.commit(group));
        is_some
    }

    fn wait_for_group(&self) -> Option<Group> {
        let mut staging = lock(&self.shared.staging);
        loop {
            if let Some(group) = staging.take() {
                return Some(group);
            }
            if staging.ended.is_some() {
                return None;
            }
            staging.writer_waits = true;
            staging = self.shared.staged.wait(staging).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn commit(&mut self, mut group: Group) {
        match self.write_group(&mut group) {
            Ok(at) => self.publish(group, at),
            Err(error) => self.poison(group, &error),
        }
    }

    /// Writes the group and makes it durable; returns its place in the segment.
    fn write_group(&mut self, group: &mut Group) -> io::Result<u64> {
        let frames_bytes = group.buffer.len() - GROUP_HEADER_BYTES;
        let padded = group.buffer.len().next_multiple_of(BLOCK_BYTES);
        if self.segment.end() + padded as u64 > self.shared.config.segment_bytes {
            self.roll()?;
        }
        let header = GroupHeader {
            identity: self.segment.identity,
            number: self.next_group,
            writer: self.id,
            frames_bytes: frames_bytes as u32,
            frame_count: group.frames.len() as u32,
            append_time: self.shared.clock.now().max(self.last_time),
        };
        self.last_time = header.append_time;
        let seed = header.frame_seed();
        for frame in &group.frames {
            finish_frame(group.buffer.get_mut(frame.at..).unwrap_or_default(), header.append_time, seed);
        }
        if let Some(slot) = group.buffer.first_chunk_mut::<GROUP_HEADER_BYTES>() {
            *slot = header.encode();
        }
        group.buffer.resize(padded, 0);
        let at = self.segment.end();
        write_all_at(&*self.segment.file, &group.buffer, at)?;
        self.segment.file.sync_data()?;
        self.next_group += 1;
        Ok(at)
    }

    /// Goes on in the next segment. Its head is durable before its first group is written.
    fn roll(&mut self) -> io::Result<()> {
        let SegmentIdentity { log_id, epoch } = self.segment.identity;
        let identity = SegmentIdentity { log_id, epoch: epoch + 1 };
        let file = self.spares.take(identity.epoch)?;
        let head = SegmentHead { identity, base_group: self.next_group, positions: self.shared.positions() };
        self.segment = Arc::new(Segment::begin(file, &head)?);
        write(&self.shared.segments).push(Arc::clone(&self.segment));
        self.shared.counters.note_segment();
        Ok(())
    }

    /// Shows a durable group to readers, then resolves its tickets.
    fn publish(&mut self, group: Group, at: u64) {
        let capacity = group.buffer.capacity();
        let bytes = Bytes::from(group.buffer);
        let end = at + bytes.len() as u64;
        let mut partitions = Vec::with_capacity(group.frames.len());
        let mut index = write(&self.segment.index);
        for frame in &group.frames {
            let entry = IndexEntry { base: frame.base, append_time: self.last_time, group_at: at };
            index.note(frame.partition.key, entry, frame.batch_bytes as u64);
        }
        drop(index);
        self.segment.set_end(end);
        let frame_count = group.frames.len() as u64;
        for frame in group.frames {
            let batch = frame.batch_of(&bytes);
            let (base, count, origin) = (frame.base, frame.count, frame.origin);
            let stored = StoredBatch { base, count, append_time: self.last_time, origin, wanted: base, bytes: batch };
            lock(&frame.partition.durable).append(stored);
            frame.partition.grown.notify_waiters();
            partitions.push(frame.partition);
        }
        self.tail.push(capacity, partitions);
        self.shared.counters.note_group(frame_count, group.events, bytes.len() as u64);
        self.shared.budget.add_permits(group.budget_bytes);
        group.state.resolve(Ok(()));
        if end > self.shared.config.segment_bytes / 2 {
            self.spares.order(self.segment.identity.epoch + 1);
        }
    }

    /// Ends the log for writing, for good: whether the group lies on disk is unknown.
    fn poison(&self, group: Group, error: &io::Error) {
        let path = crate::segment::path(&self.shared.directory, self.segment.identity.epoch);
        let reason: Arc<str> = format!("writing {}: {error}", path.display()).into();
        tracing::error!(%reason, "the event log stopped; nothing is acknowledged until it is opened again");
        let failed = LogFailed::Poisoned { reason: Arc::clone(&reason) };
        lock(&self.shared.health).note_failed(reason);
        let mut groups = vec![group];
        let mut staging = lock(&self.shared.staging);
        staging.ended = Some(failed.clone());
        groups.extend(std::iter::from_fn(|| staging.take()));
        drop(staging);
        self.shared.budget.close();
        for group in groups {
            group.state.resolve(Err(failed.clone()));
        }
    }
}

/// The last segment, which the writer goes on with.
pub(crate) fn last_segment(shared: &Shared) -> Option<Arc<Segment>> {
    read(&shared.segments).last().cloned()
}
