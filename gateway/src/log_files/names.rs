//! The names of event hubs, from the database that lies beside the log. A log without one, like a
//! copy that somebody made, has numbers alone.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use event_log::{Disk as _, InspectError, ReadOnlyDisk};
use model::{EventHubId, EventHubName};

use super::{LookError, inner};
use crate::args::WhichHub;
use crate::data_dir::LOCK_FILE;
use crate::groups;

/// The database in a data directory.
const DATABASE: &str = "hub.db";

/// What is known of names.
#[derive(Debug, Default)]
pub(super) struct HubNames {
    database: Option<PathBuf>,
    names: BTreeMap<EventHubId, EventHubName>,
}

impl HubNames {
    /// Reads them for the log in `directory`, or in the data directory that this is, while no hub can
    /// have that open. A database that cannot be read is told to `faults` and does without.
    ///
    /// # Errors
    /// [`InspectError::InUse`] when a hub has it open.
    pub(super) fn beside(directory: &Path, faults: &mut dyn Write) -> Result<Self, InspectError> {
        let data_dir = if inner(directory).is_dir() { directory.to_owned() } else { around(directory) };
        let database = data_dir.join(DATABASE);
        if !database.is_file() {
            return Ok(Self::default());
        }
        let mut without = |reason: &dyn Display| {
            // Nobody is left to tell when this cannot be printed, and numbers say the same.
            let _ = writeln!(faults, "{}: event hubs have no names here: {reason}", database.display());
            Ok(Self::default())
        };
        // As long as it is held no hub starts, which would write what is read.
        let _lock = match ReadOnlyDisk.lock(&data_dir.join(LOCK_FILE)) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(InspectError::InUse { directory: directory.to_owned() });
            }
            Err(error) => return without(&error),
        };
        match twins::read_event_hub_names(&database) {
            Ok(names) => Ok(Self { database: Some(database), names }),
            Err(error) => without(&error),
        }
    }

    /// The name of a hub.
    pub(super) fn get(&self, hub: EventHubId) -> Option<&str> {
        self.names.get(&hub).map(EventHubName::as_str)
    }

    /// The hubs that have one.
    pub(super) fn hubs(&self) -> impl Iterator<Item = EventHubId> {
        self.names.keys().copied()
    }

    /// A hub for people: `1 (events)`, or its number alone.
    pub(super) fn label(&self, hub: EventHubId) -> String {
        match self.get(hub) {
            Some(name) => format!("{} ({name})", hub.0),
            None if hub == groups::internal_event_hub().id => format!("{} (consumer groups)", hub.0),
            None => hub.0.to_string(),
        }
    }

    /// The number of the hub that a command line names.
    ///
    /// # Errors
    /// [`LookError::UnknownHub`] and [`LookError::NoNames`].
    pub(super) fn number(&self, which: &WhichHub) -> Result<EventHubId, LookError> {
        let name = match which {
            WhichHub::Number(number) => return Ok(*number),
            WhichHub::Name(name) => name,
        };
        let Some(database) = &self.database else { return Err(LookError::NoNames { name: name.clone() }) };
        let found = self.names.iter().find(|(_, known)| *known == name).map(|(number, _)| *number);
        found.ok_or_else(|| LookError::UnknownHub {
            name: name.clone(),
            database: database.clone(),
            known: self.names.values().map(EventHubName::as_str).collect::<Vec<_>>().join(", "),
        })
    }
}

/// The directory that a log is in, written as its own path is.
fn around(log: &Path) -> PathBuf {
    match (log.file_name(), log.parent()) {
        (Some(_), Some(parent)) => parent.to_owned(),
        (_, _) => log.join(".."),
    }
}
