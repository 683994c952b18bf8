//! The one writer: takes what is staged, writes it, syncs it, releases who waits.

use std::io;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use model::Timestamp;

use crate::batch::StoredBatch;
use crate::clock_lag::ClockLag;
use crate::disk::write_all_at;
use crate::error::LogFailed;
use crate::format::{BLOCK_BYTES, GROUP_HEADER_BYTES, GroupHeader, finish_frame};
use crate::index::IndexEntry;
use crate::rolling::RETRY_INTERVAL;
use crate::segment::Segment;
use crate::shared::Shared;
use crate::spare::SpareSegments;
use crate::staging::Group;
use crate::sync::{lock, write};
use crate::tail::Tail;
use crate::timestamps::record_time_max;

/// What the writer does next.
enum Work {
    Commit(Group),
    LookAtAge,
    TryAgain,
    End,
}

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
    /// No next segment is tried for before, unless a group needs one.
    pub(crate) patient_until: Timestamp,
    pub(crate) lag: ClockLag,
}

impl Writer {
    /// Commits group after group until the log ends and nothing is staged any more.
    pub(crate) fn run(mut self) {
        loop {
            match self.wait_for_work() {
                Work::Commit(group) => self.commit(group),
                Work::LookAtAge => self.roll_if_old(),
                Work::TryAgain => self.try_again(),
                Work::End => return,
            }
        }
    }

    /// Commits one group on the caller's thread; `false` if nothing was staged.
    #[cfg(feature = "testkit")]
    pub(crate) fn step(&mut self) -> bool {
        if self.is_refusing() {
            self.try_again();
        }
        self.roll_if_old();
        let group = lock(&self.shared.staging).take();
        let is_some = group.is_some();
        group.into_iter().for_each(|group| self.commit(group));
        is_some
    }

    fn wait_for_work(&self) -> Work {
        let mut limit = self.time_left();
        let mut staging = lock(&self.shared.staging);
        loop {
            if let Some(group) = staging.take() {
                return Work::Commit(group);
            }
            let (patience, otherwise) = match &staging.ended {
                Some(LogFailed::Full { .. }) => (Some(RETRY_INTERVAL), Work::TryAgain),
                Some(LogFailed::Closed | LogFailed::Poisoned { .. }) => return Work::End,
                // A second late does no harm, and keeps a clock that stands from spinning this loop.
                None => (limit.map(|limit| limit.max(RETRY_INTERVAL)), Work::LookAtAge),
            };
            staging.writer_waits = true;
            let Some(patience) = patience else {
                staging = self.shared.staged.wait(staging).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let waited = self.shared.staged.wait_timeout(staging, patience).unwrap_or_else(PoisonError::into_inner);
            staging = waited.0;
            let is_refusing = matches!(staging.ended, Some(LogFailed::Full { .. }));
            if waited.1.timed_out() || is_refusing {
                staging.writer_waits = false;
                return otherwise;
            }
            limit = self.time_left();
        }
    }

    fn commit(&mut self, mut group: Group) {
        self.roll_if_old();
        let padded = group.buffer.len().next_multiple_of(BLOCK_BYTES);
        if self.is_full_for(padded as u64)
            && let Err(error) = self.roll()
        {
            return self.refuse(group, &error);
        }
        match self.write_group(&mut group, padded) {
            Ok(at) => self.publish(group, at),
            Err(error) => self.poison(group, &error),
        }
    }

    /// Writes the group and makes it durable; returns its place in the segment.
    fn write_group(&mut self, group: &mut Group, padded: usize) -> io::Result<u64> {
        let (frames_bytes, now) = (group.buffer.len() - GROUP_HEADER_BYTES, self.shared.clock.now());
        let header = GroupHeader {
            identity: self.segment.identity,
            number: self.next_group,
            writer: self.id,
            frames_bytes: frames_bytes as u32,
            frame_count: group.frames.len() as u32,
            append_time: now.max(self.last_time),
        };
        self.last_time = header.append_time;
        self.lag.look(now, header.append_time);
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

    /// Shows a durable group to readers, then resolves its tickets.
    fn publish(&mut self, group: Group, at: u64) {
        let capacity = group.buffer.capacity();
        let bytes = Bytes::from(group.buffer);
        let end = at + bytes.len() as u64;
        let mut partitions = Vec::with_capacity(group.frames.len());
        let mut index = write(&self.segment.index);
        for frame in &group.frames {
            let entry = IndexEntry { base: frame.base, append_time: self.last_time, group_at: at };
            index.note(frame.partition.key, entry, record_time_max(&frame.batch_of(&bytes)), frame.batch_bytes as u64);
        }
        drop(index);
        self.segment.began.get_or_init(|| self.last_time);
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
        self.shared.refuses.store(true, Ordering::Release);
        groups.extend(std::iter::from_fn(|| staging.take()));
        drop(staging);
        self.shared.budget.close();
        for group in groups {
            group.state.resolve(Err(failed.clone()));
        }
    }
}
