//! Twins of devices and modules: reading, changing, and what a device is told of a change.

use bytes::Bytes;
use model::Identity;
use model::api::{Capabilities, Twin, TwinPatch, TwinProperties};
use thiserror::Error;

use super::devices::check_etag;
use crate::authentication;
use crate::document::{self, DocumentError, Map, SectionName};
use crate::error::{EtagMismatch, StoreError, UnknownIdentity};
use crate::handle::Twins;
use crate::store::identity_rows::module_column;
use crate::store::twin_rows::{SELECT_DEVICE_VIEW, SELECT_TWIN, TwinRow};
use crate::store::{ReadRow as _, Stop, Unit, refuse};
use crate::twin::{self, Change, ChangeRefused, ServiceWrite};

/// On which condition a write is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whatever is there.
    Any,
    /// Only if this is the present etag, without quotes.
    Etag(String),
    /// No condition was given; the same as [`IfMatch::Any`] for what exists.
    Absent,
}

/// A twin after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct TwinChanged {
    /// The whole twin.
    pub twin: Twin,
    /// What to tell the device, when its desired properties were written.
    pub desired: Option<DesiredChange>,
}

/// A change of desired properties, as a device is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredChange {
    /// The desired version after the change.
    pub version: u64,
    /// The JSON patch as applied, nulls and `$version` included; after a replacement the whole
    /// new document.
    pub body: Bytes,
}

/// A twin as its device sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceView {
    /// `{"desired":{…,"$version":7},"reported":{…,"$version":3}}`, without metadata.
    pub body: Bytes,
    /// The desired version in it.
    pub desired_version: u64,
}

/// Why a twin was not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TwinReadError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a twin was not changed by the service. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TwinWriteError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// Somebody else wrote in between.
    #[error(transparent)]
    EtagMismatch(#[from] EtagMismatch),
    /// The change breaks a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The service wrote reported properties, which only the device may.
    #[error("reported properties are written by the device alone")]
    ReportedByService,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a device's reported properties were not changed. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReportedError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// The patch is based on a version that is not the present one.
    #[error("the patch is based on version {base}, the reported properties are at version {current}")]
    VersionMismatch {
        /// The version the device named.
        base: u64,
        /// The present version.
        current: u64,
    },
    /// The `$version` in the patch is not a whole number.
    #[error("the $version of the patch is not a whole number")]
    InvalidVersion,
    /// The patch breaks a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ChangeRefused> for TwinWriteError {
    fn from(refused: ChangeRefused) -> Self {
        match refused {
            ChangeRefused::Document(error) => Self::Document(error),
            ChangeRefused::Unreadable(section) => Self::Store(unreadable(section)),
        }
    }
}

impl From<ChangeRefused> for ReportedError {
    fn from(refused: ChangeRefused) -> Self {
        match refused {
            ChangeRefused::Document(error) => Self::Document(error),
            ChangeRefused::Unreadable(section) => Self::Store(unreadable(section)),
        }
    }
}

fn unreadable(section: SectionName) -> StoreError {
    let column = match section {
        SectionName::Tags => "tags",
        SectionName::Desired => "desired",
        SectionName::Reported => "reported",
    };
    StoreError::Inconsistent { table: "twins", column, reason: "not a JSON object".to_owned() }
}

impl Twins {
    /// A twin in full.
    ///
    /// # Errors
    /// [`TwinReadError`].
    pub async fn twin(&self, identity: &Identity) -> Result<Twin, TwinReadError> {
        let query = sqlx::query(SELECT_TWIN).bind(self.inner.clock.now().as_milliseconds());
        let query = query.bind(identity.device.as_str()).bind(module_column(identity));
        let row = query.fetch_optional(&self.inner.readers.0).await.map_err(StoreError::from)?;
        let row = row.ok_or_else(|| self.not_found(identity))?;
        Ok(self.shown_twin(&TwinRow::read(&row)?)?)
    }

    /// Merges `patch` into the sections it names.
    ///
    /// # Errors
    /// [`TwinWriteError`].
    pub async fn patch_twin(&self, identity: &Identity, patch: TwinPatch, if_match: IfMatch) -> Result<TwinChanged, TwinWriteError> {
        self.write_twin(identity, patch, Change::Merge, if_match).await
    }

    /// Puts `document` in place of the sections it names; the others stay.
    ///
    /// # Errors
    /// [`TwinWriteError`].
    pub async fn replace_twin(&self, identity: &Identity, document: TwinPatch, if_match: IfMatch) -> Result<TwinChanged, TwinWriteError> {
        self.write_twin(identity, document, Change::Replace, if_match).await
    }

    async fn write_twin(
        &self,
        identity: &Identity,
        patch: TwinPatch,
        change: Change,
        if_match: IfMatch,
    ) -> Result<TwinChanged, TwinWriteError> {
        let write = ServiceWrite::from_patch(patch)?.map_err(|_| TwinWriteError::ReportedByService)?;
        let (bytes, identity) = (write.size(), identity.clone());
        let work = move |unit: &mut Unit<'_>| unit.write_service(&identity, &write, change, &if_match);
        let (row, desired) = self.inner.writer.submit(bytes, work).await?;
        Ok(TwinChanged { twin: self.shown_twin(&row)?, desired })
    }

