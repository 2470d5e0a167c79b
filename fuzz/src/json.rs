//! JSON that comes in: what is read must come out and in again as it was, whatever the text.

use firkin_core::document::Document;
use firkin_core::json::{self, Value, collate};
use firkin_core::path::encode_value;

/// Reads the input as a value and as a document.
pub fn run(input: &[u8]) {
    if let Ok(document) = Document::parse(input, 1 << 20) {
        assert!(!document.id.is_empty(), "every document has an id");
    }
    let Ok(value) = json::parse(input) else { return };
    let text = written(&value, json::write);
    assert_eq!(json::parse(&text).as_ref(), Ok(&value), "what was written reads as what was there");
    let canonical = written(&value, json::canonical);
    let again = json::parse(&canonical).expect("a canonical form is JSON");
    assert!(collate(&value, &again).is_eq(), "the canonical form is the same value");
    assert_eq!(written(&again, json::canonical), canonical, "a value has one canonical form");
    assert_eq!(key(&value), key(&again), "the order of members has no part in a key");
}

fn written(value: &Value, write: fn(&Value, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn key(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode_value(value, &mut out);
    out
}
