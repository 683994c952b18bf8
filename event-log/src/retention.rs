//! Which of a hub's sealed files may go, and their going: oldest first, one durable removal after
//! the other, so that a crash leaves no hole.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::{EventHubId, SequenceNumber, Timestamp};

use crate::error::LostRange;
use crate::partition::Partition;
use crate::sealed::{self, SealedFile};
use crate::shared::Shared;
use crate::sync::{lock, read, write};

/// How long a hub's events are kept. Events go by whole sealed files, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// A file goes when its newest event was appended longer than `time` ago. The oldest file also
    /// goes while the events of the others together still take `bytes` or more.
    Limits {
        /// The age that events reach at least, unless `bytes` takes them earlier.
        time: Duration,
        /// Bytes of batches that sealed files hold at least, unless `time` takes them earlier;
        /// without it only time counts.
        bytes: Option<u64>,
    },
    /// A file goes when all its events were released with
    /// [`EventLog::release`](crate::EventLog::release).
    Released,
}

/// What decides over a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    /// Append time of its last event.
    newest: Timestamp,
    /// Bytes of its batches.
    bytes: u64,
    /// All its events were released.
    is_released: bool,
}

/// How many of a hub's files may go, the oldest first.
fn expendable(files: &[Facts], retention: Retention, now: Timestamp) -> usize {
    match retention {
        Retention::Released => files.iter().take_while(|file| file.is_released).count(),
        Retention::Limits { time, bytes } => {
            let mut others: u64 = files.iter().map(|file| file.bytes).sum();
            let may_go = |file: &&Facts| {
                others -= file.bytes;
                now.saturating_since(file.newest) > time || bytes.is_some_and(|bytes| others >= bytes)
            };
            files.iter().take_while(may_go).count()
        }
    }
}

/// Removes what retention lets go; returns how many files went. A file that cannot be removed
/// holds up those after it, not other hubs'. Runs under the keeper's lock.
pub(crate) fn apply(shared: &Shared) -> io::Result<usize> {
    let hubs: Vec<_> = {
        let hubs = read(&shared.hubs);
        let mut hubs: Vec<_> = hubs.defined.iter().map(|(id, hub)| (*id, hub.retention, Arc::clone(&hub.partitions))).collect();
        hubs.sort_unstable_by_key(|(id, ..)| *id);
        hubs
    };
    let (mut removed, mut failed) = (0, None);
    for (hub, retention, partitions) in hubs {
        if let Err(error) = apply_to(shared, hub, retention, &partitions, &mut removed) {
            failed.get_or_insert(error);
        }
    }
    if removed > 0 {
        // A writer that found the disk full tries again.
        shared.staged.notify_one();
    }
    failed.map_or(Ok(removed), Err)
}

fn apply_to(shared: &Shared, hub: EventHubId, retention: Retention, partitions: &[Arc<Partition>], removed: &mut usize) -> io::Result<()> {
    let files = read(&shared.catalogue).files(hub).to_vec();
    let facts: Vec<Facts> = files.iter().map(|file| facts(file, partitions)).collect();
    for file in files.iter().take(expendable(&facts, retention, shared.clock.now())) {
        remove_oldest(shared, hub, partitions, file)?;
        *removed += 1;
    }
    Ok(())
}

fn facts(file: &SealedFile, partitions: &[Arc<Partition>]) -> Facts {
    let is_released = file.parts().iter().all(|part| {
        let partition = partitions.get(part.partition.0 as usize);
        partition.is_some_and(|partition| SequenceNumber(partition.released.load(Ordering::Relaxed)) >= part.end)
    });
    Facts { newest: file.newest(), bytes: batch_bytes(file), is_released }
}

fn batch_bytes(file: &SealedFile) -> u64 {
    file.parts().iter().map(|part| part.batch_bytes).sum()
}

/// The partitions begin behind the file before it goes. Readers that hold it finish.
fn remove_oldest(shared: &Shared, hub: EventHubId, partitions: &[Arc<Partition>], file: &SealedFile) -> io::Result<()> {
    for part in file.parts() {
        let Some(partition) = partitions.get(part.partition.0 as usize) else { continue };
        let mut durable = lock(&partition.durable);
        // A removal that failed half-way comes here again.
        if durable.properties.first < part.end {
            durable.properties.first = part.end;
            durable.properties.bytes = durable.properties.bytes.saturating_sub(part.batch_bytes);
        }
    }
    let damaged = read(&shared.catalogue).damaged_before(hub, file.epoch());
    for epoch in damaged {
        remove_file(shared, &sealed::path(&shared.directory, epoch, hub))?;
    }
    remove_file(shared, file.path())?;
    write(&shared.catalogue).forget_up_to(hub, file.epoch());
    let is_gone = |range: &LostRange| range.hub == hub && file.part(range.partition).is_some_and(|part| range.to < part.end);
    lock(&shared.health).forget_lost(is_gone);
    shared.counters.note_file_removed();
    tracing::info!(hub = hub.0, epoch = file.epoch(), bytes = file.file_bytes(), newest = %file.newest(), "removed a sealed file");
    Ok(())
}

/// Removes a file, durably; one that is gone already is no error.
pub(crate) fn remove_file(shared: &Shared, path: &std::path::Path) -> io::Result<()> {
    match shared.disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => shared.disk.sync_directory(&shared.directory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(retention: Retention, now: u64, files: &[(u64, u64)], expected: usize) {
        let at = |seconds: u64| Timestamp::from_milliseconds(seconds as i64 * 1000);
        let facts: Vec<_> =
            files.iter().map(|(newest, bytes)| Facts { newest: at(*newest), bytes: *bytes, is_released: *newest <= 2 }).collect();
        assert_eq!(expendable(&facts, retention, at(now)), expected, "{retention:?} at {now}: {files:?}");
    }

    #[test]
    fn a_file_goes_by_age_only_when_its_newest_event_is_older_than_the_time() {
        let retention = Retention::Limits { time: Duration::from_secs(10), bytes: None };
        check(retention, 10, &[(0, 5), (5, 5)], 0);
        check(retention, 11, &[(0, 5), (5, 5)], 1);
        check(retention, 15, &[(0, 5), (5, 5)], 1);
        check(retention, 99, &[(0, 5), (5, 5)], 2);
        check(retention, 99, &[], 0);
    }

    #[test]
    fn a_file_goes_by_size_only_while_the_others_hold_enough() {
        let retention = Retention::Limits { time: Duration::MAX, bytes: Some(10) };
        check(retention, 0, &[(0, 100)], 0);
        check(retention, 0, &[(0, 5), (0, 5), (0, 4)], 0);
        check(retention, 0, &[(0, 5), (0, 5), (0, 5)], 1);
        check(retention, 0, &[(0, 5), (0, 5), (0, 50)], 2);
    }

    #[test]
    fn what_is_not_released_stays_whatever_its_age() {
        check(Retention::Released, 1000, &[(1, 5), (2, 5), (3, 5)], 2);
        check(Retention::Released, 1000, &[(3, 5), (1, 5)], 0);
    }
}
