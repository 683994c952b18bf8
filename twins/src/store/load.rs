//! Reading every identity into memory at start.

use model::Timestamp;
use rusqlite::Connection;

use super::identity_rows::{read_credentials, read_identity};
use super::row::ReadRow;
use crate::error::{SqliteFailure, StoreError};
use crate::identity_table::{IdentityChange, IdentityTable, Seen};

/// Devices come before their modules, whose being enabled follows from theirs.
const SELECT_ALL: &str = "SELECT device, module, generation, disabled, authentication, primary_credential, secondary_credential, \
     connection_updated, last_activity, model_id FROM identities ORDER BY device, module";

/// Fills `table`.
pub(crate) fn load_identities(connection: &Connection, table: &IdentityTable) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::Read(error.into());
    let mut statement = connection.prepare(SELECT_ALL).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut device_disabled = false;
    while let Some(row) = rows.next().map_err(failed)? {
        let (change, seen) = read(row, &mut device_disabled)?;
        table.load(change, &seen);
    }
    Ok(())
}

fn read(row: &impl ReadRow, device_disabled: &mut bool) -> Result<(IdentityChange, Seen), StoreError> {
    let text = |index| -> Result<String, SqliteFailure> { row.column(index) };
    let time = |index| row.column(index).map(Timestamp::from_milliseconds);
    let failed = StoreError::Read;
    let identity = read_identity(&text(0).map_err(failed)?, &text(1).map_err(failed)?)?;
    if identity.module.is_none() {
        *device_disabled = row.column(3).map_err(failed)?;
    }
    let change = IdentityChange::Put {
        identity,
        generation: text(2).map_err(failed)?.into(),
        enabled: !*device_disabled,
        credentials: read_credentials(row, 4)?,
    };
    let seen = Seen {
        connection_updated: time(7).map_err(failed)?,
        last_activity: time(8).map_err(failed)?,
        model_id: text(9).map_err(failed)?.into(),
        ..Seen::default()
    };
    Ok((change, seen))
}
