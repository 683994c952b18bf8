//! Sealing: a full segment becomes one file for each event hub.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::EventHubId;

use super::footer::Footer;
use super::format::{ALIGNMENT, ANCHOR_BYTES, Anchor, End, Extent, FileIdentity};
use super::index::{self, encode_index};
use super::layout::{self, Layout, PartPlan};
use super::part_writer::{FlushExtent, PAGE_BYTES, PartWriter, Refusal};
use super::{SealedFile, WINDOW_BYTES};
use crate::disk::{Disk, DiskFile, Holes, write_all_at};
use crate::format::Position;
use crate::partition::PartitionKey;
use crate::scan::{self, Stretch, Window};
use crate::segment::{self, Segment};

/// Frames wait in memory for their places up to so many bytes, all partitions together: the more
/// partitions, the more, so that a write carries some 64 KiB, and 8 KiB with 1,024 partitions.
const BUFFER_BYTES_A_PART: usize = 64 * 1024;
const BUFFER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Writes a segment, which must not change any more, as sealed files into `directory`, one for
/// each event hub with events in it that `keep` names, and makes their content durable; their
/// names become so when the caller syncs the directory. A file of the same name is replaced.
///
/// `starts` and `ends` tell where every partition stood at the segment's begin and end: the parts
/// tile from one to the other, and what is missing between becomes lost ranges. A partition that
/// `starts` leaves out begins with 0, one that `ends` leaves out ends with its last.
/// `notes` are stored beside a hub's events as they are; asked for once the events are written.
///
/// Takes memory for 8 MiB of frames at most, and 32 bytes for every 4 KiB of them.
///
/// # Errors
/// The disk's. And what the disk could not read is looked at again before it is given up: if it was
/// not known yet, or the two readings of the segment differ, that is an error, and sealing again goes
/// on with what is left of it; [`Segment::has_holes`] then tells of that alone.
/// Files begun are left behind; they cannot be opened, and sealing again replaces them.
pub(crate) fn seal(
    disk: &dyn Disk,
    directory: &Path,
    segment: &Segment,
    starts: &[Position],
    ends: &[Position],
    keep: &dyn Fn(EventHubId) -> bool,
    notes: &dyn Fn(EventHubId) -> Vec<u8>,
) -> io::Result<Vec<SealedFile>> {
    let Layout { files: plans, holes } = layout::plan(segment, starts, ends, keep)?;
    if segment.note_holes(&holes) {
        return Err(look_again());
    }
    let begin = |(hub, parts)| FileWriter::begin(disk, directory, FileIdentity { segment: segment.identity, hub }, parts);
    let files = plans.into_iter().map(begin).collect::<io::Result<Vec<FileWriter>>>()?;
    let mut sealer = Sealer::new(files, segment::path(directory, segment.identity.epoch));
    sealer.copy(segment, &holes)?;
    segment.forget_healed(holes);
    sealer.flush(FlushExtent::All)?;
    let finish = |file: FileWriter| {
        let notes = notes(file.identity.hub);
        file.finish(&notes)
    };
    sealer.files.into_iter().map(finish).collect()
}

fn look_again() -> io::Error {
    io::Error::other("some of the segment's blocks cannot be read; they are looked at again before they are given up")
}

/// The files being written.
struct Sealer {
    files: Vec<FileWriter>,
    /// Where a partition's part is: which file, which part.
    slots: HashMap<PartitionKey, (usize, usize)>,
    /// The segment's file, for reports.
    source: PathBuf,
    buffered_bytes: usize,
    buffer_bytes_max: usize,
    /// What is written before the end.
    early_extent: FlushExtent,
}

impl Sealer {
    fn new(files: Vec<FileWriter>, source: PathBuf) -> Self {
        let mut slots = HashMap::new();
        for (number, file) in files.iter().enumerate() {
            slots.extend(file.parts.iter().enumerate().map(|(part, writer)| ((file.identity.hub, writer.partition()), (number, part))));
        }
        let buffer_bytes_max = slots.len().saturating_mul(BUFFER_BYTES_A_PART).min(BUFFER_BYTES_MAX);
        // What stays behind of each part must not fill the buffers again.
        let is_room_for_pages = slots.len() * PAGE_BYTES as usize <= buffer_bytes_max / 2;
        let early_extent = if is_room_for_pages { FlushExtent::WholePages } else { FlushExtent::All };
        Self { files, slots, source, buffered_bytes: 0, buffer_bytes_max, early_extent }
    }

    /// Takes every frame of the segment that verifies to its place. `measured` is what could not be
    /// read when the places were laid out: with more or less than that they are not the right ones.
    fn copy(&mut self, segment: &Segment, measured: &Holes) -> io::Result<()> {
        let mut window = Window::new(&*segment.file, WINDOW_BYTES);
        let mut at = segment.groups_at;
        while let Some(stretch) = scan::next_stretch(&mut window, segment.identity, at, segment.end())? {
            if !self.copy_stretch(&stretch)? {
                self.report(stretch.at, stretch.end);
            }
            at = stretch.end;
        }
        if at < segment.end() {
            self.report(at, segment.end());
        }
        segment.note_holes(window.holes());
        if window.holes() == measured { Ok(()) } else { Err(look_again()) }
    }

