//! Rows of twins.

use model::Identity;
use rusqlite::params;

use super::identity_rows::{IDENTITY_COLUMNS, IdentityRow, identity_columns, module_column};
use super::row::{ReadRow, from_unsigned};
use super::unit::{Stop, Unit};
use crate::error::{SqliteFailure, StoreError};
use crate::twin::{StoredSection, StoredTwin};

pub(crate) const SELECT_TWIN: &str = concat!(
    "SELECT ",
    identity_columns!(),
    ", t.version, t.etag, t.tags, t.desired, t.desired_metadata, t.desired_version, \
     t.reported, t.reported_metadata, t.reported_version \
     FROM identities i JOIN twins t ON t.identity = i.id WHERE i.device = ?2 AND i.module = ?3"
);
/// What a device sees of its twin.
pub(crate) const SELECT_DEVICE_VIEW: &str = "SELECT t.desired, t.desired_version, t.reported, t.reported_version \
     FROM identities i JOIN twins t ON t.identity = i.id WHERE i.device = ?1 AND i.module = ?2";

/// A twin with the identity it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct TwinRow {
    pub(crate) identity: IdentityRow,
    pub(crate) twin: StoredTwin,
}

impl TwinRow {
    pub(crate) fn read(row: &impl ReadRow) -> Result<Self, StoreError> {
        let identity = IdentityRow::read(row)?;
        let twin = read_twin(row, IDENTITY_COLUMNS).map_err(StoreError::Read)?;
        Ok(Self { identity, twin })
    }
}

fn read_twin(row: &impl ReadRow, from: usize) -> Result<StoredTwin, SqliteFailure> {
    let section = |from| -> Result<StoredSection, SqliteFailure> {
        Ok(StoredSection { properties: row.column(from)?, metadata: row.column(from + 1)?, version: row.unsigned(from + 2)? })
    };
    Ok(StoredTwin {
        version: row.unsigned(from)?,
        etag: row.unsigned(from + 1)?,
        tags: row.column(from + 2)?,
        desired: section(from + 3)?,
        reported: section(from + 6)?,
    })
}

/// The part of a twin that its device writes, with the row it belongs to.
#[derive(Debug)]
pub(crate) struct ReportedRow {
    pub(crate) id: i64,
    pub(crate) reported: StoredSection,
}

impl Unit<'_> {
    /// A twin with its identity.
    pub(crate) fn twin_row<E: From<StoreError>>(&self, identity: &Identity) -> Result<Option<TwinRow>, Stop<E>> {
        let mut statement = self.connection.prepare_cached(SELECT_TWIN)?;
        let mut rows = statement.query(params![self.now().as_milliseconds(), identity.device.as_str(), module_column(identity)])?;
        Ok(rows.next()?.map(TwinRow::read).transpose()?)
    }

    /// The reported section alone: its writes are the most frequent.
    pub(crate) fn reported_row(&self, identity: &Identity) -> Result<Option<ReportedRow>, SqliteFailure> {
        let mut statement = self.connection.prepare_cached(
            "SELECT i.id, t.reported, t.reported_metadata, t.reported_version \
             FROM identities i JOIN twins t ON t.identity = i.id WHERE i.device = ?1 AND i.module = ?2",
        )?;
        let mut rows = statement.query([identity.device.as_str(), module_column(identity)])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let reported = StoredSection { properties: row.column(1)?, metadata: row.column(2)?, version: row.unsigned(3)? };
        Ok(Some(ReportedRow { id: row.column(0)?, reported }))
    }

    /// Gives a new identity its twin.
    pub(crate) fn insert_twin(&self, id: i64, twin: &StoredTwin) -> Result<(), rusqlite::Error> {
        self.write_twin(
            "INSERT INTO twins (identity, version, etag, tags, desired, desired_metadata, desired_version, \
             reported, reported_metadata, reported_version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            id,
            twin,
        )
    }

    /// Writes a twin back.
    pub(crate) fn update_twin(&self, id: i64, twin: &StoredTwin) -> Result<(), rusqlite::Error> {
        self.write_twin(
            "UPDATE twins SET version = ?2, etag = ?3, tags = ?4, desired = ?5, desired_metadata = ?6, desired_version = ?7, \
             reported = ?8, reported_metadata = ?9, reported_version = ?10 WHERE identity = ?1",
            id,
            twin,
        )
    }

    fn write_twin(&self, sql: &'static str, id: i64, twin: &StoredTwin) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached(sql)?.execute(params![
            id,
            from_unsigned(twin.version),
            from_unsigned(twin.etag),
            twin.tags,
            twin.desired.properties,
            twin.desired.metadata,
            from_unsigned(twin.desired.version),
            twin.reported.properties,
            twin.reported.metadata,
            from_unsigned(twin.reported.version),
        ])?;
        Ok(())
    }

    /// Writes the reported section back, and raises the twin's version with it.
    pub(crate) fn update_reported(&self, row: &ReportedRow) -> Result<(), rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE twins SET version = version + 1, reported = ?2, reported_metadata = ?3, reported_version = ?4 WHERE identity = ?1",
        )?;
        let reported = &row.reported;
        statement.execute(params![row.id, reported.properties, reported.metadata, from_unsigned(reported.version)])?;
        Ok(())
    }
}
