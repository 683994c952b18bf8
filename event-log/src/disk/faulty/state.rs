//! What the faulty disk has and has not kept, and the judgement over each call.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Faults;
use super::content::Content;

#[derive(Default)]
pub(super) struct State {
    pub(super) random: u64,
    pub(super) faults: Faults,
    pub(super) calls: u64,
    /// A checksum over all calls, their places and contents.
    pub(super) trace: u32,
    /// Counts restarts; handles of an earlier one fail.
    pub(super) generation: u64,
    pub(super) is_powered: bool,
    pub(super) files: BTreeMap<u64, Content>,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    pub(super) claimed: BTreeSet<PathBuf>,
    pub(super) opens: u64,
    pub(super) open_handles: usize,
    pub(super) open_handles_max: usize,
}

/// What a call that changes something is to do.
pub(super) enum Verdict {
    Work,
    Fail,
    Cut,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: seed, is_powered: true, ..Self::default() }
    }

    /// SplitMix64: all randomness of the disk.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn judge(&mut self, call: &str, path: &Path, detail: &[u8]) -> io::Result<Verdict> {
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
    pub(super) fn change(&mut self, call: &str, path: &Path, work: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
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

    pub(super) fn cut_power(&mut self) {
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

    pub(super) fn used_bytes(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|file| file.current.len() as u64).sum()
    }
}
