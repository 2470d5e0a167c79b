//! What the module exports.

use firkin_core::json::{self, Object, Value};
use wasm_bindgen::prelude::wasm_bindgen;

/// Puts a place together: `[base, ours, theirs, [name of ours, name of theirs]]` as JSON.
///
/// → `{ value, clash }` as JSON; nothing if the place is none that can be merged so.
#[wasm_bindgen]
#[must_use]
pub fn merge(asked: &str) -> Option<String> {
    let asked = json::parse(asked.as_bytes()).ok()?;
    let [base, ours, theirs, names] = asked.as_array()? else { return None };
    let [mine, other] = names.as_array()? else { return None };
    let merged = crate::merge(base, ours, theirs, [mine.as_str()?, other.as_str()?])?;
    let mut answer = Object::new();
    answer.insert("value", merged.value);
    answer.insert("clash", Value::Bool(merged.is_clash));
    let mut text = Vec::new();
    json::write_object(&answer, &mut text);
    String::from_utf8(text).ok()
}
