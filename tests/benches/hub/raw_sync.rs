//! What a durable write costs on this disk without any hub.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::histogram::Histogram;

const FILE_BYTES: u64 = 64 * 1024 * 1024;
const APPEND_BYTES: u64 = 256;

/// A file written full of zeros, as the hub's segments are: a sync then has no new blocks to record.
pub(crate) struct ZeroWritten {
    file: File,
    end: u64,
}

impl ZeroWritten {
    /// Writes it.
    ///
    /// # Errors
    /// When the disk is full.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::create_new(path)?;
        let zeros = vec![0; 1024 * 1024];
        for _ in 0..FILE_BYTES / zeros.len() as u64 {
            file.write_all(&zeros)?;
        }
        file.sync_all()?;
        Ok(Self { file, end: 0 })
    }

    /// Appends 256 bytes and syncs them, again and again for `window`; how long each pair took.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn append_and_sync(&mut self, window: Duration) -> anyhow::Result<Histogram> {
        let (begun, mut latencies) = (Instant::now(), Histogram::default());
        while begun.elapsed() < window {
            let start = Instant::now();
            self.file.write_all_at(&[b'x'; APPEND_BYTES as usize], self.end)?;
            self.file.sync_data()?;
            latencies.record(start.elapsed());
            self.end = (self.end + APPEND_BYTES) % FILE_BYTES;
        }
        Ok(latencies)
    }
}
