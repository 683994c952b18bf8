//! What becomes of full segments, on a thread of its own: each is rewritten as sealed files and
//! retired; what retention lets go is removed.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use model::EventHubId;

use crate::producers::Snapshot;
use crate::recycle::Spare;
use crate::sealed::{self, SealedFile};
use crate::segment::{self, Segment};
use crate::shared::Shared;
use crate::sync::{lock, read, write};
use crate::{hubs, retention};

/// How often retention looks at the clock.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
/// How soon what the disk refused is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What an interrupted step left to be done. Its lock is held through every change of the sealed
/// files.
#[derive(Default)]
pub(crate) struct Keeper {
    retiring: Option<Retiring>,
}

/// A segment whose sealed files are durable and whose file was renamed or removed.
struct Retiring {
    segment: Arc<Segment>,
    files: Vec<SealedFile>,
    /// The file bears a spare's name.
    is_spare: bool,
    /// The directory could not be synced once, so a crash may bring the old name back: the file
    /// must keep its bytes.
    is_doubtful: bool,
}

/// Wakes the keeper's thread.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Default)]
struct BellState {
    has_rung: bool,
    is_closing: bool,
}

impl Bell {
    /// There is a segment to seal, or something was released.
    pub(crate) fn ring(&self) {
        lock(&self.state).has_rung = true;
        self.rung.notify_one();
    }

    /// The thread is to end.
    pub(crate) fn close(&self) {
        lock(&self.state).is_closing = true;
        self.rung.notify_one();
    }

    fn is_closing(&self) -> bool {
        lock(&self.state).is_closing
    }

    fn wait(&self, limit: Duration) {
        let state = lock(&self.state);
        let idle = |state: &mut BellState| !state.has_rung && !state.is_closing;
        let (mut state, _) = self.rung.wait_timeout_while(state, limit, idle).unwrap_or_else(PoisonError::into_inner);
        state.has_rung = false;
    }

    /// Waits even if it rings: what the disk refused needs time to pass.
    fn wait_out(&self, limit: Duration) {
        let idle = |state: &mut BellState| !state.is_closing;
        drop(self.rung.wait_timeout_while(lock(&self.state), limit, idle));
    }
}

/// Keeps house until the log closes.
pub(crate) fn run(shared: &Shared) {
    while !shared.keeper_bell.is_closing() {
        match keep_house(shared) {
            Ok(()) => shared.keeper_bell.wait(RETENTION_INTERVAL),
            Err(error) => {
                tracing::warn!(%error, "the event log's full segments wait; this is tried again");
                shared.keeper_bell.wait_out(RETRY_INTERVAL);
            }
        }
    }
}

fn keep_house(shared: &Shared) -> io::Result<()> {
    loop {
        // Retention first: it needs no room and makes some. What it cannot remove must not keep
        // segments from being sealed.
        let retained = keep_retention(shared);
        if shared.keeper_bell.is_closing() || !seal_oldest(shared)? {
            return retained.map(drop);
        }
    }
}

/// Removes what retention lets go; returns how many files went.
pub(crate) fn keep_retention(shared: &Shared) -> io::Result<usize> {
    let _keeper = lock(&shared.keeper);
    retention::apply(shared)
}

/// Seals the oldest full segment; `false` if there is none. A failure leaves the segment as it
/// was for readers, and the next call goes on.
pub(crate) fn seal_oldest(shared: &Shared) -> io::Result<bool> {
    let mut keeper = lock(&shared.keeper);
    let retiring = match keeper.retiring.take() {
        Some(retiring) => retiring,
        None => match write_oldest(shared)? {
            Some(retiring) => retiring,
            None => return Ok(false),
        },
    };
    if let Err(error) = shared.disk.sync_directory(&shared.directory) {
        keeper.retiring = Some(Retiring { is_doubtful: true, ..retiring });
        return Err(error);
    }
    show(shared, retiring);
    Ok(true)
}

/// Writes the sealed files of the oldest full segment and, when these are durable, takes its name
/// away.
fn write_oldest(shared: &Shared) -> io::Result<Option<Retiring>> {
    let oldest = read(&shared.catalogue).oldest_full();
    let Some((segment, successor)) = oldest else { return Ok(None) };
    let files = write_files(shared, &segment, &successor)?;
    let is_spare = retire(shared, &segment)?;
    Ok(Some(Retiring { segment, files, is_spare, is_doubtful: false }))
}

