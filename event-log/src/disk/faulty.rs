//! A disk in memory that tears, loses, fails and fills on request, all of it decided by a seed.

mod content;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{DirectoryLock, Disk, DiskFile};
use crate::sync::lock;
use content::Content;

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

struct State {
    random: u64,
    faults: Faults,
    calls: u64,
    /// A checksum over all calls, their places and contents.
    trace: u32,
    /// Counts restarts; handles of an earlier one fail.
    generation: u64,
    is_powered: bool,
    files: BTreeMap<u64, Content>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    claimed: BTreeSet<PathBuf>,
    opens: u64,
    open_handles: usize,
    open_handles_max: usize,
}

impl FaultyDisk {
    /// An empty disk without faults.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: seed,
            faults: Faults::default(),
            calls: 0,
            trace: 0,
            generation: 0,
            is_powered: true,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            claimed: BTreeSet::new(),
            opens: 0,
            open_handles: 0,
            open_handles_max: 0,
        };
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
}

impl FaultyDisk {
    fn handle(&self, state: &mut State, path: &Path, id: u64) -> Arc<dyn DiskFile> {
        state.open_handles += 1;
        state.open_handles_max = state.open_handles_max.max(state.open_handles);
        Arc::new(FaultyFile { disk: self.clone(), path: path.to_owned(), id, generation: state.generation })
    }
}

/// What a disk answers for a block it cannot read.
const EIO: i32 = 5;

/// What a call that changes something is to do.
enum Verdict {
    Work,
    Fail,
    Cut,
}

impl State {
    /// SplitMix64: all randomness of the disk.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn judge(&mut self, call: &str, path: &Path, detail: &[u8]) -> io::Result<Verdict> {
        if !self.is_powered {
            return Err(io::Error::other("the power is off"));
        }
        self.calls += 1;
        for part in [call.as_bytes(), path.as_os_str().as_encoded_bytes(), detail] {
            self.trace = crc32c::crc32c_append(self.trace, part);
        }
        if self.faults.cut_call == Some(self.calls) {
            return Ok(Verdict::Cut);
        }
        Ok(if self.faults.fail_call == Some(self.calls) { Verdict::Fail } else { Verdict::Work })
    }

    /// Runs a call that happens whole or not at all.
    fn change(&mut self, call: &str, path: &Path, work: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        match self.judge(call, path, &[])? {
            Verdict::Work => work(self),
            Verdict::Fail => Err(io::Error::other("injected fault")),
            Verdict::Cut => {
                // It may have happened just before.
                if self.next_random().is_multiple_of(2) {
                    work(self)?;
                }
                self.cut_power();
                Err(io::Error::other("power cut"))
            }
        }
    }

    fn cut_power(&mut self) {
        self.is_powered = false;
        let mut ids: Vec<u64> = self.files.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(mut file) = self.files.remove(&id) else { continue };
            self.lose_sectors(&mut file);
            self.files.insert(id, file);
        }
        self.lose_names();
    }

    /// Each file whose name was not synced has its old name or its new one: no order holds
    /// between the changes of different files.
    fn lose_names(&mut self) {
        let by_file = |names: &BTreeMap<PathBuf, u64>| names.iter().map(|(path, id)| (*id, path.clone())).collect::<BTreeMap<_, _>>();
        let (old, new) = (by_file(&self.durable_names), by_file(&self.names));
        let ids: BTreeSet<u64> = old.keys().chain(new.keys()).copied().collect();
        self.durable_names.clear();
        for id in ids {
            let (old, new) = (old.get(&id), new.get(&id));
            let is_kept = old == new || self.next_random().is_multiple_of(2);
            if let Some(path) = if is_kept { new } else { old } {
                self.durable_names.insert(path.clone(), id);
            }
        }
        self.names.clone_from(&self.durable_names);
    }

    fn lose_sectors(&mut self, file: &mut Content) {
        if self.next_random().is_multiple_of(2) {
            file.durable.resize(file.current.len(), 0);
        }
        for sector in std::mem::take(&mut file.pending) {
            if self.next_random().is_multiple_of(2) {
                file.keep(sector);
            }
        }
        file.current.clone_from(&file.durable);
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|file| file.current.len() as u64).sum()
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

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    id: u64,
    generation: u64,
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        lock(&self.disk.state).open_handles -= 1;
    }
}

impl FaultyFile {
    /// Runs `work` unless the machine was restarted since the file was opened.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = lock(&self.disk.state);
        if state.generation != self.generation {
            return Err(io::Error::other("the file was open before the restart"));
        }
        work(&mut state)
    }

    fn sync(&self, call: &str) -> io::Result<()> {
        self.with(|state| match state.judge(call, &self.path, &[])? {
            Verdict::Work => {
                state.files.entry(self.id).or_default().sync();
                Ok(())
            }
            Verdict::Fail => {
                // As a page cache does: the bytes stay readable and no later sync writes them.
                state.files.entry(self.id).or_default().pending.clear();
                Err(io::Error::other("injected fault"))
            }
            Verdict::Cut => {
                state.cut_power();
                Err(io::Error::other("power cut"))
            }
        })
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state| {
            let file = state.files.get(&self.id).ok_or(io::ErrorKind::NotFound)?;
            let rest = file.current.get(offset as usize..).unwrap_or_default();
            let length = rest.len().min(buffer.len());
            if state.faults.reads_fail || !file.is_readable(offset as usize, length) {
                return Err(io::Error::from_raw_os_error(EIO));
            }
            if let (Some(to), Some(from)) = (buffer.get_mut(..length), rest.get(..length)) {
                to.copy_from_slice(from);
            }
            Ok(length)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.with(|state| {
            let verdict = state.judge("write", &self.path, &[&offset.to_be_bytes(), bytes].concat())?;
            let is_whole = matches!(verdict, Verdict::Work) && !state.faults.short_writes;
            let length = if is_whole { bytes.len() } else { 1 + state.next_random() as usize % bytes.len().max(1) };
            let bytes = bytes.get(..length).unwrap_or(bytes);
            let growth =
                state.files.get(&self.id).map_or(0, |file| (offset + bytes.len() as u64).saturating_sub(file.current.len() as u64));
            if state.faults.capacity.is_some_and(|capacity| growth > 0 && state.used_bytes() + growth > capacity) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if let Some(file) = state.files.get_mut(&self.id) {
                file.write(offset as usize, bytes);
            }
            match verdict {
                Verdict::Work => Ok(bytes.len()),
                Verdict::Fail => Err(io::Error::other("injected fault")),
                Verdict::Cut => {
                    state.cut_power();
                    Err(io::Error::other("power cut"))
                }
            }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync("sync data")
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync("sync all")
    }

    fn length(&self) -> io::Result<u64> {
        self.with(|state| Ok(state.files.get(&self.id).map_or(0, |file| file.current.len() as u64)))
    }
}
