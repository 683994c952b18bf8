//! Many registry operations in one request. Each stands alone: those that are refused are
//! reported, the others are carried out, all in one transaction.

use std::collections::HashSet;

use model::api::{BulkError, BulkItem, BulkResult, ErrorCode, TwinPatch};
use model::limits::BULK_OPERATIONS_MAX;
use model::{DeviceId, Identity, ModuleId};

use super::devices::NewDevice;
use super::modules::NewModule;
use super::registry_errors::{BulkRequestError, CreateDeviceError, CreateModuleError, DeleteIdentityError, UpdateIdentityError};
use super::twins::{IfMatch, TwinWriteError};
use crate::document::DocumentError;
use crate::error::{StoreError, UnknownIdentity};
use crate::handle::Twins;
use crate::store::{Stop, Unit};
use crate::twin::{Change, ServiceWrite};

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

/// What an item asks for, without its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Create,
    Update,
    Delete,
    UpdateTwin,
}

/// Why one item was refused.
#[derive(Debug)]
struct Refused {
    code: ErrorCode,
    text: String,
}

impl Refused {
    fn new(code: ErrorCode, text: impl ToString) -> Self {
        Self { code, text: text.to_string() }
    }
}

impl Unit<'_> {
    fn bulk(&mut self, items: Vec<BulkItem>) -> Result<BulkResult, Stop<BulkRequestError>> {
        let mut errors = Vec::new();
        for item in items {
            let (device_id, module_id, operation) = (item.id.clone(), item.module_id.clone(), item.import_mode.clone());
            match self.bulk_item(item) {
                Ok(()) => {}
                Err(Stop::Sqlite(failure)) => return Err(Stop::Sqlite(failure)),
                Err(Stop::Refused(Refused { code, text })) => {
                    errors.push(BulkError { device_id, module_id, error_code: code.name().to_owned(), error_status: text, operation });
                }
            }
        }
        Ok(BulkResult { is_successful: errors.is_empty(), errors, warnings: Vec::new() })
    }

    fn bulk_item(&mut self, item: BulkItem) -> Result<(), Stop<Refused>> {
        let (mode, if_match) = mode(&item).map_err(Stop::Refused)?;
        let invalid_id = |error: model::InvalidId| Stop::Refused(Refused::new(ErrorCode::ArgumentInvalid, error));
        let device: DeviceId = item.id.parse().map_err(invalid_id)?;
        let module: Option<ModuleId> = item.module_id.as_deref().map(str::parse).transpose().map_err(invalid_id)?;
        match mode {
            Mode::Create => self.bulk_create(device, module, item),
            Mode::Update => self.bulk_update(&device, module, item, &if_match),
            Mode::Delete => match module {
                None => widen(self.delete_device(&device, &if_match)),
                Some(module) => widen(self.delete_module(&Identity::module(device, module), &if_match)),
            },
            Mode::UpdateTwin => {
                let write = service_write(&item)?;
                self.bulk_write_twin(&Identity { device, module }, &write, &if_match)
            }
        }
    }

    fn bulk_create(&mut self, device: DeviceId, module: Option<ModuleId>, item: BulkItem) -> Result<(), Stop<Refused>> {
        // The twin's rules before anything is written: a refused item writes nothing.
        let write = service_write(&item)?;
        write.check_size().map_err(|error| Stop::Refused(error.into()))?;
        match &module {
            None => widen(self.create_device(&device, &new_device(item)).map(drop))?,
            Some(module) => widen(self.create_module(&device, module, &new_module(item)).map(drop))?,
        }
        self.bulk_write_twin(&Identity { device, module }, &write, &IfMatch::Any)
    }

    fn bulk_update(
        &mut self,
        device: &DeviceId,
        module: Option<ModuleId>,
        item: BulkItem,
        if_match: &IfMatch,
    ) -> Result<(), Stop<Refused>> {
        match module {
            None => widen(self.update_device(device, &new_device(item), if_match).map(drop)),
            Some(module) => {
                let identity = Identity::module(device.clone(), module);
                widen(self.update_module(&identity, &new_module(item), if_match).map(drop))
            }
        }
    }

    fn bulk_write_twin(&mut self, identity: &Identity, write: &ServiceWrite, if_match: &IfMatch) -> Result<(), Stop<Refused>> {
        widen(self.write_service(identity, write, Change::Merge, if_match).map(drop))
    }
}

