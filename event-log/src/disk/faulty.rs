//! A disk in memory that tears, loses, fails and fills on request, all of it decided by a seed.

mod content;
mod file;
mod state;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{DirectoryLock, Disk, DiskFile};
use crate::sync::lock;
use content::{Content, Hiccup};
use state::State;

/// What goes wrong, and when. Calls that change something are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// This call fails; a write among them may have written a part.
    pub fail_call: Option<u64>,
    /// Power goes at this call; every later one fails until [`FaultyDisk::restart`].
    pub cut_call: Option<u64>,
    /// Bytes that all files together may have.
    pub capacity: Option<u64>,
    /// Writes may stop short.
    pub short_writes: bool,
    /// No block of any file can be read.
    pub reads_fail: bool,
}

/// A disk in memory; a clone is the same disk.
#[derive(Clone)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

impl FaultyDisk {
    /// An empty disk without faults.
    pub fn new(seed: u64) -> Self {
        let state = State::new(seed);
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.state).faults = faults;
    }

    /// Calls so far that changed something.
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    /// Files opened so far, those that were created not counted.
    pub fn opens(&self) -> u64 {
        lock(&self.state).opens
    }

    /// Files that are open.
    pub fn open_handles(&self) -> usize {
        lock(&self.state).open_handles
    }

    /// The most files that were open at once.
    pub fn open_handles_max(&self) -> usize {
        lock(&self.state).open_handles_max
    }

    /// A checksum over everything that was asked of the disk, in order.
    pub fn trace(&self) -> u32 {
        lock(&self.state).trace
    }

    /// Cuts the power: of what was not synced each sector and each name is kept or lost.
    pub fn cut_power(&self) {
        lock(&self.state).cut_power();
    }

    /// Power comes back; handles and locks of before are void.
    pub fn restart(&self) {
        let mut state = lock(&self.state);
        state.generation += 1;
        state.is_powered = true;
        state.faults = Faults::default();
        state.claimed.clear();
    }

    /// The files there are.
    pub fn paths(&self) -> Vec<PathBuf> {
        lock(&self.state).names.keys().cloned().collect()
    }

    /// A file's content.
    pub fn content(&self, path: &Path) -> Vec<u8> {
        let state = lock(&self.state);
        state.names.get(path).and_then(|id| state.files.get(id)).map(|file| file.current.clone()).unwrap_or_default()
    }

    /// Changes a file behind the back of who uses it: damage.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = lock(&self.state);
        let id = state.names.get(path).copied();
        if let Some(file) = id.and_then(|id| state.files.get_mut(&id)) {
            change(&mut file.current);
            file.durable.clone_from(&file.current);
        }
    }

    /// Makes the sectors of 512 bytes that these bytes lie in unreadable until they are written.
    pub fn make_unreadable(&self, path: &Path, bytes: Range<u64>) {
        let mut state = lock(&self.state);
        let id = state.names.get(path).copied();
        if let Some(file) = id.and_then(|id| state.files.get_mut(&id)) {
            file.spoil(bytes);
        }
    }

    /// Counting from 0 the reads from now on that touch these bytes, those in `failures` fail.
    pub fn fail_reads(&self, path: &Path, bytes: Range<u64>, failures: Range<u32>) {
        let mut state = lock(&self.state);
        let id = state.names.get(path).copied();
        if let Some(file) = id.and_then(|id| state.files.get_mut(&id)) {
            file.hiccup = Some(Hiccup::new(bytes, failures));
        }
    }
}

impl Disk for FaultyDisk {
    fn create_directory(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = lock(&self.state);
        let within = state.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(within.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = lock(&self.state);
        let id = state.calls + 1;
        state.change("create", path, |state| {
            state.files.insert(id, Content::default());
            state.names.insert(path.to_owned(), id);
            Ok(())
        })?;
        Ok(self.handle(&mut state, path, id))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = lock(&self.state);
        let id = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        state.opens += 1;
        Ok(self.handle(&mut state, path, id))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        lock(&self.state).change("rename", from, |state| {
            let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.names.insert(to.to_owned(), id);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.state).change("remove", path, |state| {
            state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(())
        })
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        lock(&self.state).change("sync directory", directory, |state| {
            state.durable_names.clone_from(&state.names);
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<DirectoryLock> {
        let mut state = lock(&self.state);
        if !state.claimed.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Claim { disk: self.clone(), path: path.to_owned(), generation: state.generation }))
    }

    fn random(&self) -> u64 {
        lock(&self.state).next_random()
    }
}

struct Claim {
    disk: FaultyDisk,
    path: PathBuf,
    generation: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = lock(&self.disk.state);
        if state.generation == self.generation {
            state.claimed.remove(&self.path);
        }
    }
}
