//! A segment: one file of commit groups.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use model::Timestamp;

use crate::disk::{Disk, DiskFile, Holes, write_all_at};
use crate::format::{Position, SegmentHead, SegmentIdentity};
use crate::index::SegmentIndex;
use crate::partition::PartitionKey;
use crate::sync::lock;

/// Zeros are written in pieces of this size.
const FILL_BYTES: usize = 1024 * 1024;

/// A segment in use or full.
pub(crate) struct Segment {
    pub(crate) identity: SegmentIdentity,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the first group may begin.
    pub(crate) groups_at: u64,
    /// Where every partition stood as the segment began.
    pub(crate) starts: Vec<Position>,
    /// Append time of the first group; the segment's age counts from here.
    pub(crate) began: OnceLock<Timestamp>,
    /// The end of the last durable group.
    end: AtomicU64,
    pub(crate) index: RwLock<SegmentIndex>,
    /// What the disk was found unable to read.
    holes: Mutex<Holes>,
}

impl Segment {
    pub(crate) fn new(identity: SegmentIdentity, file: Arc<dyn DiskFile>, groups_at: u64, starts: Vec<Position>) -> Self {
        let (began, end, index) = (OnceLock::new(), AtomicU64::new(groups_at), RwLock::default());
        Self { identity, file, groups_at, starts, began, end, index, holes: Mutex::default() }
    }

    /// Takes a prepared file into use: writes its head and makes that durable.
    pub(crate) fn begin(file: Arc<dyn DiskFile>, head: SegmentHead) -> io::Result<Self> {
        let bytes = head.encode();
        write_all_at(&*file, &bytes, 0)?;
        file.sync_data()?;
        Ok(Self::new(head.identity, file, bytes.len() as u64, head.positions))
    }

    /// Adds where partitions stood that are not named yet.
    pub(crate) fn add_starts(&mut self, starts: &[Position]) {
        let known: HashSet<PartitionKey> = self.starts.iter().map(|start| (start.hub, start.partition)).collect();
        self.starts.extend(starts.iter().filter(|start| !known.contains(&(start.hub, start.partition))));
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn set_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// Takes down what the disk could not read, and says it once. `true` if something was not known.
    pub(crate) fn note_holes(&self, holes: &Holes) -> bool {
        let (mut known, mut is_any_new) = (lock(&self.holes), false);
        for hole in holes.iter() {
            if known.add(hole.clone()) {
                let (epoch, at, bytes) = (self.identity.epoch, hole.start, hole.end - hole.start);
                tracing::error!(epoch, at, bytes, "the disk cannot read a part of a segment; as long as it cannot, that counts as damaged");
                is_any_new = true;
            }
        }
        is_any_new
    }

    /// Forgets what the disk could not read and can by now: of the groups all but `holes`.
    pub(crate) fn forget_healed(&self, mut holes: Holes) {
        let mut known = lock(&self.holes);
        for beyond in known.iter().filter(|hole| hole.end > self.end()) {
            holes.add(beyond.clone());
        }
        *known = holes;
    }

    /// Whether the disk was found unable to read some of it.
    pub(crate) fn has_holes(&self) -> bool {
        lock(&self.holes).end().is_some()
    }
}

/// The file of the segment with this epoch.
pub(crate) fn path(directory: &Path, epoch: u64) -> PathBuf {
    directory.join(format!("{epoch:020}.log"))
}

/// The file of the retired segment that had this epoch.
pub(crate) fn spare_path(directory: &Path, epoch: u64) -> PathBuf {
    directory.join(format!("{epoch:020}.spare"))
}

/// The file of the sealed segment that had this epoch and could not be read in full.
pub(crate) fn damaged_path(directory: &Path, epoch: u64) -> PathBuf {
    directory.join(format!("{epoch:020}.damaged"))
}

/// The epoch in a segment's file name; `None` for other files.
pub(crate) fn epoch_of(name: &str) -> Option<u64> {
    epoch_before(name, ".log")
}

/// The epoch in a retired segment's file name; `None` for other files.
pub(crate) fn spare_epoch_of(name: &str) -> Option<u64> {
    epoch_before(name, ".spare")
}

/// The epoch in the file name of a segment that was set aside; `None` for other files.
pub(crate) fn damaged_epoch_of(name: &str) -> Option<u64> {
    epoch_before(name, ".damaged")
}

fn epoch_before(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Makes a file ready to become a segment: zeros all through, synced, and its name synced too, so
/// that commits change content only.
pub(crate) fn prepare(disk: &dyn Disk, directory: &Path, epoch: u64, segment_bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.create(&path(directory, epoch))?;
    let zeros = vec![0; FILL_BYTES.min(segment_bytes as usize)];
    let mut at = 0;
    while at < segment_bytes {
        let length = (segment_bytes - at).min(zeros.len() as u64);
        write_all_at(&*file, zeros.get(..length as usize).unwrap_or_default(), at)?;
        at += length;
    }
    file.sync_all()?;
    disk.sync_directory(directory)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_name_gives_its_epoch_back() {
        for epoch in [0, 7, u64::MAX] {
            let path = path(Path::new("log"), epoch);
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            assert_eq!(epoch_of(name), Some(epoch));
        }
        for other in ["lock", "1.log", "0000000000000000000a.log", "00000000000000000001.log.tmp", "99999999999999999999.log"] {
            assert_eq!(epoch_of(other), None, "{other}");
        }
    }
}
