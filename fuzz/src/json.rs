//! JSON that comes in: it must be read as `serde_json` reads it, and what is read must come out and in again as it was.

use firkin_core::document::Document;
use firkin_core::json::{self, Reader, Value, collate};
use firkin_core::path::encode_value;

use super::oracle;

/// Reads the input as a value and as a document.
pub fn run(input: &[u8]) {
    if let Ok(document) = Document::parse(input, 1 << 20) {
        assert!(!document.id.is_empty(), "every document has an id");
    }
    let parsed = json::parse(input);
    assert_eq!(parsed.as_ref().ok().map(spelled), oracle::read(input), "the same texts are taken, as the same values");
    let passed_over = Reader::new(input).and_then(|mut reader| reader.pass_over().and_then(|()| reader.end()));
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(input).is_ok() && core::str::from_utf8(input).is_ok();
    assert_eq!(passed_over.is_ok(), is_json, "what is passed over is JSON");
    let Ok(value) = parsed else { return };
    if let Value::Number(number) = value {
        let text = core::str::from_utf8(input).expect("a number is text").trim();
        assert_eq!(Ok(number), text.parse::<f64>().map(|number| number + 0.0), "a number is the nearest double");
    }
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

/// A value as the oracle spells it.
fn spelled(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => oracle::number(*number).0,
        Value::String(string) => format!("{string:?}"),
        Value::Array(elements) => format!("[{}]", elements.iter().map(spelled).collect::<Vec<_>>().join(",")),
        Value::Object(object) => {
            let members = object.iter().map(|(name, member)| format!("{name:?}:{}", spelled(member)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
    }
}
