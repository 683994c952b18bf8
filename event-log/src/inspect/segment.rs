//! Looking through a segment, as recovery does.

use std::io;
use std::ops::ControlFlow;

use super::Inspection;
use super::report::{Damaged, FileKind};
use crate::format::{BLOCK_BYTES, GROUP_HEADER_BYTES, HEAD_ALIGNMENT, SegmentHead, SegmentIdentity};
use crate::recovery::Successor;
use crate::recovery::directory::Found;
use crate::scan::{self, Stretch, Window};

/// Read at once.
const WINDOW_BYTES: usize = 1024 * 1024;

impl Inspection<'_> {
    pub(super) fn run_segment(&mut self, found: &Found, successor: Successor) -> io::Result<ControlFlow<()>> {
        let mut window = Window::new(&*found.file, WINDOW_BYTES);
        let flow = self.run_groups(found, successor, &mut window)?;
        self.findings.note_holes(&found.path, window.holes());
        Ok(flow)
    }

    fn run_groups(&mut self, found: &Found, successor: Successor, window: &mut Window<'_>) -> io::Result<ControlFlow<()>> {
        let limit = found.file.length()?;
        self.findings.begin_file(&found.path, FileKind::Segment, limit);
        let identity = SegmentIdentity { log_id: found.log_id.unwrap_or_default(), epoch: found.epoch };
        let mut expected = found.base_group;
        let mut at = self.enter_segment(found);
        while let Some(stretch) = scan::next_stretch(window, identity, at, limit)? {
            if expected.is_some_and(|expected| successor == Successor::At(expected)) {
                // What follows was torn, and cut by a recovery.
                break;
            }
            if !stretch.is_whole() {
                let is_final = scan::find_group(window, stretch.end, limit, |header| header.identity == identity)?.is_none();
                let is_hidden = window.holes().touch(&(stretch.at..stretch.end + BLOCK_BYTES as u64));
                if is_final && successor == Successor::None && !is_hidden {
                    self.findings.torn_tail = Some((found.path.clone(), stretch.at));
                    return Ok(ControlFlow::Continue(()));
                }
                self.findings.note_damage(&found.path, stretch.at, Damaged::Group);
                if is_final && successor == Successor::Unknown {
                    // Torn and cut, or damaged? Its frames may never have been acknowledged.
                    return Ok(ControlFlow::Continue(()));
                }
            }
            if self.run_stretch(found, &stretch).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            expected = stretch.header.map(|header| header.number + 1);
            at = stretch.end;
        }
        if let (Successor::At(base), Some(expected)) = (successor, expected)
            && base != expected
        {
            self.findings.note_damage(&found.path, at, Damaged::MissingGroup);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes over what the head proves; returns where the groups begin.
    fn enter_segment(&mut self, found: &Found) -> u64 {
        let Some(head) = &found.head else {
            self.findings.note_damage(&found.path, 0, Damaged::SegmentHead);
            return HEAD_ALIGNMENT as u64;
        };
        let from = self.selection.from;
        for position in &head.positions {
            let key = (position.hub, position.partition);
            if self.selection.has(key) && from.is_none_or(|from| from < position.next) {
                self.standings.prove(key, position.next);
            }
        }
        SegmentHead::bytes_with(head.positions.len()) as u64
    }

    fn run_stretch(&mut self, found: &Found, stretch: &Stretch) -> ControlFlow<()> {
        if stretch.header.is_some() {
            self.findings.note_group();
        }
        for frame in stretch.frames() {
            let at = stretch.at + (GROUP_HEADER_BYTES + frame.at) as u64;
            let key = (frame.header.hub, frame.header.partition);
            if let Some(batch) = frame.batch() {
                self.note_batch(&found.path, at, key, batch)?;
            }
        }
        ControlFlow::Continue(())
    }
}
