//! Names of event hubs for tools that look at what a hub has left: no migration, no writer.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use model::{EventHubId, EventHubName};
use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;

/// The event hubs in the database at `path`, by number. Nobody may have it open for writing, which
/// the caller sees to: without a write-ahead log it is read as a file that does not change. It stays as
/// it is; beside a write-ahead log that was left there, SQLite may make its index, `…-shm`. Blocks.
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
            // What follows two slashes would be a host; an absolute path comes after an empty one.
            let host = if name.starts_with('/') { "//" } else { "" };
            Connection::open_with_flags(format!("file:{host}{name}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)
        }
        Some(_) | None => Connection::open_with_flags(path, flags),
    }
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::path::PathBuf;

    use super::*;

    /// The same path from the root to where this process is, and from there.
    fn relative(path: &Path) -> PathBuf {
        let here = std::env::current_dir().expect("a directory");
        let up = iter::repeat_n("..", here.components().count() - 1);
        up.collect::<PathBuf>().join(path.strip_prefix("/").expect("an absolute path"))
    }

    #[test]
    fn names_are_read_by_every_path_of_the_database_and_leave_nothing_behind() {
        let scratch = tempfile::tempdir().expect("a directory");
        let directory = scratch.path().join("50% #1?");
        fs::create_dir(&directory).expect("a directory");
        let database = directory.join("hub.db");
        let made = Connection::open(&database).expect("a database");
        made.pragma_update(None, "journal_mode", "WAL").expect("a write-ahead log");
        made.execute_batch("CREATE TABLE event_hubs (id INTEGER, name TEXT); INSERT INTO event_hubs VALUES (1, 'events')").expect("rows");
        made.close().expect("closed");
        for path in [database.clone(), PathBuf::from(format!("/{}", database.display())), relative(&database)] {
            let names = read_event_hub_names(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(names.get(&EventHubId(1)).map(EventHubName::as_str), Some("events"));
            assert_eq!(fs::read_dir(&directory).expect("listed").count(), 1, "{} had SQLite make files", path.display());
        }
    }
}
