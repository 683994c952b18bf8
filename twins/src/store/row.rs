//! One way to read a row, whichever library brought it.

use sqlx::Row as _;
use sqlx::sqlite::{Sqlite, SqliteRow};

use crate::error::SqliteFailure;

/// A row of a result, read by position. The writer's rows are rusqlite's, the readers' sqlx's.
pub(crate) trait ReadRow {
    /// The value in the column at `index`.
    fn column<T>(&self, index: usize) -> Result<T, SqliteFailure>
    where
        T: rusqlite::types::FromSql + for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>;

    /// A version or sequence number in the column at `index`.
    fn unsigned(&self, index: usize) -> Result<u64, SqliteFailure> {
        self.column::<i64>(index).map(to_unsigned)
    }
}

impl ReadRow for rusqlite::Row<'_> {
    fn column<T>(&self, index: usize) -> Result<T, SqliteFailure>
    where
        T: rusqlite::types::FromSql + for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        Ok(self.get(index)?)
    }
}

impl ReadRow for SqliteRow {
    fn column<T>(&self, index: usize) -> Result<T, SqliteFailure>
    where
        T: rusqlite::types::FromSql + for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        Ok(self.try_get(index)?)
    }
}

/// SQLite's integers are signed, our counters are not; neither comes near the other's end.
pub(crate) fn to_unsigned(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}

/// The other way round.
pub(crate) fn from_unsigned(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
