//! Reading JSON text.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashSet;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Object, Value};

/// Why a text is not JSON that Firkin takes; the reason names the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(pub String);

/// Reads one JSON value, which must be all that `text` holds.
///
/// # Errors
/// Malformed text, nesting deeper than [`DEPTH_MAX`](super::DEPTH_MAX), a name that occurs twice in one object, a lone surrogate, a number that no
/// double holds.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    serde_json::from_slice(text).map_err(|error| JsonError(error.to_string()))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

/// From so many members on, names are checked for repetition through a set; below, comparing them all is cheaper.
const SMALL_OBJECT: usize = 16;

#[expect(clippy::cast_precision_loss, reason = "numbers are doubles, whatever their text was")]
impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // Adding zero turns -0 into 0 and leaves every other number as it is.
        Ok(Value::Number(value + 0.0))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some(member) = map.next_entry::<String, Value>()? {
            members.push(member);
        }
        if let Some(name) = repeated(&members) {
            return Err(de::Error::custom(format_args!("the name {name:?} occurs twice in one object")));
        }
        Ok(Value::Object(Object::from_unique(members)))
    }
}

fn repeated(members: &[(String, Value)]) -> Option<&str> {
    if members.len() < SMALL_OBJECT {
        let (mut seen, mut rest) = (0, members);
        while let Some(((name, _), after)) = rest.split_first() {
            if members.iter().take(seen).any(|(earlier, _)| earlier == name) {
                return Some(name);
            }
            seen += 1;
            rest = after;
        }
        return None;
    }
    let mut names = HashSet::with_capacity(members.len());
    members.iter().map(|(name, _)| name.as_str()).find(|name| !names.insert(*name))
}
