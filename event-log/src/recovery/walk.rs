//! Walking through a segment's groups: what verifies is taken over, what damage may hide is counted
//! at its place.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::directory::Found;
use super::{Recovery, UnreadableRange, WINDOW_BYTES};
use crate::config::GROUP_BYTES_MAX;
use crate::disk::Holes;
use crate::format::{BLOCK_BYTES, HEAD_ALIGNMENT, SegmentHead, SegmentIdentity};
use crate::index::IndexEntry;
use crate::scan::{self, Stretch, Window};
use crate::segment::Segment;
use crate::sync::write;
use crate::timestamps::record_time_max;

/// The segment after the one being scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Successor {
    /// The segment is the last.
    None,
    /// There is one, but neither its head nor its groups tell with which group it began.
    Unknown,
    /// It begins with this group.
    At(u64),
}

impl Successor {
    /// What `next` tells the segment before it.
    pub(crate) fn of(next: &Found) -> Self {
        next.base_group.map_or(Self::Unknown, Self::At)
    }
}

impl Recovery {
    /// Takes over what a segment holds, the next one being `successor`.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn scan(&mut self, found: Found, successor: Successor) -> io::Result<Segment> {
        let limit = found.file.length()?;
        let identity = SegmentIdentity { log_id: found.log_id.unwrap_or_default(), epoch: found.epoch };
        let groups_at = self.enter(&found, limit);
        let starts = found.head.map_or_else(|| self.positions.standing(), |head| head.positions);
        let segment = Segment::new(identity, Arc::clone(&found.file), groups_at, starts);
        let mut window = Window::new(&*found.file, WINDOW_BYTES);
        let mut at = groups_at;
        self.last_stretch = None;
        while let Some(stretch) = scan::next_stretch(&mut window, identity, at, limit)? {
            if self.expected.is_some_and(|expected| successor == Successor::At(expected)) {
                // What follows was torn and cut by an earlier recovery, then the log went on in
                // the next segment.
                break;
            }
            if !stretch.is_whole() {
                let is_final = scan::find_group(&mut window, stretch.end, limit, |header| header.identity == identity)?.is_none();
                // What the disk cannot read was not torn by a power cut: it may have been acknowledged.
                let is_hidden = window.holes().touch(&(stretch.at..stretch.end + BLOCK_BYTES as u64));
                if is_final && successor == Successor::None && !is_hidden {
                    self.report.torn_tail = true;
                    break;
                }
                if is_final && successor == Successor::Unknown {
                    // Torn and cut, or damaged? Its frames may be ghosts, so they are not shown.
                    self.positions.note_damage(stretch.end - stretch.at);
                    self.expected = None;
                    break;
                }
            }
            self.note_stretch(&segment, &stretch);
            at = stretch.end;
        }
        let is_complete = self.expected.is_some_and(|expected| successor == Successor::At(expected));
        let end = if is_complete { at } else { self.pass_hidden_end(window.holes(), at, limit) };
        segment.set_end(if successor == Successor::None { end } else { at });
        self.note_holes(&found.path, &segment, window.holes());
        Ok(segment)
    }

    /// Where the log goes on after what was found up to `at`, should the segment be its last. A group
    /// there may have a header that the disk cannot read, and others behind it; the place of each
    /// one's header must lie in a hole. Then the segment counts as full, so that the next one's head
    /// tells the numbers that were passed over.
    fn pass_hidden_end(&mut self, holes: &Holes, at: u64, limit: u64) -> u64 {
        if !holes.touch(&(at..at + BLOCK_BYTES as u64)) {
            return at;
        }
        let end_max = holes.end().unwrap_or(at).saturating_add(GROUP_BYTES_MAX as u64).min(limit);
        self.positions.note_damage(end_max.saturating_sub(at));
        limit
    }

    fn note_holes(&mut self, path: &Path, segment: &Segment, holes: &Holes) {
        segment.note_holes(holes);
        let ranges = holes.iter().map(|hole| UnreadableRange { path: path.to_owned(), at: hole.start, bytes: hole.end - hole.start });
        self.report.unreadable.extend(ranges);
    }

    /// Takes over what the head of a segment of so many bytes knows; returns where its groups begin.
    fn enter(&mut self, found: &Found, segment_bytes: u64) -> u64 {
        self.report.segments += 1;
        let expected = std::mem::replace(&mut self.expected, found.base_group);
        self.next_group = self.next_group.max(found.base_group.unwrap_or(0));
        let Some(head) = &found.head else {
            // Epochs count the segments that there have been.
            self.positions.note_damaged_head(found.epoch.saturating_sub(1).saturating_mul(segment_bytes));
            return HEAD_ALIGNMENT as u64;
        };
        if expected.is_some_and(|expected| expected != head.base_group) {
            // The segment before lost its end.
            self.positions.note_damage(HEAD_ALIGNMENT as u64);
        }
        self.positions.note_head(&head.positions);
        SegmentHead::bytes_with(head.positions.len()) as u64
    }

    fn note_stretch(&mut self, segment: &Segment, stretch: &Stretch) {
        let mut index = write(&segment.index);
        let mut at = 0;
        for frame in stretch.frames() {
            let header = frame.header;
            // A frame proves what lay before it, and nothing of what lies behind.
            self.positions.note_damage((frame.at - at) as u64);
            at = frame.at + header.frame_bytes();
            let Some(batch) = frame.batch() else {
                self.positions.note_lost_batch(&header);
                continue;
            };
            let entry = IndexEntry { base: batch.base, append_time: batch.append_time, group_at: stretch.at };
            index.note((header.hub, header.partition), entry, record_time_max(&batch.bytes), header.frame_bytes() as u64);
            segment.began.get_or_init(|| batch.append_time);
            self.positions.note_batch((header.hub, header.partition), &batch);
            self.producers.note((header.hub, header.partition), &batch);
            self.report.events += u64::from(batch.count);
        }
        self.positions.note_damage(stretch.frames_bytes().saturating_sub(at as u64));
        if let Some(header) = stretch.header {
            self.report.groups += 1;
            self.next_group = header.number + 1;
            self.last_stretch = Some((stretch.at, stretch.end));
        }
        self.expected = stretch.header.map(|header| header.number + 1);
    }
}
