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