/// Reads the mode, in any case, with the condition it names.
fn mode(item: &BulkItem) -> Result<(Mode, IfMatch), Refused> {
    let written = item.import_mode.as_deref().ok_or_else(|| Refused::new(ErrorCode::ArgumentNull, "importMode is missing"))?;
    let conditional = |etag: &Option<String>| match etag.as_deref().map(|etag| etag.trim_matches('"')) {
        None | Some("") => Err(Refused::new(ErrorCode::ArgumentNull, format!("{written} needs an etag"))),
        Some("*") => Ok(IfMatch::Any),
        Some(etag) => Ok(IfMatch::Etag(etag.to_owned())),
    };
    match written.to_ascii_lowercase().as_str() {
        "create" => Ok((Mode::Create, IfMatch::Absent)),
        "update" => Ok((Mode::Update, IfMatch::Any)),
        "updateifmatchetag" => Ok((Mode::Update, conditional(&item.etag)?)),
        "delete" => Ok((Mode::Delete, IfMatch::Any)),
        "deleteifmatchetag" => Ok((Mode::Delete, conditional(&item.etag)?)),
        "updatetwin" => Ok((Mode::UpdateTwin, IfMatch::Any)),
        "updatetwinifmatchetag" => Ok((Mode::UpdateTwin, conditional(&item.twin_etag)?)),
        _ => Err(Refused::new(ErrorCode::ArgumentInvalid, format!("{written:?} is not an import mode"))),
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

/// Turns an operation's own refusal into an item's.
fn widen<E: Into<Refused>>(outcome: Result<(), Stop<E>>) -> Result<(), Stop<Refused>> {
    outcome.map_err(|stop| match stop {
        Stop::Refused(error) => Stop::Refused(error.into()),
        Stop::Sqlite(failure) => Stop::Sqlite(failure),
    })
}

impl From<CreateDeviceError> for Refused {
    fn from(error: CreateDeviceError) -> Self {
        let code = match &error {
            CreateDeviceError::AlreadyExists(_) => ErrorCode::DeviceAlreadyExists,
            CreateDeviceError::Authentication(_) => ErrorCode::ArgumentInvalid,
            CreateDeviceError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<CreateModuleError> for Refused {
    fn from(error: CreateModuleError) -> Self {
        let code = match &error {
            CreateModuleError::DeviceNotFound(_) => ErrorCode::DeviceNotFound,
            CreateModuleError::AlreadyExists(..) => ErrorCode::ModuleAlreadyExistsOnDevice,
            CreateModuleError::TooMany(_) => ErrorCode::TooManyModulesOnDevice,
            CreateModuleError::Authentication(_) => ErrorCode::ArgumentInvalid,
            CreateModuleError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<UpdateIdentityError> for Refused {
    fn from(error: UpdateIdentityError) -> Self {
        let code = match &error {
            UpdateIdentityError::NotFound(unknown) => not_found_code(unknown),
            UpdateIdentityError::EtagMismatch(_) => ErrorCode::PreconditionFailed,
            UpdateIdentityError::Authentication(_) => ErrorCode::ArgumentInvalid,
            UpdateIdentityError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<DeleteIdentityError> for Refused {
    fn from(error: DeleteIdentityError) -> Self {
        let code = match &error {
            DeleteIdentityError::NotFound(unknown) => not_found_code(unknown),
            DeleteIdentityError::EtagMismatch(_) => ErrorCode::PreconditionFailed,
            DeleteIdentityError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<TwinWriteError> for Refused {
    fn from(error: TwinWriteError) -> Self {
        let code = match &error {
            TwinWriteError::UnknownIdentity(unknown) => not_found_code(unknown),
            TwinWriteError::EtagMismatch(_) => ErrorCode::PreconditionFailed,
            TwinWriteError::Document(_) | TwinWriteError::ReportedByService => ErrorCode::ArgumentInvalid,
            TwinWriteError::Store(_) => ErrorCode::ServerError,
        };
        Self::new(code, error)
    }
}

impl From<DocumentError> for Refused {
    fn from(error: DocumentError) -> Self {
        Self::new(ErrorCode::ArgumentInvalid, error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorCode::ServerError, error)
    }
}

fn not_found_code(unknown: &UnknownIdentity) -> ErrorCode {
    match unknown {
        UnknownIdentity::Device(_) => ErrorCode::DeviceNotFound,
        UnknownIdentity::Module(..) => ErrorCode::ModuleNotFound,
    }
}
