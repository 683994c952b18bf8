//! Many registry operations in one request. Each stands alone: those that are refused are
//! reported, the others are carried out, all in one transaction.

use std::collections::HashSet;

use model::api::{BulkError, BulkItem, BulkResult, ErrorCode, TwinPatch};
use model::limits::BULK_OPERATIONS_MAX;
use model::{DeviceId, Identity, ModuleId};

use super::devices::NewDevice;
use super::modules::NewModule;
use super::registry_errors::BulkRequestError;
use super::twins::IfMatch;
use crate::handle::Twins;
use crate::store::{Stop, Unit};
use crate::twin::{Change, ServiceWrite};

mod mode;
mod refused;

use mode::{Mode, mode, twin_condition};
use refused::{Refused, widen};

impl Twins {
    /// Carries out at most 100 operations, each on another identity, in their order.
    ///
    /// # Errors
    /// [`BulkRequestError`] when nothing was carried out; what single operations were refused
    /// for is in the result.
    pub async fn bulk(&self, items: Vec<BulkItem>) -> Result<BulkResult, BulkRequestError> {
        if items.len() > BULK_OPERATIONS_MAX {
            return Err(BulkRequestError::TooMany { count: items.len() });
        }
        let mut named = HashSet::new();
        if let Some(item) = items.iter().find(|item| !named.insert((&item.id, &item.module_id))) {
            let module = item.module_id.as_ref().map(|module| format!("/{module}")).unwrap_or_default();
            return Err(BulkRequestError::Duplicate { id: format!("{}{module}", item.id) });
        }
        self.inner.writer.submit(bytes_of(&items), move |unit| unit.bulk(items)).await
    }
}

fn bytes_of(items: &[BulkItem]) -> usize {
    let section = |value: &Option<serde_json::Value>| value.as_ref().and_then(|v| v.as_object()).map_or(0, crate::document::size);
    let desired = |item: &BulkItem| item.properties.as_ref().map_or(0, |properties| section(&properties.desired));
    items.iter().map(|item| section(&item.tags) + desired(item)).sum()
}

impl Unit<'_> {
    fn bulk(&mut self, items: Vec<BulkItem>) -> Result<BulkResult, Stop<BulkRequestError>> {
        let mut errors = Vec::new();
        for item in items {
            let (device_id, module_id, operation) = (item.id.clone(), item.module_id.clone(), item.import_mode.clone());
            if let Err(Refused { code, text }) = self.attempt(|unit| unit.bulk_item(item))? {
                errors.push(BulkError { device_id, module_id, error_code: code.name().to_owned(), error_status: text, operation });
            }
        }
        Ok(BulkResult { is_successful: errors.is_empty(), errors, warnings: Vec::new() })
    }

    fn bulk_item(&mut self, item: BulkItem) -> Result<(), Stop<Refused>> {
        let (mode, if_match) = mode(&item).map_err(Stop::Refused)?;
        let if_match = if_match.map_err(Stop::Refused);
        let invalid_id = |error: model::InvalidId| Stop::Refused(Refused::new(ErrorCode::ArgumentInvalid, error));
        let device: DeviceId = item.id.parse().map_err(invalid_id)?;
        let module: Option<ModuleId> = item.module_id.as_deref().map(str::parse).transpose().map_err(invalid_id)?;
        let identity = Identity { device, module };
        match mode {
            Mode::Create => self.bulk_create(identity, item),
            // Who is not registered yet has no etag that the item could name.
            Mode::CreateOrUpdate if self.identity_id(&identity)?.is_none() => self.bulk_create(identity, item),
            Mode::CreateOrUpdate => self.bulk_overwrite(&identity, item, &if_match?),
            Mode::Update => self.bulk_update(&identity, item, &if_match?),
            Mode::Delete => self.bulk_delete(&identity, &if_match?),
            Mode::UpdateTwin => {
                let (write, if_match) = (service_write(&item)?, if_match?);
                widen(self.write_service(&identity, &write, Change::Merge, &if_match).map(drop))
            }
        }
    }

    fn bulk_create(&mut self, identity: Identity, item: BulkItem) -> Result<(), Stop<Refused>> {
        // The twin's rules before anything is written: a refused item writes nothing.
        let write = service_write(&item)?;
        write.check_size().map_err(|error| Stop::Refused(error.into()))?;
        match &identity.module {
            None => widen(self.create_device(&identity.device, &new_device(item)).map(drop))?,
            Some(module) => widen(self.create_module(&identity.device, module, &new_module(item)).map(drop))?,
        }
        widen(self.write_service(&identity, &write, Change::Merge, &IfMatch::Any).map(drop))
    }

    /// Puts what the item says in place of what is registered, and the sections of the twin that it
    /// names in place of those stored. The twin has a condition of its own, if the item names one.
    fn bulk_overwrite(&mut self, identity: &Identity, item: BulkItem, if_match: &IfMatch) -> Result<(), Stop<Refused>> {
        let write = service_write(&item)?;
        // Each refuses before it writes, so the twin is worked out first and written last.
        let (row, _) = widen(self.changed_by_service(identity, &write, Change::Replace, &twin_condition(&item)))?;
        self.bulk_update(identity, item, if_match)?;
        if !write.is_empty() {
            self.update_twin(row.identity.id, &row.twin)?;
        }
        Ok(())
    }

    fn bulk_update(&mut self, identity: &Identity, item: BulkItem, if_match: &IfMatch) -> Result<(), Stop<Refused>> {
        match identity.module {
            None => widen(self.update_device(&identity.device, &new_device(item), if_match).map(drop)),
            Some(_) => widen(self.update_module(identity, &new_module(item), if_match).map(drop)),
        }
    }

    fn bulk_delete(&mut self, identity: &Identity, if_match: &IfMatch) -> Result<(), Stop<Refused>> {
        match identity.module {
            None => widen(self.delete_device(&identity.device, if_match)),
            Some(_) => widen(self.delete_module(identity, if_match)),
        }
    }
}

fn new_device(item: BulkItem) -> NewDevice {
    NewDevice {
        authentication: item.authentication.unwrap_or_default(),
        status: item.status.unwrap_or_default(),
        status_reason: item.status_reason,
        capabilities: item.capabilities.unwrap_or_default(),
    }
}

fn new_module(item: BulkItem) -> NewModule {
    NewModule { authentication: item.authentication.unwrap_or_default(), managed_by: None }
}

fn service_write(item: &BulkItem) -> Result<ServiceWrite, Stop<Refused>> {
    let patch = TwinPatch { tags: item.tags.clone(), properties: item.properties.clone() };
    let write = ServiceWrite::from_patch(patch).map_err(|error| Stop::Refused(error.into()))?;
    write.map_err(|error| Stop::Refused(Refused::new(ErrorCode::ArgumentInvalid, error)))
}
