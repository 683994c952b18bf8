//! Names of event hubs for tools that look at what a hub has left: no migration, no writer.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use model::{EventHubId, EventHubName};
use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;

/// The event hubs in the database at `path`, by number, whether or not a hub runs. The database stays
/// as it is; beside a write-ahead log that was left there, SQLite may make its index, `…-shm`. Blocks.
///
/// # Errors
/// [`StoreError::Read`] when that is no database of a hub or cannot be read, and
/// [`StoreError::Inconsistent`] for a row that makes no sense.
pub fn read_event_hub_names(path: &Path) -> Result<BTreeMap<EventHubId, EventHubName>, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::Read(error.into());
    let connection = open_to_read(path).map_err(failed)?;
    let mut statement = connection.prepare("SELECT id, name FROM event_hubs").map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?))).map_err(failed)?;
    let named = |row: Result<(u32, String), rusqlite::Error>| {
        let (id, name) = row.map_err(failed)?;
        let inconsistent =
            |reason: &dyn std::fmt::Display| StoreError::Inconsistent { table: "event_hubs", column: "name", reason: reason.to_string() };
        Ok((EventHubId(id), name.parse().map_err(|error| inconsistent(&error))?))
    };
    rows.map(named).collect()
}

/// Opens without making a write-ahead log where there is none, which SQLite else does though it only
/// reads.
fn open_to_read(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = fs::metadata(log).is_ok_and(|log| log.len() > 0);
    match path.to_str() {
        Some(name) if !has_log => {
            let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            Connection::open_with_flags(format!("file:{name}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)
        }
        Some(_) | None => Connection::open_with_flags(path, flags),
    }
}
