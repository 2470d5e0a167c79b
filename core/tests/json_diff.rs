//! A difference is a JSON Patch that makes one value of another.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{any_value, value};
use firkin_core::json::{Patch, Value, collate, diff, write};
use proptest::prelude::*;
use serde_json::json;

/// The difference as text, read by the tests' own JSON.
fn told(from: &serde_json::Value, to: &serde_json::Value) -> serde_json::Value {
    let mut text = Vec::new();
    write(&diff(&value(from), &value(to)), &mut text);
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn difference_names_the_places_that_changed_and_no_others() {
    let from = json!({ "same": [1, { "x": 1 }], "a/b": 1, "gone": 1, "list": [1, 2, 3, 9] });
    let to = json!({ "same": [1, { "x": 1 }], "a/b": 2, "list": [1, 4, 9], "new": null });
    let expected = json!([
        { "op": "replace", "path": "/a~1b", "value": 2 },
        { "op": "remove", "path": "/gone" },
        { "op": "replace", "path": "/list/1", "value": 4 },
        { "op": "remove", "path": "/list/2" },
        { "op": "add", "path": "/new", "value": null },
    ]);
    assert_eq!(told(&from, &to), expected);
    assert_eq!(
        told(&json!([1, 3]), &json!([1, 2, 2, 3])),
        json!([
            { "op": "add", "path": "/1", "value": 2 },
            { "op": "add", "path": "/2", "value": 2 },
        ])
    );
    assert_eq!(told(&json!(1), &json!({})), json!([{ "op": "replace", "path": "", "value": {} }]));
}

proptest! {
    #[test]
    fn difference_applied_makes_the_other_value(from in any_value(), to in any_value()) {
        // Values that share a part, so that there is something to walk into.
        let pair = |one: &Value, other: &Value| Value::Array(vec![one.clone(), from.clone(), other.clone()]);
        for (from, to) in [(from.clone(), to.clone()), (pair(&from, &to), pair(&to, &to)), (pair(&to, &from), from.clone())] {
            let patch = Patch::parse(&diff(&from, &to)).unwrap();
            prop_assert!(collate(&patch.apply(&from, 0).unwrap(), &to).is_eq());
        }
    }

    #[test]
    fn equal_values_differ_by_nothing(value in any_value()) {
        prop_assert_eq!(diff(&value, &value), Value::Array(Vec::new()));
    }
}
