//! Rows of devices and modules.

use model::api::{Device, Module, Status};
use model::{Credentials, DeviceId, Identity, ModuleId, Secret, Timestamp};
use rusqlite::{OptionalExtension as _, params};

use super::row::ReadRow;
use super::unit::{Stop, Unit};
use crate::authentication;
use crate::error::StoreError;
use crate::identity_table::Seen;

/// The columns of [`IdentityRow`], in its order; the table is named `i`, `?1` is the present
/// moment, by which waiting commands are counted.
macro_rules! identity_columns {
    () => {
        "i.id, i.device, i.module, i.generation, i.etag, i.disabled, i.status_reason, i.status_updated, \
         i.authentication, i.primary_credential, i.secondary_credential, i.iot_edge, i.managed_by, \
         (SELECT count(*) FROM commands c WHERE c.identity = i.id AND c.expiry > ?1)"
    };
}
pub(crate) use identity_columns;

/// How many columns [`IdentityRow::read`] takes.
pub(crate) const IDENTITY_COLUMNS: usize = 14;

pub(crate) const SELECT_ONE: &str = concat!("SELECT ", identity_columns!(), " FROM identities i WHERE i.device = ?2 AND i.module = ?3");
pub(crate) const SELECT_DEVICES: &str =
    concat!("SELECT ", identity_columns!(), " FROM identities i WHERE i.device > ?2 AND i.module = '' ORDER BY i.device LIMIT ?3");
pub(crate) const SELECT_OF_DEVICE: &str =
    concat!("SELECT ", identity_columns!(), " FROM identities i WHERE i.device = ?2 ORDER BY i.module");

/// A device, or a module of one.
#[derive(Debug, Clone)]
pub(crate) struct IdentityRow {
    /// 0 until it is inserted.
    pub(crate) id: i64,
    pub(crate) identity: Identity,
    pub(crate) generation: String,
    pub(crate) etag: String,
    pub(crate) disabled: bool,
    pub(crate) status_reason: Option<String>,
    pub(crate) status_updated: Timestamp,
    pub(crate) credentials: Credentials,
    pub(crate) iot_edge: bool,
    pub(crate) managed_by: Option<String>,
    pub(crate) commands: u64,
}

impl IdentityRow {
    pub(crate) fn read(row: &impl ReadRow) -> Result<Self, StoreError> {
        let column = StoreError::Read;
        Ok(Self {
            id: row.column(0).map_err(column)?,
            identity: read_identity(&row.column::<String>(1).map_err(column)?, &row.column::<String>(2).map_err(column)?)?,
            generation: row.column(3).map_err(column)?,
            etag: row.column(4).map_err(column)?,
            disabled: row.column(5).map_err(column)?,
            status_reason: row.column(6).map_err(column)?,
            status_updated: Timestamp::from_milliseconds(row.column(7).map_err(column)?),
            credentials: read_credentials(row, 8)?,
            iot_edge: row.column(11).map_err(column)?,
            managed_by: row.column(12).map_err(column)?,
            commands: row.unsigned(13).map_err(column)?,
        })
    }

    pub(crate) fn status(&self) -> Status {
        if self.disabled { Status::Disabled } else { Status::Enabled }
    }

    pub(crate) fn device(&self, seen: &Seen) -> Device {
        Device {
            device_id: self.identity.device.to_string(),
            generation_id: self.generation.clone(),
            etag: self.etag.clone(),
            connection_state: seen.state,
            status: self.status(),
            status_reason: self.status_reason.clone(),
            connection_state_updated_time: seen.connection_updated,
            status_updated_time: self.status_updated,
            last_activity_time: seen.last_activity,
            cloud_to_device_message_count: self.commands,
            authentication: authentication::shown(&self.credentials),
            capabilities: model::api::Capabilities { iot_edge: self.iot_edge },
        }
    }

    pub(crate) fn module(&self, seen: &Seen) -> Module {
        Module {
            module_id: self.identity.module.as_ref().map(ModuleId::to_string).unwrap_or_default(),
            managed_by: self.managed_by.clone(),
            device_id: self.identity.device.to_string(),
            generation_id: self.generation.clone(),
            etag: self.etag.clone(),
            connection_state: seen.state,
            connection_state_updated_time: seen.connection_updated,
            last_activity_time: seen.last_activity,
            cloud_to_device_message_count: self.commands,
            authentication: authentication::shown(&self.credentials),
        }
    }
}

/// The module column: empty for the device itself.
pub(crate) fn module_column(identity: &Identity) -> &str {
    identity.module.as_ref().map_or("", ModuleId::as_str)
}

pub(crate) fn read_identity(device: &str, module: &str) -> Result<Identity, StoreError> {
    let invalid = |column, reason: model::InvalidId| StoreError::Inconsistent { table: "identities", column, reason: reason.to_string() };
    let device: DeviceId = device.parse().map_err(|reason| invalid("device", reason))?;
    match module {
        "" => Ok(Identity::device(device)),
        module => Ok(Identity::module(device, module.parse().map_err(|reason| invalid("module", reason))?)),
    }
}

