//! Modules of the registry.

use model::api::{Authentication, Module};
use model::limits::MODULES_PER_DEVICE_MAX;
use model::{DeviceId, Identity, ModuleId};

use super::devices::{check_etag, new_etag, new_key};
use super::registry_errors::{CreateModuleError, DeleteIdentityError, UpdateIdentityError};
use super::twins::{IfMatch, TwinReadError};
use crate::authentication::normalise;
use crate::error::{StoreError, UnknownIdentity};
use crate::handle::Twins;
use crate::identity_table::IdentityChange;
use crate::store::identity_rows::{IdentityRow, SELECT_OF_DEVICE, SELECT_ONE};
use crate::store::{Stop, Unit, refuse};

/// What the service says of a module when creating or updating it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewModule {
    /// How it proves itself; normalised as [`crate::authentication::normalise`] says.
    pub authentication: Authentication,
    /// Who manages it, for people.
    pub managed_by: Option<String>,
}

impl Twins {
    /// Creates a module and its twin. Keys it needs and has not are generated.
    ///
    /// # Errors
    /// [`CreateModuleError`].
    pub async fn create_module(&self, device: DeviceId, module: ModuleId, new: NewModule) -> Result<Module, CreateModuleError> {
        let row = self.inner.writer.submit(bytes_of(&new), move |unit| unit.create_module(&device, &module, &new)).await?;
        Ok(self.shown_module(&row))
    }

    /// Replaces what the service said of a module.
    ///
    /// # Errors
    /// [`UpdateIdentityError`].
    pub async fn update_module(
        &self,
        device: DeviceId,
        module: ModuleId,
        new: NewModule,
        if_match: IfMatch,
    ) -> Result<Module, UpdateIdentityError> {
        let identity = Identity::module(device, module);
        let row = self.inner.writer.submit(bytes_of(&new), move |unit| unit.update_module(&identity, &new, &if_match)).await?;
        Ok(self.shown_module(&row))
    }

    /// Deletes a module with its twin, commands, dead letters and subscriptions.
    ///
    /// # Errors
    /// [`DeleteIdentityError`].
    pub async fn delete_module(&self, device: DeviceId, module: ModuleId, if_match: IfMatch) -> Result<(), DeleteIdentityError> {
        let identity = Identity::module(device, module);
        self.inner.writer.submit(0, move |unit| unit.delete_module(&identity, &if_match)).await
    }

    /// One module.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn module(&self, device: &DeviceId, module: &ModuleId) -> Result<Option<Module>, StoreError> {
        let query = sqlx::query(SELECT_ONE).bind(self.inner.clock.now().as_milliseconds());
        let row = query.bind(device.as_str()).bind(module.as_str()).fetch_optional(&self.inner.readers.0).await?;
        let row = row.map(|row| IdentityRow::read(&row)).transpose()?;
        Ok(row.map(|row| self.shown_module(&row)))
    }

    /// The modules of a device in the order of their ids.
    ///
    /// # Errors
    /// [`TwinReadError`] when there is no such device.
    pub async fn modules(&self, device: &DeviceId) -> Result<Vec<Module>, TwinReadError> {
        let query = sqlx::query(SELECT_OF_DEVICE).bind(self.inner.clock.now().as_milliseconds()).bind(device.as_str());
        let rows = query.fetch_all(&self.inner.readers.0).await.map_err(StoreError::from)?;
        if rows.is_empty() {
            return Err(UnknownIdentity::Device(device.clone()).into());
        }
        // The first row is the device itself.
        rows.iter().skip(1).map(|row| Ok(self.shown_module(&IdentityRow::read(row)?))).collect()
    }

    fn shown_module(&self, row: &IdentityRow) -> Module {
        row.module(&self.inner.table.seen(&row.identity))
    }
}

fn bytes_of(new: &NewModule) -> usize {
    new.managed_by.as_ref().map_or(0, String::len)
}

impl Unit<'_> {
    pub(super) fn create_module(
        &mut self,
        device: &DeviceId,
        module: &ModuleId,
        new: &NewModule,
    ) -> Result<IdentityRow, Stop<CreateModuleError>> {
        let rows = self.device_rows(device)?;
        let Some((owner, modules)) = rows.split_first() else { return refuse(CreateModuleError::DeviceNotFound(device.clone())) };
        if modules.iter().any(|row| row.identity.module.as_ref() == Some(module)) {
            return refuse(CreateModuleError::AlreadyExists(device.clone(), module.clone()));
        }
        if modules.len() >= MODULES_PER_DEVICE_MAX {
            return refuse(CreateModuleError::TooMany(device.clone()));
        }
        let credentials = normalise(&new.authentication, None, new_key).map_err(|error| Stop::Refused(error.into()))?;
        let identity = Identity::module(device.clone(), module.clone());
        let row = IdentityRow { managed_by: new.managed_by.clone(), ..self.new_row(identity, credentials) };
        Ok(self.insert_with_twin(row, !owner.disabled)?)
    }

    pub(super) fn update_module(
        &mut self,
        identity: &Identity,
        new: &NewModule,
        if_match: &IfMatch,
    ) -> Result<IdentityRow, Stop<UpdateIdentityError>> {
        let Some(owner) = self.identity_row(&Identity::device(identity.device.clone()))? else {
            return refuse(UnknownIdentity::of(identity, false));
        };
        let Some(before) = self.identity_row(identity)? else { return refuse(UnknownIdentity::of(identity, true)) };
        check_etag(if_match, &before.etag).map_err(|error| Stop::Refused(error.into()))?;
        let credentials =
            normalise(&new.authentication, Some(&before.credentials), new_key).map_err(|error| Stop::Refused(error.into()))?;
        let row = IdentityRow { etag: new_etag(), credentials, managed_by: new.managed_by.clone(), ..before };
        self.update_identity(&row)?;
        self.publish(&row, !owner.disabled);
        Ok(row)
    }

    pub(super) fn delete_module(&mut self, identity: &Identity, if_match: &IfMatch) -> Result<(), Stop<DeleteIdentityError>> {
        let Some(row) = self.identity_row(identity)? else { return refuse(self.unknown(identity)?) };
        check_etag(if_match, &row.etag).map_err(|error| Stop::Refused(error.into()))?;
        self.delete_identity(row.id)?;
        self.changes.push(IdentityChange::Remove(row.identity));
        Ok(())
    }

    /// What to say of an identity that was not found.
    pub(super) fn unknown(&self, identity: &Identity) -> Result<UnknownIdentity, rusqlite::Error> {
        let device_exists = self.identity_id(&Identity::device(identity.device.clone()))?.is_some();
        Ok(UnknownIdentity::of(identity, device_exists))
    }
}
