//! A twin as it is stored, and every change it can go through. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::Timestamp;
use model::api::TwinPatch;
use model::limits::{DESIRED_BYTES_MAX, REPORTED_BYTES_MAX, TAGS_BYTES_MAX};
use serde_json::Value;
use thiserror::Error;

use crate::document::{self, DocumentError, Map, SectionName};
use crate::patch::{Stamp, merge};

#[cfg(test)]
mod tests;

/// Version of a new twin, as the service begins.
const FIRST_TWIN_VERSION: u64 = 2;
const VERSION_MEMBER: &str = "$version";
const METADATA_MEMBER: &str = "$metadata";

/// How a document changes what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Its members are merged in.
    Merge,
    /// It takes the place of what is there.
    Replace,
}

/// Why a twin did not change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChangeRefused {
    /// The change breaks a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// What is stored is not what this code stores.
    #[error("{0} is not a JSON object")]
    Unreadable(SectionName),
}

/// Desired or reported properties: JSON texts as their columns hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSection {
    /// The properties, an object.
    pub properties: String,
    /// `$metadata`: their mirror with times.
    pub metadata: String,
    /// `$version`: rises by one with every accepted write, never used again.
    pub version: u64,
}

/// A twin: JSON texts and versions as its row holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTwin {
    /// Rises with every accepted write of any section.
    pub version: u64,
    /// The counter in the etag: rises with writes of tags and desired properties.
    pub etag: u64,
    /// The tags, an object.
    pub tags: String,
    /// What the service wants.
    pub desired: StoredSection,
    /// What the device says.
    pub reported: StoredSection,
}

/// What the service asks to change. Members named `$metadata` and `$version`, which a client that
/// writes back what it read leaves in, are gone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceWrite {
    tags: Option<Map>,
    desired: Option<Map>,
}

/// Properties and their version, without metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    /// The properties, an object.
    pub text: String,
    /// Their `$version`.
    pub version: u64,
}

impl Properties {
    /// The properties with `$version`, as a device sees them.
    pub fn with_version(&self) -> String {
        with_version(&self.text, self.version)
    }
}

/// A write by the service that named reported properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("reported properties are written by the device alone")]
pub struct ReportedByService;

/// The desired version and the text that a change of desired properties notifies.
pub type DesiredNotice = (u64, Bytes);

impl ServiceWrite {
    /// Takes the sections out of a request.
    ///
    /// # Errors
    /// A section that is not an object or breaks a rule; the inner error when reported
    /// properties are among them.
    pub fn from_patch(patch: TwinPatch) -> Result<Result<Self, ReportedByService>, DocumentError> {
        let properties = patch.properties.unwrap_or_default();
        if properties.reported.is_some() {
            return Ok(Err(ReportedByService));
        }
        let tags = patch.tags.map(|value| checked(value, SectionName::Tags)).transpose()?;
        let desired = properties.desired.map(|value| checked(value, SectionName::Desired)).transpose()?;
        Ok(Ok(Self { tags, desired }))
    }

    /// Its size as documents are counted.
    pub fn size(&self) -> usize {
        [&self.tags, &self.desired].into_iter().flatten().map(document::size).sum()
    }

    /// Checks the sections as if they were written to a new twin.
    ///
    /// # Errors
    /// [`DocumentError::SectionTooLarge`].
    pub fn check_size(&self) -> Result<(), DocumentError> {
        let size = |section: &Option<Map>| section.as_ref().map_or(0, document::size);
        refuse_growth(SectionName::Tags, 0, size(&self.tags))?;
        refuse_growth(SectionName::Desired, 0, size(&self.desired))
    }

    /// Whether it names no section.
    pub fn is_empty(&self) -> bool {
        self.tags.is_none() && self.desired.is_none()
    }
}

fn checked(value: Value, name: SectionName) -> Result<Map, DocumentError> {
    let Value::Object(mut section) = value else {
        return Err(DocumentError::NotAnObject { path: name.to_string() });
    };
    if name != SectionName::Tags {
        take_system_members(&mut section);
    }
    document::check(&section)?;
    Ok(section)
}

/// Takes `$version` and `$metadata` out of a section as clients send it, and returns the version.
pub fn take_system_members(section: &mut Map) -> Option<Value> {
    section.shift_remove(METADATA_MEMBER);
    section.shift_remove(VERSION_MEMBER)
}

impl StoredTwin {
    /// The twin of an identity just created.
    pub fn new(now: Timestamp) -> Self {
        Self {
            version: FIRST_TWIN_VERSION,
            etag: 1,
            tags: "{}".to_owned(),
            desired: StoredSection::new(now),
            reported: StoredSection::new(now),
        }
    }

