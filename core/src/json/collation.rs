//! The one total order of JSON values: null, false, true, numbers, strings, arrays, objects.
//!
//! Strings compare by their UTF-8 bytes (CouchDB compares them by ICU). Arrays compare element by element, a prefix
//! before what it begins. Objects compare as the list of their members ordered by name, so that two objects that differ
//! only in the order of their members are equal.

use core::cmp::Ordering;

use super::Value;

/// The place of a value's type in the order of types.
fn type_rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

/// Compares two values in the total order.
#[must_use]
pub fn collate(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.total_cmp(right),
        (Value::String(left), Value::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Array(left), Value::Array(right)) => {
            let differing =
                left.iter().zip(right).map(|(left, right)| collate(left, right)).find(|order| order.is_ne());
            differing.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Value::Object(left), Value::Object(right)) => {
            let (left, right) = (left.sorted(), right.sorted());
            let differing = left
                .iter()
                .zip(&right)
                .map(|(left, right)| left.0.cmp(right.0).then_with(|| collate(left.1, right.1)))
                .find(|order| order.is_ne());
            differing.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        _ => type_rank(left).cmp(&type_rank(right)),
    }
}
