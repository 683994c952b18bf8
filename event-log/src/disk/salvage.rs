//! Reading past what the disk cannot read: bad blocks come back as zeros, which verify nowhere, and
//! their places are told.

use std::io;
use std::ops::Range;

use super::{DiskFile, read_at_most};

/// The least that a disk reads or cannot read.
const BLOCK_BYTES: u64 = 512;
/// Blocks tried, all over a file, before it is believed that some of it can be read.
const PROBES: u64 = 64;
/// What Linux answers for a block that is there and cannot be read: EIO, ENODATA (a medium error),
/// and EBADMSG and EUCLEAN (a file system's own checksum failed).
const BAD_BLOCK_ERRORS: [i32; 4] = [5, 61, 74, 117];

/// Ranges of a file that the disk cannot read: in order, apart from each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Holes {
    ranges: Vec<Range<u64>>,
}

impl Holes {
    /// Adds a range; `false` if it was known.
    pub(crate) fn add(&mut self, range: Range<u64>) -> bool {
        let before = self.ranges.partition_point(|known| known.end < range.start);
        let touching = self.ranges.get(before..).unwrap_or_default().iter().take_while(|known| known.start <= range.end).count();
        let known = self.ranges.get(before..before + touching).unwrap_or_default();
        if known.iter().any(|known| known.start <= range.start && range.end <= known.end) {
            return false;
        }
        let start = known.first().map_or(range.start, |first| first.start.min(range.start));
        let end = known.last().map_or(range.end, |last| last.end.max(range.end));
        self.ranges.splice(before..before + touching, std::iter::once(start..end));
        true
    }

    /// Whether some byte of the range cannot be read.
    pub(crate) fn touch(&self, range: &Range<u64>) -> bool {
        let first = self.ranges.partition_point(|hole| hole.end <= range.start);
        self.ranges.get(first).is_some_and(|hole| hole.start < range.end)
    }

    /// The end of the last one.
    pub(crate) fn end(&self) -> Option<u64> {
        self.ranges.last().map(|last| last.end)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.ranges.iter()
    }
}

/// Reads `length` bytes from `offset`, fewer only at the end of the file. Where the disk cannot
/// read, it is asked again block by block; what it refuses then is zeros and in `holes`.
///
/// # Errors
/// The disk's: all others than for bad blocks, and these too if no block of the file can be read.
/// A disk that is gone is a failure, not damage to each of its blocks.
pub(crate) fn read_around_holes(file: &dyn DiskFile, offset: u64, length: usize, holes: &mut Holes) -> io::Result<Vec<u8>> {
    match read_at_most(file, offset, length) {
        Err(error) if is_bad_block(&error) => read_blocks(file, offset, length, holes, error),
        read => read,
    }
}

fn read_blocks(file: &dyn DiskFile, offset: u64, length: usize, holes: &mut Holes, first_error: io::Error) -> io::Result<Vec<u8>> {
    let file_bytes = file.length()?;
    let end = file_bytes.min(offset.saturating_add(length as u64));
    let (mut bytes, mut found, mut is_any_read) = (Vec::with_capacity(length), Holes::default(), false);
    let mut at = offset;
    while at < end {
        let next = ((at / BLOCK_BYTES + 1) * BLOCK_BYTES).min(end);
        match read_at_most(file, at, (next - at) as usize) {
            Ok(block) => {
                bytes.extend_from_slice(&block);
                is_any_read = true;
                if (block.len() as u64) < next - at {
                    break;
                }
            }
            Err(error) if is_bad_block(&error) => {
                bytes.resize((next - offset) as usize, 0);
                found.add(at..next);
            }
            Err(error) => return Err(error),
        }
        at = next;
    }
    if !is_any_read && !is_any_block_readable(file, file_bytes) {
        return Err(first_error);
    }
    for hole in found.ranges {
        holes.add(hole);
    }
    Ok(bytes)
}

/// Whether one of some blocks all over the file can be read: of all of them in a small file.
fn is_any_block_readable(file: &dyn DiskFile, file_bytes: u64) -> bool {
    let step = (file_bytes / PROBES).next_multiple_of(BLOCK_BYTES).max(BLOCK_BYTES);
    let mut places = (0..file_bytes).step_by(step as usize);
    places.any(|at| read_at_most(file, at, BLOCK_BYTES as usize).is_ok())
}

/// Whether the disk answered that it cannot read a block.
pub(crate) fn is_bad_block(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| BAD_BLOCK_ERRORS.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_that_meet_become_one() {
        let mut holes = Holes::default();
        for (range, is_new) in
            [(10..20, true), (40..50, true), (12..18, false), (20..30, true), (25..45, true), (0..5, true), (0..60, true)]
        {
            assert_eq!(holes.add(range.clone()), is_new, "{range:?}");
        }
        assert_eq!(holes.ranges.as_slice(), std::slice::from_ref(&(0..60)));
    }

    #[test]
    fn a_hole_touches_what_shares_a_byte_with_it() {
        let mut holes = Holes::default();
        holes.add(512..1024);
        holes.add(4096..4608);
        for (range, touches) in
            [(0..512, false), (0..513, true), (1023..1024, true), (1024..4096, false), (600..5000, true), (4608..9000, false)]
        {
            assert_eq!(holes.touch(&range), touches, "{range:?}");
        }
        assert_eq!(holes.end(), Some(4608));
    }

    #[cfg(feature = "testkit")]
    mod on_a_disk {
        use std::path::Path;

        use super::*;
        use crate::disk::{Disk, FaultyDisk};

        #[test]
        fn a_bad_block_costs_itself_alone_and_is_told() {
            let (disk, path) = (FaultyDisk::new(1), Path::new("file"));
            let file = disk.create(path).expect("created");
            file.write_at(&[7; 5000], 0).expect("written");
            disk.make_unreadable(path, 1024..1025);
            disk.make_unreadable(path, 4900..4901);
            let mut holes = Holes::default();
            let bytes = read_around_holes(&*file, 100, 9000, &mut holes).expect("read");
            assert_eq!(bytes.len(), 4900);
            for (at, byte) in (100..).zip(&bytes) {
                let is_bad = (1024..1536).contains(&at) || at >= 4608;
                assert_eq!(*byte, if is_bad { 0 } else { 7 }, "byte {at}");
            }
            assert_eq!(holes.ranges, [1024..1536, 4608..5000]);
        }

        #[test]
        fn a_file_of_which_nothing_can_be_read_is_a_failure() {
            let (disk, path) = (FaultyDisk::new(1), Path::new("file"));
            let file = disk.create(path).expect("created");
            file.write_at(&[7; 5000], 0).expect("written");
            disk.make_unreadable(path, 0..4999);
            assert!(read_around_holes(&*file, 512, 512, &mut Holes::default()).is_err());
            file.write_at(&[7; 512], 2048).expect("written");
            let mut holes = Holes::default();
            assert_eq!(read_around_holes(&*file, 512, 512, &mut holes).expect("the file is not gone"), [0; 512]);
            assert_eq!(holes.ranges.as_slice(), std::slice::from_ref(&(512..1024)));
        }
    }
}
