//! The merge of a patch into a section and into the section's metadata (RFC 7396). Pure.

use model::Timestamp;
use serde_json::Value;

use crate::document::Map;

const LAST_UPDATED: &str = "$lastUpdated";
const LAST_UPDATED_VERSION: &str = "$lastUpdatedVersion";

/// What metadata records of a write.
#[derive(Debug, Clone)]
pub struct Stamp {
    time: String,
    version: Option<u64>,
}

impl Stamp {
    /// A write at `time` that makes `version` of the section; desired properties record the
    /// version at every level, reported ones do not.
    pub fn new(time: Timestamp, version: Option<u64>) -> Self {
        Self { time: time.to_string(), version }
    }

    /// Metadata of something without members.
    pub fn leaf(&self) -> Map {
        let mut metadata = Map::new();
        self.mark(&mut metadata);
        metadata
    }

    fn mark(&self, metadata: &mut Map) {
        metadata.insert(LAST_UPDATED.to_owned(), self.time.clone().into());
        if let Some(version) = self.version {
            metadata.insert(LAST_UPDATED_VERSION.to_owned(), version.into());
        }
    }
}

/// Merges `patch` into `properties`: objects member by member, a null deletes, everything else
/// replaces. An empty object makes an object where there is none and changes no other.
///
/// `metadata` mirrors the objects and leaves of `properties`; every level that the patch names
/// is stamped, and with a deletion the level above it.
pub fn merge(properties: &mut Map, metadata: &mut Map, patch: &Map, stamp: &Stamp) {
    stamp.mark(metadata);
    for (key, value) in patch {
        match value {
            Value::Null => {
                properties.shift_remove(key);
                metadata.shift_remove(key);
            }
            Value::Object(patch) => {
                let was_object = properties.get(key).is_some_and(Value::is_object);
                let mut inner = take_object(properties, key);
                // What a leaf's metadata says does not concern the object that replaces it.
                let mut inner_metadata = if was_object { take_object(metadata, key) } else { Map::new() };
                merge(&mut inner, &mut inner_metadata, patch, stamp);
                properties.insert(key.clone(), inner.into());
                metadata.insert(key.clone(), inner_metadata.into());
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                properties.insert(key.clone(), value.clone());
                metadata.insert(key.clone(), stamp.leaf().into());
            }
        }
    }
}

/// The object at `key`, leaving a null that keeps its place; empty where there is none.
fn take_object(map: &mut Map, key: &str) -> Map {
    if let Some(Value::Object(object)) = map.get_mut(key).map(Value::take) { object } else { Map::new() }
}

#[cfg(test)]
mod tests;
