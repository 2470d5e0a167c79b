//! Small helpers for values that come from JavaScript. None of them throws or panics, whatever the value is.

use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};

/// A global of the worker, the page or the process; `undefined` where there is none, or where asking for it throws.
pub fn global(name: &str) -> JsValue {
    property(&js_sys::global(), name)
}

/// A property; `undefined` where there is none.
pub fn property(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// A property that is a string; empty otherwise.
pub fn text(value: &JsValue, name: &str) -> String {
    property(value, name).as_string().unwrap_or_default()
}

/// What an error, or whatever else was thrown, says for people.
pub fn describe(error: &JsValue) -> String {
    let (name, message) = (text(error, "name"), text(error, "message"));
    match (name.is_empty(), message.is_empty()) {
        (false, false) => format!("{name}: {message}"),
        (false, true) => name,
        (true, false) => message,
        (true, true) => error.as_string().unwrap_or_else(|| "unknown error".into()),
    }
}

/// The bytes of a `Uint8Array`; `None` for any other value.
pub fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<js_sys::Uint8Array>().map(js_sys::Uint8Array::to_vec)
}
