//! The open handles of a log's sealed files: as many as a bound allows, of those used last. A file
//! that is read again is opened again.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use model::EventHubId;

use crate::disk::{Disk, DiskFile};
use crate::sync::lock;

/// Open handles of sealed files that a log keeps. Each read under way may hold one more that was
/// pushed out meanwhile.
const HANDLES_MAX: usize = 256;

/// Names a sealed file: the epoch of its segment, and its hub.
pub(crate) type FileKey = (u64, EventHubId);

/// See the module's documentation.
pub(crate) struct Handles {
    disk: Arc<dyn Disk>,
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<FileKey, Open>,
    /// Every open file by its last use; uses are counted, so no two are alike.
    by_use: BTreeMap<u64, FileKey>,
    uses: u64,
}

struct Open {
    file: Arc<dyn DiskFile>,
    last_use: u64,
}

impl Handles {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self::with_max(disk, HANDLES_MAX)
    }

    fn with_max(disk: Arc<dyn Disk>, max: usize) -> Self {
        Self { disk, max, state: Mutex::default() }
    }

    /// The file's handle, opened if it is not.
    ///
    /// # Errors
    /// The disk's; [`io::ErrorKind::NotFound`] where the file was removed.
    pub(super) fn get(&self, key: FileKey, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = lock(&self.state).find(key, self.max) {
            return Ok(file);
        }
        // Not under the lock: a slow disk must not keep those who find their file open.
        let file = self.disk.open(path)?;
        lock(&self.state).insert(key, Arc::clone(&file), self.max);
        Ok(file)
    }

    /// Closes a file that nobody will ask for any more.
    pub(super) fn forget(&self, key: FileKey) {
        lock(&self.state).remove(key);
    }
}

impl State {
    /// An open file; where it is not, there is room to open it.
    fn find(&mut self, key: FileKey, max: usize) -> Option<Arc<dyn DiskFile>> {
        self.uses += 1;
        let Some(open) = self.open.get_mut(&key) else {
            self.make_room(max);
            return None;
        };
        self.by_use.remove(&open.last_use);
        open.last_use = self.uses;
        self.by_use.insert(self.uses, key);
        Some(Arc::clone(&open.file))
    }

    fn insert(&mut self, key: FileKey, file: Arc<dyn DiskFile>, max: usize) {
        // Another reader may have opened it meanwhile.
        self.remove(key);
        self.make_room(max);
        self.uses += 1;
        self.open.insert(key, Open { file, last_use: self.uses });
        self.by_use.insert(self.uses, key);
    }

    fn make_room(&mut self, max: usize) {
        while self.open.len() >= max
            && let Some((_, key)) = self.by_use.pop_first()
        {
            self.open.remove(&key);
        }
    }

    fn remove(&mut self, key: FileKey) {
        if let Some(open) = self.open.remove(&key) {
            self.by_use.remove(&open.last_use);
        }
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use super::*;
    use crate::disk::FaultyDisk;

    fn key(epoch: u64) -> FileKey {
        (epoch, EventHubId(1))
    }

    #[test]
    fn the_file_used_least_recently_is_closed_for_the_next() {
        let disk = FaultyDisk::new(1);
        let paths = ["a", "b", "c"].map(Path::new);
        paths.iter().for_each(|path| drop(disk.create(path).expect("created")));
        let handles = Handles::with_max(Arc::new(disk.clone()), 2);
        let get = |number: usize| handles.get(key(number as u64), paths[number]).expect("opened");
        get(0);
        get(1);
        get(0);
        assert_eq!(disk.opens(), 2, "an open file is not opened again");
        get(2);
        assert_eq!(disk.open_handles(), 2);
        get(0);
        assert_eq!(disk.opens(), 3, "the one used last is still open");
        get(1);
        assert_eq!((disk.opens(), disk.open_handles()), (4, 2));
        handles.forget(key(1));
        assert_eq!(disk.open_handles(), 1);
    }
}
