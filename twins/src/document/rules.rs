//! What a document may contain, and how its size is counted.

use model::limits::{TWIN_DEPTH_MAX, TWIN_INTEGER_BOUND, TWIN_KEY_BYTES_MAX, TWIN_STRING_BYTES_MAX};
use serde_json::{Number, Value};

use super::parse::Path;
use super::{DocumentError, Map};

/// Checks a section or a patch of one against every rule but its size.
///
/// A null is allowed as an object's member, where it deletes, and nowhere below an array.
///
/// # Errors
/// The first rule broken, in the order of the document.
pub fn check(document: &Map) -> Result<(), DocumentError> {
    Checking { path: Path::default(), depth: 0, arrays: 0 }.object(document)
}

/// The size of a section as `iot-hub-wire` §5.1 counts it: UTF-8 bytes of keys, characters of
/// strings without control characters, 8 a number, 4 a boolean; containers are their content.
pub fn size(document: &Map) -> usize {
    document.iter().map(|(key, value)| key.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.chars().filter(|c| !c.is_control()).count(),
        Value::Array(items) => items.iter().map(value_size).sum(),
        Value::Object(object) => size(object),
    }
}

struct Checking {
    path: Path,
    /// Containers entered below the root.
    depth: usize,
    /// How many of them are arrays.
    arrays: usize,
}

impl Checking {
    fn object(&mut self, object: &Map) -> Result<(), DocumentError> {
        for (key, value) in object {
            self.key(key)?;
            self.path.enter_key(key);
            self.value(value)?;
            self.path.leave();
        }
        Ok(())
    }

    fn key(&mut self, key: &str) -> Result<(), DocumentError> {
        if key.is_empty() {
            return Err(DocumentError::EmptyKey { path: self.path.to_string() });
        }
        if key.len() > TWIN_KEY_BYTES_MAX {
            return Err(DocumentError::KeyTooLong { path: self.path.to_string(), bytes: key.len() });
        }
        let forbidden = |c: &char| c.is_control() || matches!(c, '.' | '$' | ' ');
        match key.chars().find(forbidden) {
            None => Ok(()),
            Some(character) => {
                self.path.enter_key(key);
                Err(DocumentError::KeyCharacter { path: self.path.to_string(), character })
            }
        }
    }

    fn value(&mut self, value: &Value) -> Result<(), DocumentError> {
        match value {
            Value::Null if self.arrays > 0 => Err(DocumentError::NullInArray { path: self.path.to_string() }),
            Value::Null | Value::Bool(_) => Ok(()),
            Value::Number(number) if is_out_of_bounds(number) => Err(DocumentError::NumberOutOfBounds { path: self.path.to_string() }),
            Value::Number(_) => Ok(()),
            Value::String(text) if text.len() > TWIN_STRING_BYTES_MAX => {
                Err(DocumentError::StringTooLong { path: self.path.to_string(), bytes: text.len() })
            }
            Value::String(_) => Ok(()),
            Value::Array(items) => self.nested(|checking| checking.array(items)),
            Value::Object(object) => self.nested(|checking| checking.object(object)),
        }
    }

    fn array(&mut self, items: &[Value]) -> Result<(), DocumentError> {
        self.arrays += 1;
        for (index, item) in items.iter().enumerate() {
            self.path.enter_index(index);
            self.value(item)?;
            self.path.leave();
        }
        self.arrays -= 1;
        Ok(())
    }

    fn nested(&mut self, inside: impl FnOnce(&mut Self) -> Result<(), DocumentError>) -> Result<(), DocumentError> {
        if self.depth == TWIN_DEPTH_MAX {
            return Err(DocumentError::TooDeep { path: self.path.to_string() });
        }
        self.depth += 1;
        inside(self)?;
        self.depth -= 1;
        Ok(())
    }
}

/// Whole numbers are bounded however they are written: past 2⁵³ the parser hands over long
/// integers and exponents alike as floating point, and every float that large is whole.
fn is_out_of_bounds(number: &Number) -> bool {
    if let Some(integer) = number.as_i64() {
        return !(-TWIN_INTEGER_BOUND..TWIN_INTEGER_BOUND).contains(&integer);
    }
    if number.is_u64() {
        return true;
    }
    let bound = TWIN_INTEGER_BOUND as f64;
    number.as_f64().is_none_or(|float| float.fract() == 0.0 && !(-bound..bound).contains(&float))
}
