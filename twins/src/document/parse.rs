//! Bytes to a document. Size is checked before, nesting and duplicate keys while parsing, so
//! that nothing grows beyond what was sent.

use std::fmt::{self, Write as _};

use model::api::{TwinPatch, TwinProperties};
use model::limits::{TWIN_BODY_BYTES_MAX, TWIN_DEPTH_MAX};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::{DocumentError, Map};

/// `tags` and `properties.desired` lie this deep in the body of a service's request.
const PATCH_WRAPPING: usize = 2;
/// A path in an error is cut here: keys may be as long as the body.
const PATH_BYTES_MAX: usize = 256;

/// Reads one section: an object at most 10 levels deep, without duplicate keys.
///
/// The rules on keys and values are [`super::check`]'s.
///
/// # Errors
/// [`DocumentError::BodyTooLarge`], `Syntax`, `DuplicateKey`, `TooDeep` or `NotAnObject`.
pub fn parse(bytes: &[u8]) -> Result<Map, DocumentError> {
    parse_object(bytes, TWIN_DEPTH_MAX)
}

/// Reads the body of a service's twin request with the same strictness; members other than
/// `tags` and `properties` are ignored.
///
/// # Errors
/// As [`parse`].
pub fn parse_twin_patch(bytes: &[u8]) -> Result<TwinPatch, DocumentError> {
    let mut body = parse_object(bytes, TWIN_DEPTH_MAX + PATCH_WRAPPING)?;
    let given = |value: Option<Value>| value.filter(|value| !value.is_null());
    let properties = match given(body.remove("properties")) {
        None => None,
        Some(Value::Object(mut properties)) => {
            Some(TwinProperties { desired: given(properties.remove("desired")), reported: given(properties.remove("reported")) })
        }
        Some(_) => return Err(DocumentError::NotAnObject { path: "properties".to_owned() }),
    };
    Ok(TwinPatch { tags: given(body.remove("tags")), properties })
}

fn parse_object(bytes: &[u8], depth_max: usize) -> Result<Map, DocumentError> {
    if bytes.len() > TWIN_BODY_BYTES_MAX {
        return Err(DocumentError::BodyTooLarge { bytes: bytes.len() });
    }
    let mut reading = Reading { path: Path::default(), depth: 0, depth_max, fault: None };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = ValueSeed(&mut reading).deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    match value {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(DocumentError::NotAnObject { path: String::new() }),
        Err(error) => Err(reading.fault.unwrap_or(DocumentError::Syntax { line: error.line(), column: error.column() })),
    }
}

/// Where one is in a document.
#[derive(Debug, Default)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    pub(super) fn enter_key(&mut self, key: &str) {
        self.0.push(Step::Key(key.to_owned()));
    }

    pub(super) fn enter_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for step in &self.0 {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(key),
                Step::Key(key) => write!(text, ".{key}")?,
                Step::Index(index) => write!(text, "[{index}]")?,
            }
            if text.len() > PATH_BYTES_MAX {
                let end = text.floor_char_boundary(PATH_BYTES_MAX);
                return write!(f, "{}…", text.get(..end).unwrap_or_default());
            }
        }
        f.write_str(&text)
    }
}

struct Reading {
    path: Path,
    /// Containers entered below the root.
    depth: usize,
    depth_max: usize,
    /// The rule broken, which serde's own error cannot carry.
    fault: Option<DocumentError>,
}

impl Reading {
    fn fail<E: de::Error>(&mut self, fault: DocumentError) -> E {
        self.fault = Some(fault);
        E::custom("a rule of twin documents is broken")
    }

    fn enter<E: de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        // The root itself is no level.
        if self.depth > self.depth_max + 1 {
            let path = self.path.to_string();
            return Err(self.fail(DocumentError::TooDeep { path }));
        }
        Ok(())
    }
}

struct ValueSeed<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let reading = self.0;
        reading.enter()?;
        let mut array = Vec::new();
        loop {
            reading.path.enter_index(array.len());
            let Some(item) = items.next_element_seed(ValueSeed(reading))? else { break };
            array.push(item);
            reading.path.leave();
        }
        reading.path.leave();
        reading.depth -= 1;
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let reading = self.0;
        reading.enter()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            reading.path.enter_key(&key);
            if object.contains_key(&key) {
                let path = reading.path.to_string();
                return Err(reading.fail(DocumentError::DuplicateKey { path }));
            }
            let value = members.next_value_seed(ValueSeed(reading))?;
            object.insert(key, value);
            reading.path.leave();
        }
        reading.depth -= 1;
        Ok(Value::Object(object))
    }
}