/// The segment's sealed files, durable under their names. What fails is taken back: after a
/// failed sync a file must be written anew.
fn write_files(shared: &Shared, segment: &Segment, successor: &Segment) -> io::Result<Vec<SealedFile>> {
    let keep = |hub| hubs::is_kept(shared, hub);
    let notes = |hub| snapshot_producers(shared, hub);
    let (disk, directory) = (&*shared.disk, &shared.directory);
    let written = sealed::seal(disk, directory, segment, &segment.starts, &successor.starts, &keep, &notes)
        .and_then(|files| disk.sync_directory(directory).map(|()| files))
        .map(|files| files.into_iter().map(|file| file.with_handles(&shared.workshop.handles)).collect());
    written.inspect_err(|_| discard(shared, segment.identity.epoch))
}

/// Piece by piece: whoever stages an event waits for the same lock.
fn snapshot_producers(shared: &Shared, hub: EventHubId) -> Vec<u8> {
    let mut snapshot = Snapshot::begin(hub);
    while snapshot.take_piece(&lock(&shared.staging).producers) {
        std::thread::yield_now();
    }
    snapshot.finish()
}

/// Removes the sealed files of a segment that still has its name. What cannot be removed is
/// written over when the segment is sealed again, or removed at the next opening.
fn discard(shared: &Shared, epoch: u64) {
    let names = shared.disk.list(&shared.directory).unwrap_or_default();
    let mut leftovers: Vec<String> = names.into_iter().filter(|name| sealed::name_parts(name).is_some_and(|(at, _)| at == epoch)).collect();
    leftovers.sort_unstable();
    for name in leftovers {
        if let Err(error) = shared.disk.remove(&shared.directory.join(&name)) {
            tracing::warn!(file = name, %error, "an unfinished sealed file stays behind");
        }
    }
}

/// Takes the segment's name away: its file becomes a spare, is set aside if not all of it could be
/// read, or goes. Returns whether it is a spare.
fn retire(shared: &Shared, segment: &Segment) -> io::Result<bool> {
    let epoch = segment.identity.epoch;
    let path = segment::path(&shared.directory, epoch);
    if segment.has_holes() {
        // What lies there may be rescued. And what the disk cannot read it may not be able to write
        // either, which would stop the log.
        let damaged = segment::damaged_path(&shared.directory, epoch);
        shared.disk.rename(&path, &damaged)?;
        tracing::error!(
            file = %damaged.display(),
            "a segment that the disk cannot read in full was sealed without what lies there, and is set aside; \
             copy it to another disk to rescue what can be read later, then delete it"
        );
        return Ok(false);
    }
    if shared.workshop.wants(segment.file.length()?) {
        shared.disk.rename(&path, &segment::spare_path(&shared.directory, epoch))?;
        return Ok(true);
    }
    shared.disk.remove(&path)?;
    Ok(false)
}

/// Shows the sealed files to readers, in place of the segment.
fn show(shared: &Shared, retiring: Retiring) {
    let Retiring { segment, mut files, is_spare, is_doubtful } = retiring;
    // A hub may have been removed since, its files with it.
    files.retain(|file| hubs::is_kept(shared, file.hub()));
    let epoch = segment.identity.epoch;
    let mut health = lock(&shared.health);
    files.iter().flat_map(SealedFile::lost).for_each(|range| health.note_lost(*range));
    drop(health);
    let bytes = files.iter().map(SealedFile::file_bytes).sum();
    shared.counters.note_sealed(files.len() as u64, bytes);
    tracing::debug!(epoch, files = files.len(), bytes, "sealed a segment");
    write(&shared.catalogue).swap(&segment, files);
    if is_spare && is_doubtful {
        remove_spare(shared, epoch);
    } else if is_spare {
        shared.workshop.keep(Spare { epoch, held: Some(segment) });
    }
}

fn remove_spare(shared: &Shared, epoch: u64) {
    if let Err(error) = shared.disk.remove(&segment::spare_path(&shared.directory, epoch)) {
        tracing::warn!(epoch, %error, "a retired segment stays behind until the log is opened again");
    }
}
