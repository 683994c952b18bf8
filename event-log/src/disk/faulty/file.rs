//! A file of the faulty disk as it is opened.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FaultyDisk;
use super::state::{State, Verdict};
use crate::disk::DiskFile;
use crate::sync::lock;

/// What a disk answers for a block it cannot read.
const EIO: i32 = 5;

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    id: u64,
    generation: u64,
}

impl FaultyDisk {
    /// Opens the file with this id.
    pub(super) fn handle(&self, state: &mut State, path: &Path, id: u64) -> Arc<dyn DiskFile> {
        state.open_handles += 1;
        state.open_handles_max = state.open_handles_max.max(state.open_handles);
        Arc::new(FaultyFile { disk: self.clone(), path: path.to_owned(), id, generation: state.generation })
    }
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
            let reads_fail = state.faults.reads_fail;
            let file = state.files.get_mut(&self.id).ok_or(io::ErrorKind::NotFound)?;
            let length = file.current.len().saturating_sub(offset as usize).min(buffer.len());
            if reads_fail || !file.admits_read(offset as usize, length) {
                return Err(io::Error::from_raw_os_error(EIO));
            }
            let rest = file.current.get(offset as usize..).unwrap_or_default();
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
