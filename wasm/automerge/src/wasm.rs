//! What the module exports.

use firkin_core::json::{self, Object, Value};
use wasm_bindgen::prelude::wasm_bindgen;

/// Puts places together: `{ places: [[base, ours, theirs, [name of ours, name of theirs]]] }` as JSON.
///
/// → `{ merged: [{ value, clash }] }` as JSON, without a value for a place that cannot be merged so.
///
/// # Errors
/// What is asked cannot be read.
#[wasm_bindgen]
pub fn weave(asked: &str) -> Result<String, String> {
    let asked = json::parse(asked.as_bytes()).map_err(|error| error.to_string())?;
    let places = asked.as_object().and_then(|asked| asked.get("places")?.as_array());
    let places = places.ok_or("what is asked has no list of places")?;
    let mut answer = Object::new();
    answer.insert("merged", Value::Array(places.iter().map(|place| Value::Object(merged(place))).collect()));
    let mut text = Vec::new();
    json::write_object(&answer, &mut text);
    String::from_utf8(text).map_err(|error| error.to_string())
}

fn merged(place: &Value) -> Object {
    let merge = || {
        let [base, ours, theirs, names] = place.as_array()? else { return None };
        let [mine, other] = names.as_array()? else { return None };
        crate::merge(base, ours, theirs, [mine.as_str()?, other.as_str()?])
    };
    let mut answer = Object::new();
    if let Some(merged) = merge() {
        answer.insert("value", merged.value);
        answer.insert("clash", Value::Bool(merged.is_clash));
    }
    answer
}
