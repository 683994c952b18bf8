//! The writer's connection: what a commit must mean is set explicitly and read back.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use crate::error::SqliteFailure;

/// The first SQLite whose WAL cannot lose a committed transaction to a reset race; 3.7.0 to
/// 3.51.2 can.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// `PRAGMA synchronous` for FULL: the WAL is synced at every commit. With NORMAL, a power cut
/// took 200 of 200 committed rows.
const SYNCHRONOUS_FULL: i64 = 2;
/// Distinct statements the writer uses, with room.
const STATEMENTS_CACHED: usize = 96;
/// Pages of WAL after which a commit copies them into the database: 16 MiB of 4 KiB pages, so
/// that a burst of group commits seldom pays for it.
const WAL_CHECKPOINT_PAGES: i64 = 4096;

/// Page cache in KiB, so that the pages of busy twins are not read again for each group.
const CACHE_KIBIBYTES: i64 = 32 * 1024;

/// Why the writer's connection is not fit for use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectionError {
    /// SQLite itself is older than is safe.
    #[error("SQLite {found} may lose committed transactions, 3.51.3 is the first that does not")]
    SqliteTooOld {
        /// Its version.
        found: &'static str,
    },
    /// A setting that durability rests on did not take.
    #[error("the pragma {pragma} reads {found}, not {wanted}")]
    PragmaRefused {
        /// The pragma.
        pragma: &'static str,
        /// What it should read.
        wanted: String,
        /// What it reads.
        found: String,
    },
    /// SQLite refused.
    #[error("the database cannot be opened for writing: {0}")]
    Sqlite(SqliteFailure),
}

impl From<rusqlite::Error> for ConnectionError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}

/// Opens the database that the migrations made, for its one writer.
pub(crate) fn open_writer_connection(path: &Path) -> Result<Connection, ConnectionError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(ConnectionError::SqliteTooOld { found: rusqlite::version() });
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIBIBYTES)?;
    read_back(&connection, "journal_mode", "wal".to_owned())?;
    read_back(&connection, "synchronous", SYNCHRONOUS_FULL)?;
    read_back(&connection, "foreign_keys", 1_i64)?;
    Ok(connection)
}

fn read_back<T>(connection: &Connection, pragma: &'static str, wanted: T) -> Result<(), ConnectionError>
where
    T: rusqlite::types::FromSql + PartialEq + ToString,
{
    let found: T = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
    if found == wanted {
        return Ok(());
    }
    Err(ConnectionError::PragmaRefused { pragma, wanted: wanted.to_string(), found: found.to_string() })
}
