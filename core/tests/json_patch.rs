//! JSON Patch: the examples of RFC 6902, what it says beside them, and another implementation as the oracle.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::value;
use firkin_core::json::{self, DEPTH_MAX, Patch, PatchError, Pointer, Value};
use proptest::prelude::*;

const BYTES_MAX: usize = 1 << 20;

fn parse(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap()
}

fn apply(document: &str, patch: &str) -> Result<Value, PatchError> {
    Patch::parse(&parse(patch))?.apply(&parse(document), BYTES_MAX)
}

/// RFC 6902, appendix A: the document, the patch, and what comes of it where that is no error.
const APPENDIX: [(&str, &str, &str, Option<&str>); 15] = [
    ("A.1", r#"{"foo":"bar"}"#, r#"[{"op":"add","path":"/baz","value":"qux"}]"#, Some(r#"{"baz":"qux","foo":"bar"}"#)),
    (
        "A.2",
        r#"{"foo":["bar","baz"]}"#,
        r#"[{"op":"add","path":"/foo/1","value":"qux"}]"#,
        Some(r#"{"foo":["bar","qux","baz"]}"#),
    ),
    ("A.3", r#"{"baz":"qux","foo":"bar"}"#, r#"[{"op":"remove","path":"/baz"}]"#, Some(r#"{"foo":"bar"}"#)),
    ("A.4", r#"{"foo":["bar","qux","baz"]}"#, r#"[{"op":"remove","path":"/foo/1"}]"#, Some(r#"{"foo":["bar","baz"]}"#)),
    (
        "A.5",
        r#"{"baz":"qux","foo":"bar"}"#,
        r#"[{"op":"replace","path":"/baz","value":"boo"}]"#,
        Some(r#"{"baz":"boo","foo":"bar"}"#),
    ),
    (
        "A.6",
        r#"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#,
        r#"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#,
        Some(r#"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#),
    ),
    (
        "A.7",
        r#"{"foo":["all","grass","cows","eat"]}"#,
        r#"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#,
        Some(r#"{"foo":["all","cows","eat","grass"]}"#),
    ),
    (
        "A.8",
        r#"{"baz":"qux","foo":["a",2,"c"]}"#,
        r#"[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]"#,
        Some(r#"{"baz":"qux","foo":["a",2,"c"]}"#),
    ),
    ("A.9", r#"{"baz":"qux"}"#, r#"[{"op":"test","path":"/baz","value":"bar"}]"#, None),
    (
        "A.10",
        r#"{"foo":"bar"}"#,
        r#"[{"op":"add","path":"/child","value":{"grandchild":{}}}]"#,
        Some(r#"{"foo":"bar","child":{"grandchild":{}}}"#),
    ),
    (
        "A.11",
        r#"{"foo":"bar"}"#,
        r#"[{"op":"add","path":"/baz","value":"qux","xyz":123}]"#,
        Some(r#"{"foo":"bar","baz":"qux"}"#),
    ),
    ("A.12", r#"{"foo":"bar"}"#, r#"[{"op":"add","path":"/baz/bat","value":"qux"}]"#, None),
    ("A.14", r#"{"/":9,"~1":10}"#, r#"[{"op":"test","path":"/~01","value":10}]"#, Some(r#"{"/":9,"~1":10}"#)),
    ("A.15", r#"{"/":9,"~1":10}"#, r#"[{"op":"test","path":"/~01","value":"10"}]"#, None),
    (
        "A.16",
        r#"{"foo":["bar"]}"#,
        r#"[{"op":"add","path":"/foo/-","value":["abc","def"]}]"#,
        Some(r#"{"foo":["bar",["abc","def"]]}"#),
    ),
];

#[test]
fn the_examples_of_rfc_6902_come_out_as_it_says() {
    for (name, document, patch, expected) in APPENDIX {
        let expected = expected.map(parse);
        match (apply(document, patch), expected) {
            (Ok(patched), Some(expected)) => assert!(json::collate(&patched, &expected).is_eq(), "{name}: {patched:?}"),
            (Err(PatchError::Missing { operation: 0, .. } | PatchError::TestFailed { operation: 0, .. }), None) => {}
            (outcome, expected) => panic!("{name}: {outcome:?}, not {expected:?}"),
        }
    }
    // A.13: an operation with two members called `op` is refused where it is read.
    assert!(json::parse(br#"[{"op":"add","path":"/baz","value":"qux","op":"remove"}]"#).is_err());
}

#[test]
fn a_patch_that_is_none_is_a_bad_request() {
    let malformed = [
        "{}",
        "3",
        "[3]",
        r#"[{"path":"/a"}]"#,
        r#"[{"op":"increment","path":"/a"}]"#,
        r#"[{"op":"add","path":"/a"}]"#,
        r#"[{"op":"add","value":1}]"#,
        r#"[{"op":"add","path":3,"value":1}]"#,
        r#"[{"op":"add","path":"a","value":1}]"#,
        r#"[{"op":"add","path":"/a~","value":1}]"#,
        r#"[{"op":"add","path":"/a~2","value":1}]"#,
        r#"[{"op":"move","path":"/a"}]"#,
        r#"[{"op":"copy","from":"a","path":"/a"}]"#,
        r#"[{"op":"move","from":"/a","path":"/a/b"}]"#,
        r#"[{"op":"move","from":"","path":"/a"}]"#,
        r#"[{"op":"remove","path":""}]"#,
    ];
    for patch in malformed {
        let report = apply(r#"{"a":{"b":1}}"#, patch).unwrap_err().report();
        assert_eq!((report.status, report.name), (400, "bad_request"), "{patch}: {}", report.reason);
    }
}

#[test]
fn a_patch_that_does_not_fit_is_a_conflict_that_names_operation_and_place() {
    let unfit = [
        ("/zero", r#"{"op":"remove","path":"/zero"}"#),
        ("/zero", r#"{"op":"replace","path":"/zero","value":1}"#),
        ("/zero", r#"{"op":"copy","from":"/zero","path":"/b"}"#),
        ("/zero", r#"{"op":"move","from":"/zero","path":"/b"}"#),
        ("/zero", r#"{"op":"test","path":"/zero","value":null}"#),
        ("/list/3", r#"{"op":"add","path":"/list/3","value":1}"#),
        ("/list/2", r#"{"op":"replace","path":"/list/2","value":1}"#),
        ("/list/-", r#"{"op":"remove","path":"/list/-"}"#),
        ("/list/-", r#"{"op":"test","path":"/list/-","value":1}"#),
        ("/list/01", r#"{"op":"add","path":"/list/01","value":1}"#),
        ("/list/00", r#"{"op":"remove","path":"/list/00"}"#),
        ("/list/-1", r#"{"op":"remove","path":"/list/-1"}"#),
        ("/list/+1", r#"{"op":"remove","path":"/list/+1"}"#),
        ("/list/", r#"{"op":"remove","path":"/list/"}"#),
        ("/list/99999999999999999999", r#"{"op":"remove","path":"/list/99999999999999999999"}"#),
        ("/one/x", r#"{"op":"add","path":"/one/x","value":1}"#),
        ("/a~1b/~0", r#"{"op":"add","path":"/a~1b/~0","value":1}"#),
    ];
    for (place, operation) in unfit {
        let patch = format!(r#"[{{"op":"test","path":"/one","value":1}},{operation}]"#);
        let error = apply(r#"{"one":1,"list":[1,2]}"#, &patch).unwrap_err();
        assert_eq!(error, PatchError::Missing { operation: 1, pointer: place.into() }, "{operation}");
        assert_eq!((error.report().status, error.report().name), (409, "conflict"));
    }
    let error = apply(r#"{"one":1}"#, r#"[{"op":"test","path":"/one","value":2}]"#).unwrap_err();
    assert_eq!(error, PatchError::TestFailed { operation: 0, pointer: "/one".into() });
    assert_eq!(error.report().status, 409);
}

#[test]
fn what_rfc_6902_says_beside_its_examples_holds() {
    let cases = [
        // The empty pointer is the whole value; the empty token is a member.
        (r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":[1]}]"#, "[1]"),
        (r#"{"a":1}"#, r#"[{"op":"add","path":"","value":{"b":2}}]"#, r#"{"b":2}"#),
        (r#"{"a":1}"#, r#"[{"op":"copy","from":"","path":"/b"}]"#, r#"{"a":1,"b":{"a":1}}"#),
        (r#"{"a":{"x":1}}"#, r#"[{"op":"move","from":"/a","path":""}]"#, r#"{"x":1}"#),
        (r#"{"":{"":1}}"#, r#"[{"op":"remove","path":"//"}]"#, r#"{"":{}}"#),
        (r#"{"a":1}"#, r#"[{"op":"test","path":"","value":{"a":1}}]"#, r#"{"a":1}"#),
        // An add over a member replaces it; one at the length of an array appends.
        (r#"{"a":1}"#, r#"[{"op":"add","path":"/a","value":null}]"#, r#"{"a":null}"#),
        (r#"[1]"#, r#"[{"op":"add","path":"/1","value":2}]"#, "[1,2]"),
        // Digits name members of objects, leading zeros and all.
        (r#"{"01":1,"-":2}"#, r#"[{"op":"remove","path":"/01"},{"op":"remove","path":"/-"}]"#, "{}"),
        // A move onto itself, and one past what it left.
        (r#"[1,2]"#, r#"[{"op":"move","from":"/0","path":"/0"}]"#, "[1,2]"),
        (r#"[1,2]"#, r#"[{"op":"move","from":"/0","path":"/1"}]"#, "[2,1]"),
        // Equality is that of values: numbers by what they are, objects whatever the order.
        (r#"{"a":1.0}"#, r#"[{"op":"test","path":"/a","value":1}]"#, r#"{"a":1}"#),
        (
            r#"{"a":{"x":1,"y":[2]}}"#,
            r#"[{"op":"test","path":"/a","value":{"y":[2],"x":1}}]"#,
            r#"{"a":{"x":1,"y":[2]}}"#,
        ),
        // Later operations see what earlier ones did.
        (r#"{}"#, r#"[{"op":"add","path":"/a","value":[]},{"op":"add","path":"/a/-","value":1}]"#, r#"{"a":[1]}"#),
    ];
    for (document, patch, expected) in cases {
        assert_eq!(apply(document, patch), Ok(parse(expected)), "{patch}");
    }
    // One place after a member of the array was taken out is beyond its end.
    assert!(apply("[1,2]", r#"[{"op":"move","from":"/0","path":"/2"}]"#).is_err());
}

#[test]
fn copies_cannot_grow_without_bounds() {
    let double = r#"{"op":"copy","from":"/a","path":"/a/-"}"#;
    let patch = format!("[{}]", vec![double; 60].join(","));
    // Each copy holds all before it: 60 of them would be beyond any memory, and nested too deep for any stack.
    let error = apply(r#"{"a":["xxxxxxxx"]}"#, &patch).unwrap_err();
    assert_eq!(error.report().status, 413, "{error}");
    let deepen = r#"{"op":"copy","from":"","path":"/a"}"#;
    let patch = format!("[{}]", vec![deepen; 400].join(","));
    let error = apply(r#"{"a":1}"#, &patch).unwrap_err();
    assert_eq!((error.report().status, error.report().name), (400, "bad_request"), "{error}");
}

#[test]
fn a_value_is_nested_as_deep_as_it_can_be_read_and_no_deeper() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(json::parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    assert!(json::parse(nested(DEPTH_MAX + 1).as_bytes()).is_err());
    // The patch is nested two deep itself, so what it can hold is put below two containers more.
    let document = r#"[{"a":{"b":1}}]"#;
    for op in ["add", "replace"] {
        let patch = |depth| format!(r#"[{{"op":"{op}","path":"/0/a/b","value":{}}}]"#, nested(depth));
        let deepest = apply(document, &patch(DEPTH_MAX - 3)).unwrap();
        let mut text = Vec::new();
        json::write(&deepest, &mut text);
        assert_eq!(json::parse(&text), Ok(deepest));
        assert_eq!(apply(document, &patch(DEPTH_MAX - 2)), Err(PatchError::TooDeep { operation: 0 }), "{op}");
    }
}

#[test]
fn pointers_are_written_as_they_are_read() {
    for text in ["", "/", "/a/0", "/a~1b/m~0n", "/ /\u{e9}", "//", "/-"] {
        assert_eq!(Pointer::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Pointer::parse("/a~1b/m~0n/~01").unwrap().tokens(), ["a/b", "m~n", "~1"]);
    assert_eq!(Pointer::parse("a"), None);
}

/// Documents of few names, so that pointers meet something.
fn any_document() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        (0i32..4).prop_map(serde_json::Value::from),
        "[ab/~]{0,2}".prop_map(serde_json::Value::from),
    ];
    scalar.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[ab0/~]", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_pointer() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "0", "1", "2", "-", "~1", "~0"]), 0..3)
        .prop_map(|tokens| tokens.iter().map(|token| format!("/{token}")).collect())
}

fn any_operation() -> impl Strategy<Value = serde_json::Value> {
    let names = prop::sample::select(vec!["add", "add", "remove", "replace", "move", "copy", "test"]);
    (names, any_pointer(), any_pointer(), any_document())
        // The other implementation refuses to move the whole value onto itself, which RFC 6902 does not.
        .prop_filter("the whole onto itself", |(op, path, from, _)| {
            *op != "move" || !(path.is_empty() && from.is_empty())
        })
        .prop_map(|(op, path, from, value)| serde_json::json!({ "op": op, "path": path, "from": from, "value": value }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_patch_does_what_another_implementation_does(
        document in any_document(),
        operations in prop::collection::vec(any_operation(), 1..5),
    ) {
        let patch = serde_json::Value::from(operations);
        let mut expected = document.clone();
        // Its other entry point undoes what failed, and panics where it cannot.
        let outcome = serde_json::from_value::<json_patch::Patch>(patch.clone())
            .map_err(|error| error.to_string())
            .and_then(|patch| json_patch::patch_unsafe(&mut expected, &patch).map_err(|error| error.to_string()));
        let ours = apply(&document.to_string(), &patch.to_string());
        match (ours, outcome) {
            (Ok(patched), Ok(())) => prop_assert_eq!(json::collate(&patched, &value(&expected)), std::cmp::Ordering::Equal),
            (Err(_), Err(_)) => {}
            (ours, theirs) => prop_assert!(false, "{} patched by {}: {:?}, not {:?}", document, patch, ours, theirs),
        }
    }
}