/// Reads the three columns of credentials that begin at `index`.
pub(crate) fn read_credentials(row: &impl ReadRow, index: usize) -> Result<Credentials, StoreError> {
    let kind: i64 = row.column(index).map_err(StoreError::Read)?;
    let primary: Option<String> = row.column(index + 1).map_err(StoreError::Read)?;
    let secondary: Option<String> = row.column(index + 2).map_err(StoreError::Read)?;
    let invalid =
        |column, reason: &dyn std::fmt::Display| StoreError::Inconsistent { table: "identities", column, reason: reason.to_string() };
    let key =
        |text: Option<String>, column| Secret::from_base64(text.as_deref().unwrap_or_default()).map_err(|reason| invalid(column, &reason));
    let thumbprint = |text: Option<String>, column| text.map(|text| text.parse().map_err(|reason| invalid(column, &reason))).transpose();
    match kind {
        0 => Ok(Credentials::Keys { primary: key(primary, "primary_credential")?, secondary: key(secondary, "secondary_credential")? }),
        1 => Ok(Credentials::Thumbprints {
            primary: thumbprint(primary, "primary_credential")?,
            secondary: thumbprint(secondary, "secondary_credential")?,
        }),
        2 => Ok(Credentials::CertificateAuthority),
        3 => Ok(Credentials::None),
        other => Err(invalid("authentication", &other)),
    }
}

fn credential_columns(credentials: &Credentials) -> (i64, Option<String>, Option<String>) {
    match credentials {
        Credentials::Keys { primary, secondary } => (0, Some(primary.to_base64()), Some(secondary.to_base64())),
        Credentials::Thumbprints { primary, secondary } => (1, primary.map(|t| t.to_string()), secondary.map(|t| t.to_string())),
        Credentials::CertificateAuthority => (2, None, None),
        Credentials::None => (3, None, None),
    }
}

impl Unit<'_> {
    /// The row id of an identity.
    pub(crate) fn identity_id(&self, identity: &Identity) -> Result<Option<i64>, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM identities WHERE device = ?1 AND module = ?2")?;
        statement.query_row([identity.device.as_str(), module_column(identity)], |row| row.get(0)).optional()
    }

    /// The identity with row id `id`, if it has commands and anybody can be waiting for them: under a
    /// name that makes no sense nobody is.
    pub(crate) fn identity_with_commands(&self, id: i64) -> Result<Option<Identity>, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT device, module FROM identities WHERE id = ?1 AND EXISTS (SELECT 1 FROM commands WHERE identity = ?1)",
        )?;
        let names = statement.query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).optional()?;
        let unreadable = |error: &StoreError| tracing::warn!(%error, "commands wait under a name that cannot be read");
        Ok(names.and_then(|(device, module)| read_identity(&device, &module).inspect_err(unreadable).ok()))
    }

    /// An identity's row.
    pub(crate) fn identity_row<E: From<StoreError>>(&self, identity: &Identity) -> Result<Option<IdentityRow>, Stop<E>> {
        let mut statement = self.connection.prepare_cached(SELECT_ONE)?;
        let mut rows = statement.query(params![self.now().as_milliseconds(), identity.device.as_str(), module_column(identity)])?;
        Ok(rows.next()?.map(IdentityRow::read).transpose()?)
    }

    /// The rows of a device and, after it, its modules in order.
    pub(crate) fn device_rows<E: From<StoreError>>(&self, device: &DeviceId) -> Result<Vec<IdentityRow>, Stop<E>> {
        let mut statement = self.connection.prepare_cached(SELECT_OF_DEVICE)?;
        let mut rows = statement.query(params![self.now().as_milliseconds(), device.as_str()])?;
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            read.push(IdentityRow::read(row)?);
        }
        Ok(read)
    }

    /// Inserts an identity, and returns its row id.
    pub(crate) fn insert_identity(&self, row: &IdentityRow) -> Result<i64, rusqlite::Error> {
        let never = Timestamp::NEVER.as_milliseconds();
        let (kind, primary, secondary) = credential_columns(&row.credentials);
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO identities (device, module, generation, etag, disabled, status_reason, status_updated, authentication, \
             primary_credential, secondary_credential, iot_edge, managed_by, connection_updated, last_activity, model_id, last_command) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, '', 0)",
        )?;
        statement.insert(params![
            row.identity.device.as_str(),
            module_column(&row.identity),
            row.generation,
            row.etag,
            row.disabled,
            row.status_reason,
            row.status_updated.as_milliseconds(),
            kind,
            primary,
            secondary,
            row.iot_edge,
            row.managed_by,
            never,
        ])
    }

    /// Writes back what an update may change.
    pub(crate) fn update_identity(&self, row: &IdentityRow) -> Result<(), rusqlite::Error> {
        let (kind, primary, secondary) = credential_columns(&row.credentials);
        let mut statement = self.connection.prepare_cached(
            "UPDATE identities SET etag = ?2, disabled = ?3, status_reason = ?4, status_updated = ?5, authentication = ?6, \
             primary_credential = ?7, secondary_credential = ?8, iot_edge = ?9, managed_by = ?10 WHERE id = ?1",
        )?;
        statement.execute(params![
            row.id,
            row.etag,
            row.disabled,
            row.status_reason,
            row.status_updated.as_milliseconds(),
            kind,
            primary,
            secondary,
            row.iot_edge,
            row.managed_by,
        ])?;
        Ok(())
    }

    /// Deletes an identity with its twin, commands, dead letters, feedback, subscriptions and locks.
    pub(crate) fn delete_identity(&mut self, id: i64) -> Result<(), rusqlite::Error> {
        self.delete_feedback_of(id)?;
        self.connection.prepare_cached("DELETE FROM identities WHERE id = ?1")?.execute([id])?;
        self.locks.clear_queue(id);
        Ok(())
    }

    /// Writes what has been seen of an identity's connections.
    pub(crate) fn write_seen(&self, identity: &Identity, seen: &Seen) -> Result<(), rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE identities SET connection_updated = ?3, last_activity = ?4, model_id = ?5 WHERE device = ?1 AND module = ?2",
        )?;
        statement.execute(params![
            identity.device.as_str(),
            module_column(identity),
            seen.connection_updated.as_milliseconds(),
            seen.last_activity.as_milliseconds(),
            &*seen.model_id,
        ])?;
        Ok(())
    }
}