    /// What a device sees of its twin.
    ///
    /// # Errors
    /// [`TwinReadError`].
    pub async fn device_view(&self, identity: &Identity) -> Result<DeviceView, TwinReadError> {
        let (desired, reported) = self.read_properties(identity).await?;
        let body = format!(r#"{{"desired":{},"reported":{}}}"#, desired.with_version(), reported.with_version());
        Ok(DeviceView { body: body.into(), desired_version: desired.version })
    }

    /// The whole desired section in the form of a change, for a device that missed some.
    ///
    /// # Errors
    /// [`TwinReadError`].
    pub async fn desired_document(&self, identity: &Identity) -> Result<DesiredChange, TwinReadError> {
        let (desired, _) = self.read_properties(identity).await?;
        Ok(DesiredChange { version: desired.version, body: desired.with_version().into() })
    }

    /// Merges a device's patch into its reported properties, and returns their new version.
    ///
    /// `base_version` is the version that the device bases the patch on; without one, a
    /// `$version` in the patch is.
    ///
    /// # Errors
    /// [`ReportedError`].
    pub async fn patch_reported(&self, identity: &Identity, patch: Bytes, base_version: Option<u64>) -> Result<u64, ReportedError> {
        let mut document = document::parse(&patch)?;
        let base = match (base_version, twin::take_system_members(&mut document)) {
            (None, Some(version)) => Some(version.as_u64().ok_or(ReportedError::InvalidVersion)?),
            (base, _) => base,
        };
        document::check(&document)?;
        let identity = identity.clone();
        self.inner.writer.submit(patch.len(), move |unit| unit.write_reported(&identity, &document, base)).await
    }

    async fn read_properties(&self, identity: &Identity) -> Result<(twin::Properties, twin::Properties), TwinReadError> {
        let query = sqlx::query(SELECT_DEVICE_VIEW).bind(identity.device.as_str()).bind(module_column(identity));
        let row = query.fetch_optional(&self.inner.readers.0).await.map_err(StoreError::from)?;
        let row = row.ok_or_else(|| self.not_found(identity))?;
        let properties = |from| -> Result<twin::Properties, StoreError> {
            let failed = StoreError::Read;
            Ok(twin::Properties { text: row.column(from).map_err(failed)?, version: row.unsigned(from + 1).map_err(failed)? })
        };
        Ok((properties(0)?, properties(2)?))
    }

    /// What to say of an identity whose row is not there.
    pub(super) fn not_found(&self, identity: &Identity) -> UnknownIdentity {
        UnknownIdentity::of(identity, self.inner.table.has_device(&identity.device))
    }

    fn shown_twin(&self, row: &TwinRow) -> Result<Twin, StoreError> {
        let (identity, twin) = (&row.identity, &row.twin);
        let is_device = identity.identity.module.is_none();
        let seen = self.inner.table.seen(&identity.identity);
        Ok(Twin {
            device_id: identity.identity.device.to_string(),
            module_id: identity.identity.module.as_ref().map(ToString::to_string),
            etag: twin.etag_text(),
            device_etag: identity.etag.clone(),
            status: identity.status(),
            status_reason: identity.status_reason.clone(),
            status_update_time: identity.status_updated,
            connection_state: seen.state,
            last_activity_time: seen.last_activity,
            cloud_to_device_message_count: identity.commands,
            authentication_type: authentication::kind_of(&identity.credentials),
            x509_thumbprint: authentication::shown(&identity.credentials).x509_thumbprint.unwrap_or_default(),
            model_id: seen.model_id.to_string(),
            version: twin.version,
            tags: Some(twin::read(&twin.tags).ok_or_else(|| unreadable(SectionName::Tags))?),
            properties: TwinProperties {
                desired: Some(twin.desired.shown().ok_or_else(|| unreadable(SectionName::Desired))?),
                reported: Some(twin.reported.shown().ok_or_else(|| unreadable(SectionName::Reported))?),
            },
            capabilities: is_device.then_some(Capabilities { iot_edge: identity.iot_edge }),
        })
    }
}

impl Unit<'_> {
    pub(super) fn write_service(
        &mut self,
        identity: &Identity,
        write: &ServiceWrite,
        change: Change,
        if_match: &IfMatch,
    ) -> Result<(TwinRow, Option<DesiredChange>), Stop<TwinWriteError>> {
        let (row, notice) = self.changed_by_service(identity, write, change, if_match)?;
        if !write.is_empty() {
            self.update_twin(row.identity.id, &row.twin)?;
        }
        Ok((row, notice))
    }

    /// The twin as [`Unit::write_service`] would leave it; nothing is written yet.
    pub(super) fn changed_by_service(
        &self,
        identity: &Identity,
        write: &ServiceWrite,
        change: Change,
        if_match: &IfMatch,
    ) -> Result<(TwinRow, Option<DesiredChange>), Stop<TwinWriteError>> {
        let Some(mut row) = self.twin_row(identity)? else { return refuse(self.unknown(identity)?) };
        check_etag(if_match, &row.twin.etag_text()).map_err(|error| Stop::Refused(error.into()))?;
        let notice = row.twin.write(write, change, self.now()).map_err(|error| Stop::Refused(error.into()))?;
        Ok((row, notice.map(|(version, body)| DesiredChange { version, body })))
    }

    fn write_reported(&mut self, identity: &Identity, document: &Map, base: Option<u64>) -> Result<u64, Stop<ReportedError>> {
        let Some(mut row) = self.reported_row(identity)? else { return refuse(self.unknown(identity)?) };
        let current = row.reported.version;
        if let Some(base) = base.filter(|base| *base != current) {
            return refuse(ReportedError::VersionMismatch { base, current });
        }
        let changed = row.reported.changed(SectionName::Reported, document, Change::Merge, self.now());
        row.reported = changed.map_err(|error| Stop::Refused(error.into()))?;
        self.update_reported(&row)?;
        Ok(row.reported.version)
    }
}
