//! Making a log out of a directory.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, RwLock};

use model::{Clock, EventHubId, Timestamp};
use tokio::sync::Semaphore;

use crate::clock_lag::ClockLag;
use crate::config::{Config, EventHubDefinition};
use crate::counters::Counters;
use crate::disk::{DirectoryLock, Disk};
use crate::error::OpenError;
use crate::health::HealthState;
use crate::hubs::{self, Hubs};
use crate::keeper::{Bell, Keeper};
use crate::recovery::{RecoveryReport, recover};
use crate::recycle::Workshop;
use crate::shared::Shared;
use crate::spare::SpareSegments;
use crate::staging::Staging;
use crate::sync::lock;
use crate::tail::Tail;
use crate::writer::Writer;

/// A log whose writer does not run yet.
pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) directory_lock: DirectoryLock,
    pub(crate) report: RecoveryReport,
}

/// Claims and recovers the log in `directory`, defines its hubs and makes its writer: everything
/// but the threads. `spares` tells who prepares segments.
pub(crate) fn open(
    directory: &Path,
    disk: Arc<dyn Disk>,
    config: Config,
    clock: Clock,
    definitions: &[EventHubDefinition],
    spares: impl FnOnce(&Arc<Workshop>) -> Result<SpareSegments, OpenError>,
) -> Result<Opened, OpenError> {
    let config = config.checked()?;
    let directory_lock = claim(&*disk, directory)?;
    let counters = Arc::new(Counters::default());
    let workshop = Arc::new(Workshop::new(Arc::clone(&disk), directory, config.segment_bytes, Arc::clone(&counters)));
    let mut recovered = recover(&workshop)?;
    let mut health = HealthState::default();
    recovered.report.lost.iter().for_each(|range| health.note_lost(*range));
    let writer_id = disk.random();
    let shared = Arc::new(Shared {
        disk,
        directory: directory.to_owned(),
        config,
        clock,
        hubs: RwLock::new(Hubs::default()),
        undefined: Mutex::new(recovered.positions.take()),
        staging: Mutex::new(Staging::new(std::mem::take(&mut recovered.producers))),
        staged: Condvar::new(),
        refuses: AtomicBool::new(false),
        budget: Semaphore::new(config.staged_bytes_max),
        catalogue: RwLock::new(recovered.catalogue),
        workshop,
        keeper: Mutex::new(Keeper::default()),
        keeper_bell: Bell::default(),
        is_closed: AtomicBool::new(false),
        health: Mutex::new(health),
        counters,
    });
    for definition in definitions {
        hubs::define(&shared, *definition, recovered.positions.untraced())?;
    }
    recovered.report.undefined_hubs = undefined_hubs(&shared);
    let (mut lag, last_time) = (ClockLag::default(), recovered.positions.last_time().unwrap_or(Timestamp::NEVER));
    lag.look(shared.clock.now(), last_time);
    let writer = Writer {
        shared: Arc::clone(&shared),
        segment: recovered.active,
        next_group: recovered.next_group,
        id: writer_id,
        last_time,
        tail: Tail::new(config.tail_bytes_max),
        spares: spares(&shared.workshop)?,
        patient_until: Timestamp::NEVER,
        lag,
    };
    Ok(Opened { shared, writer, directory_lock, report: recovered.report })
}

fn undefined_hubs(shared: &Shared) -> Vec<EventHubId> {
    let mut undefined: Vec<EventHubId> = lock(&shared.undefined).keys().map(|(hub, _)| *hub).collect();
    undefined.sort_unstable();
    undefined.dedup();
    undefined
}

fn claim(disk: &dyn Disk, directory: &Path) -> Result<DirectoryLock, OpenError> {
    let failed = |operation| move |source| OpenError::Disk { operation, path: directory.to_owned(), source };
    disk.create_directory(directory).map_err(failed("creating"))?;
    disk.lock(&directory.join("lock")).map_err(|error| {
        if error.kind() == std::io::ErrorKind::WouldBlock {
            OpenError::InUse { directory: directory.to_owned() }
        } else {
            failed("locking")(error)
        }
    })
}
