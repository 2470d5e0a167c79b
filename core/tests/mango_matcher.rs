//! The meaning of selectors, held to what CouchDB answered.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{golden, value};
use firkin_core::query::Selector;

#[test]
fn matcher_answers_as_couchdb_did() {
    let vectors = golden("mango.json");
    let documents: Vec<_> =
        vectors["docs"].as_array().unwrap().iter().map(|document| (document, value(document))).collect();
    let (mut compared, mut failed) = (0, Vec::new());
    for case in vectors["cases"].as_array().unwrap() {
        let selector = Selector::parse(&value(&case["selector"])).unwrap();
        let ids: Vec<&str> = documents
            .iter()
            .filter(|(_, document)| selector.matches(document))
            .map(|(source, _)| source["_id"].as_str().unwrap())
            .collect();
        let expected: Vec<&str> = case["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        compared += 1;
        if ids != expected {
            failed.push(format!("{}: {ids:?}, not {expected:?}", case["selector"]));
        }
    }
    assert!(failed.is_empty(), "{} of {compared} differ:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(compared, 900);
}

#[test]
fn lists_of_in_need_no_order_and_may_be_long() {
    let every: Vec<serde_json::Value> = (0..20_000).rev().map(|i| serde_json::json!({ "n": i })).collect();
    let mut mixed = every;
    mixed.extend(["b", "a"].map(Into::into));
    mixed.extend([serde_json::json!(null), serde_json::json!([1]), serde_json::json!(true), serde_json::json!(-0.0)]);
    let selector =
        |operator: &str| Selector::parse(&value(&serde_json::json!({ "a": { operator: mixed.clone() } }))).unwrap();
    let (among, outside) = (selector("$in"), selector("$nin"));
    for (candidate, is_in) in [
        (serde_json::json!({ "n": 7 }), true),
        (serde_json::json!({ "n": 20_000 }), false),
        (serde_json::json!("a"), true),
        (serde_json::json!("c"), false),
        (serde_json::json!(0), true),
        (serde_json::json!(false), false),
        (serde_json::json!([[1], 3]), true),
        (serde_json::json!([1]), false),
        (serde_json::json!((20_000..40_000).map(|n| serde_json::json!({ "n": n })).collect::<Vec<_>>()), false),
    ] {
        let document = value(&serde_json::json!({ "a": candidate }));
        assert_eq!((among.matches(&document), outside.matches(&document)), (is_in, !is_in), "{candidate:.60}");
    }
}
