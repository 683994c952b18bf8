//! Devices of the registry.

use model::api::{Authentication, Capabilities, Device, Status};
use model::limits::PAGE_ITEMS_MAX;
use model::{Credentials, DeviceId, Identity, Secret, Timestamp};

use super::registry_errors::{CreateDeviceError, DeleteIdentityError, UpdateIdentityError};
use super::twins::IfMatch;
use crate::authentication::normalise;
use crate::error::{EtagMismatch, StoreError, UnknownIdentity};
use crate::handle::Twins;
use crate::identity_table::IdentityChange;
use crate::store::identity_rows::{IdentityRow, SELECT_DEVICES, SELECT_ONE};
use crate::store::{Stop, Unit, refuse};
use crate::twin::StoredTwin;

/// Bytes of a generated key.
const KEY_BYTES: usize = 32;

/// What the service says of a device when creating or updating it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewDevice {
    /// How it proves itself; normalised as [`crate::authentication::normalise`] says.
    pub authentication: Authentication,
    /// Whether it may connect.
    pub status: Status,
    /// Why, for people.
    pub status_reason: Option<String>,
    /// What it can do.
    pub capabilities: Capabilities,
}

impl Twins {
    /// Creates a device and its twin. Keys it needs and has not are generated.
    ///
    /// # Errors
    /// [`CreateDeviceError`].
    pub async fn create_device(&self, device: DeviceId, new: NewDevice) -> Result<Device, CreateDeviceError> {
        let row = self.inner.writer.submit(bytes_of(&new), move |unit| unit.create_device(&device, &new)).await?;
        Ok(self.shown_device(&row))
    }

    /// Replaces what the service said of a device.
    ///
    /// # Errors
    /// [`UpdateIdentityError`].
    pub async fn update_device(&self, device: DeviceId, new: NewDevice, if_match: IfMatch) -> Result<Device, UpdateIdentityError> {
        let row = self.inner.writer.submit(bytes_of(&new), move |unit| unit.update_device(&device, &new, &if_match)).await?;
        Ok(self.shown_device(&row))
    }

    /// Deletes a device with its twin, modules, commands, dead letters and subscriptions.
    ///
    /// # Errors
    /// [`DeleteIdentityError`].
    pub async fn delete_device(&self, device: DeviceId, if_match: IfMatch) -> Result<(), DeleteIdentityError> {
        self.inner.writer.submit(0, move |unit| unit.delete_device(&device, &if_match)).await
    }

    /// One device.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn device(&self, device: &DeviceId) -> Result<Option<Device>, StoreError> {
        let query = sqlx::query(SELECT_ONE).bind(self.inner.clock.now().as_milliseconds()).bind(device.as_str()).bind("");
        let row = query.fetch_optional(&self.inner.readers.0).await?;
        let row = row.map(|row| IdentityRow::read(&row)).transpose()?;
        Ok(row.map(|row| self.shown_device(&row)))
    }

    /// Devices in the order of their ids, those after `after`, at most `limit` and never more
    /// than 1,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn devices(&self, after: Option<DeviceId>, limit: usize) -> Result<Vec<Device>, StoreError> {
        let limit = i64::try_from(limit.min(PAGE_ITEMS_MAX)).unwrap_or(0);
        let after = after.as_ref().map_or("", DeviceId::as_str);
        let query = sqlx::query(SELECT_DEVICES).bind(self.inner.clock.now().as_milliseconds()).bind(after).bind(limit);
        let rows = query.fetch_all(&self.inner.readers.0).await?;
        rows.iter().map(|row| Ok(self.shown_device(&IdentityRow::read(row)?))).collect()
    }

    fn shown_device(&self, row: &IdentityRow) -> Device {
        row.device(&self.inner.table.seen(&row.identity))
    }
}

fn bytes_of(new: &NewDevice) -> usize {
    new.status_reason.as_ref().map_or(0, String::len)
}

/// A key nobody knows yet.
pub(super) fn new_key() -> Secret {
    Secret::new(rand::random::<[u8; KEY_BYTES]>().to_vec())
}

/// An etag that no other state of any identity has: base64 of a random number's digits.
pub(super) fn new_etag() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(rand::random::<u64>().to_string())
}