    /// Carries out what the service asks; on an error nothing has changed. A write that names no
    /// section changes nothing either.
    ///
    /// # Errors
    /// [`ChangeRefused`].
    pub fn write(&mut self, write: &ServiceWrite, change: Change, now: Timestamp) -> Result<Option<DesiredNotice>, ChangeRefused> {
        if write.is_empty() {
            return Ok(None);
        }
        let tags = write.tags.as_ref().map(|document| changed_tags(&self.tags, document, change)).transpose()?;
        let desired = write.desired.as_ref().map(|document| self.desired.changed(SectionName::Desired, document, change, now));
        let desired = desired.transpose()?;
        if let Some(tags) = tags {
            self.tags = tags;
        }
        let mut notice = None;
        if let (Some(desired), Some(document)) = (desired, &write.desired) {
            self.desired = desired;
            let body = match change {
                Change::Merge => with_version(&text(document), self.desired.version),
                Change::Replace => with_version(&self.desired.properties, self.desired.version),
            };
            notice = Some((self.desired.version, Bytes::from(body)));
        }
        self.version += 1;
        self.etag += 1;
        Ok(notice)
    }

    /// The etag as clients see it, without quotes.
    pub fn etag_text(&self) -> String {
        etag_text(self.etag)
    }
}

/// Base64 of the counter in eight bytes, most significant first.
pub fn etag_text(counter: u64) -> String {
    STANDARD.encode(counter.to_be_bytes())
}

impl StoredSection {
    /// A section without properties, at version 1.
    pub fn new(now: Timestamp) -> Self {
        Self { properties: "{}".to_owned(), metadata: text(&Stamp::new(now, None).leaf()), version: 1 }
    }

    /// The section after `document`, checked before, is merged in or takes its place.
    ///
    /// # Errors
    /// [`DocumentError::SectionTooLarge`] when it would grow over its limit.
    pub fn changed(&self, name: SectionName, document: &Map, change: Change, now: Timestamp) -> Result<Self, ChangeRefused> {
        let unreadable = ChangeRefused::Unreadable(name);
        let mut properties = read(&self.properties).ok_or_else(|| unreadable.clone())?;
        let before = document::size(&properties);
        let mut metadata = Map::new();
        match change {
            Change::Merge => metadata = read(&self.metadata).ok_or(unreadable)?,
            Change::Replace => properties.clear(),
        }
        let version = self.version + 1;
        // Only desired properties say at every level which version wrote it.
        let stamped = (name == SectionName::Desired).then_some(version);
        merge(&mut properties, &mut metadata, document, &Stamp::new(now, stamped));
        refuse_growth(name, before, document::size(&properties))?;
        Ok(Self { properties: text(&properties), metadata: text(&metadata), version })
    }

    /// The properties with `$metadata` and `$version`, as the service sees them.
    pub fn shown(&self) -> Option<Value> {
        let mut shown = read(&self.properties)?;
        shown.insert(METADATA_MEMBER.to_owned(), read(&self.metadata)?.into());
        shown.insert(VERSION_MEMBER.to_owned(), self.version.into());
        Some(shown.into())
    }
}

fn changed_tags(tags: &str, document: &Map, change: Change) -> Result<String, ChangeRefused> {
    let mut changed = read(tags).ok_or(ChangeRefused::Unreadable(SectionName::Tags))?;
    let before = document::size(&changed);
    if change == Change::Replace {
        changed.clear();
    }
    // Tags have no metadata; what the merge notes is thrown away.
    merge(&mut changed, &mut Map::new(), document, &Stamp::new(Timestamp::NEVER, None));
    refuse_growth(SectionName::Tags, before, document::size(&changed))?;
    Ok(text(&changed))
}

/// Over the limit, what shrinks a section or leaves its size is still allowed.
fn refuse_growth(section: SectionName, before: usize, after: usize) -> Result<(), DocumentError> {
    let limit = match section {
        SectionName::Tags => TAGS_BYTES_MAX,
        SectionName::Desired => DESIRED_BYTES_MAX,
        SectionName::Reported => REPORTED_BYTES_MAX,
    };
    if after > limit && after > before { Err(DocumentError::SectionTooLarge { section, bytes: after, limit }) } else { Ok(()) }
}

/// A stored text as an object.
pub fn read(json: &str) -> Option<Map> {
    serde_json::from_str(json).ok()
}

fn text(object: &Map) -> String {
    Value::Object(object.clone()).to_string()
}

/// Adds `$version` to the text of an object.
fn with_version(object: &str, version: u64) -> String {
    match object.strip_suffix('}') {
        None | Some("{") => format!(r#"{{"$version":{version}}}"#),
        Some(members) => format!(r#"{members},"$version":{version}}}"#),
    }
}