    /// `false` if something in it does not verify.
    fn copy_stretch(&mut self, stretch: &Stretch) -> io::Result<bool> {
        let (mut frames, mut bytes) = (0, 0);
        for frame in stretch.frames() {
            let header = &frame.header;
            let Some(batch) = frame.batch() else { continue };
            frames += 1;
            bytes += header.frame_bytes();
            let Some((file, part)) = self.slots.get(&(header.hub, header.partition)) else { continue };
            let Some(part) = self.files.get_mut(*file).and_then(|file| file.parts.get_mut(*part)) else { continue };
            let before = part.buffered_bytes();
            match part.push(header, &batch) {
                Ok(()) => {}
                Err(Refusal::OutOfOrder) => {
                    let (hub, partition, base) = (header.hub.0, header.partition.0, batch.base.0);
                    tracing::warn!(segment = %self.source.display(), at = stretch.at, hub, partition, base, "a batch out of order was left out");
                }
                // It could not be read when the room was measured.
                Err(Refusal::NoRoom) => return Err(look_again()),
            }
            self.buffered_bytes += part.buffered_bytes() - before;
            if self.buffered_bytes >= self.buffer_bytes_max {
                self.flush(self.early_extent)?;
            }
        }
        Ok(stretch.header.is_some_and(|header| (header.frame_count, header.frames_bytes as usize) == (frames, bytes)))
    }

    fn flush(&mut self, extent: FlushExtent) -> io::Result<()> {
        let mut left = 0;
        let keep_bytes = 2 * self.buffer_bytes_max / self.slots.len().max(1);
        for file in &mut self.files {
            for part in &mut file.parts {
                part.flush(&*file.file, extent, keep_bytes)?;
                left += part.buffered_bytes();
            }
        }
        self.buffered_bytes = left;
        Ok(())
    }

    fn report(&self, at: u64, end: u64) {
        tracing::error!(segment = %self.source.display(), at, end, "a commit group does not verify; what is left of it is sealed");
    }
}

/// A sealed file being written.
struct FileWriter {
    identity: FileIdentity,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    parts: Vec<PartWriter>,
    /// Where the room for the partitions' data ends.
    data_end: u64,
}

impl FileWriter {
    fn begin(disk: &dyn Disk, directory: &Path, identity: FileIdentity, plans: Vec<PartPlan>) -> io::Result<Self> {
        let path = super::path(directory, identity.segment.epoch, identity.hub);
        let file = disk.create(&path)?;
        let mut at = ANCHOR_BYTES as u64;
        let mut parts = Vec::with_capacity(plans.len());
        for plan in plans {
            parts.push(PartWriter::new(&identity, plan, at));
            at = (at + plan.bytes_max).next_multiple_of(ALIGNMENT);
        }
        Ok(Self { identity, path, file, parts, data_end: at })
    }

    /// Writes everything behind the partitions' data, and, once all that is durable, the two ends.
    fn finish(mut self, notes: &[u8]) -> io::Result<SealedFile> {
        let mut footer = self.write_index()?;
        footer.notes = self.write_extent(notes, footer.notes.at)?;
        let encoded = footer.encode();
        let first = self.write_extent(&encoded, footer.notes.end().next_multiple_of(ALIGNMENT))?;
        let second = self.write_extent(&encoded, first.end().next_multiple_of(ALIGNMENT))?;
        self.file.sync_all()?;
        let trailer_at = second.end().next_multiple_of(ALIGNMENT);
        let (head, trailer) = (Anchor { identity: self.identity, footer: first }, Anchor { identity: self.identity, footer: second });
        write_all_at(&*self.file, &trailer.encode(End::Trailer), trailer_at)?;
        write_all_at(&*self.file, &head.encode(End::Head), 0)?;
        self.file.sync_all()?;
        Ok(SealedFile::new(self.path, self.file, self.identity, trailer_at + ANCHOR_BYTES as u64, footer))
    }

    /// Writes the index; the footer it returns lacks the notes, whose place alone is set.
    fn write_index(&mut self) -> io::Result<Footer> {
        let (mut parts, mut lost, mut entries) = (Vec::with_capacity(self.parts.len()), Vec::new(), Vec::new());
        for part in &mut self.parts {
            parts.push(part.finish(entries.len() as u32));
            lost.append(&mut part.lost);
            entries.append(&mut part.entries);
        }
        let index_at = self.data_end.next_multiple_of(index::BLOCK_BYTES as u64);
        let encoded = encode_index(&self.identity, &entries);
        write_all_at(&*self.file, &encoded, index_at)?;
        let notes = Extent { at: index_at + encoded.len() as u64, bytes: 0, checksum: 0 };
        Ok(Footer { index_at, notes, parts, lost })
    }

    fn write_extent(&self, bytes: &[u8], at: u64) -> io::Result<Extent> {
        write_all_at(&*self.file, bytes, at)?;
        let checksum = crc32c::crc32c_append(self.identity.seed(), bytes);
        Ok(Extent { at, bytes: bytes.len() as u64, checksum })
    }
}