/// Whether a write on this condition may go on.
pub(super) fn check_etag(if_match: &IfMatch, current: &str) -> Result<(), EtagMismatch> {
    match if_match {
        IfMatch::Any | IfMatch::Absent => Ok(()),
        IfMatch::Etag(given) if given == current => Ok(()),
        IfMatch::Etag(given) => Err(EtagMismatch { given: given.clone(), current: current.to_owned() }),
    }
}

impl Unit<'_> {
    pub(super) fn create_device(&mut self, device: &DeviceId, new: &NewDevice) -> Result<IdentityRow, Stop<CreateDeviceError>> {
        let identity = Identity::device(device.clone());
        if self.identity_id(&identity)?.is_some() {
            return refuse(CreateDeviceError::AlreadyExists(device.clone()));
        }
        let credentials = normalise(&new.authentication, None, new_key).map_err(|error| Stop::Refused(error.into()))?;
        let row = IdentityRow {
            disabled: new.status == Status::Disabled,
            status_reason: new.status_reason.clone(),
            iot_edge: new.capabilities.iot_edge,
            ..self.new_row(identity, credentials)
        };
        Ok(self.insert_with_twin(row, true)?)
    }

    pub(super) fn update_device(
        &mut self,
        device: &DeviceId,
        new: &NewDevice,
        if_match: &IfMatch,
    ) -> Result<IdentityRow, Stop<UpdateIdentityError>> {
        let mut rows = self.device_rows(device)?.into_iter();
        let Some(before) = rows.next() else { return refuse(UnknownIdentity::Device(device.clone())) };
        check_etag(if_match, &before.etag).map_err(|error| Stop::Refused(error.into()))?;
        let credentials =
            normalise(&new.authentication, Some(&before.credentials), new_key).map_err(|error| Stop::Refused(error.into()))?;
        let disabled = new.status == Status::Disabled;
        let row = IdentityRow {
            etag: new_etag(),
            disabled,
            status_reason: new.status_reason.clone(),
            status_updated: if disabled == before.disabled { before.status_updated } else { self.now() },
            credentials,
            iot_edge: new.capabilities.iot_edge,
            ..before.clone()
        };
        self.update_identity(&row)?;
        self.publish(&row, !disabled);
        if disabled != before.disabled {
            // A module is enabled while its device is.
            rows.for_each(|module| self.publish(&module, !disabled));
        }
        Ok(row)
    }

    pub(super) fn delete_device(&mut self, device: &DeviceId, if_match: &IfMatch) -> Result<(), Stop<DeleteIdentityError>> {
        let rows = self.device_rows(device)?;
        let Some(row) = rows.first() else { return refuse(UnknownIdentity::Device(device.clone())) };
        check_etag(if_match, &row.etag).map_err(|error| Stop::Refused(error.into()))?;
        for row in rows {
            self.delete_identity(row.id)?;
            self.changes.push(IdentityChange::Remove(row.identity));
        }
        Ok(())
    }

    /// The row of an identity about to be created.
    pub(super) fn new_row(&mut self, identity: Identity, credentials: Credentials) -> IdentityRow {
        IdentityRow {
            id: 0,
            identity,
            generation: self.new_generation(),
            etag: new_etag(),
            disabled: false,
            status_reason: None,
            status_updated: Timestamp::NEVER,
            credentials,
            iot_edge: false,
            managed_by: None,
            commands: 0,
        }
    }

    /// Inserts an identity with an empty twin.
    pub(super) fn insert_with_twin(&mut self, row: IdentityRow, device_enabled: bool) -> Result<IdentityRow, rusqlite::Error> {
        let id = self.insert_identity(&row)?;
        self.insert_twin(id, &StoredTwin::new(self.now()))?;
        self.publish(&row, device_enabled && !row.disabled);
        Ok(IdentityRow { id, ..row })
    }

    /// Has the table in memory follow a row.
    pub(super) fn publish(&mut self, row: &IdentityRow, enabled: bool) {
        self.changes.push(IdentityChange::Put {
            identity: row.identity.clone(),
            generation: row.generation.as_str().into(),
            enabled,
            credentials: row.credentials.clone(),
        });
    }
}
