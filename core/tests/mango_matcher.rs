//! The meaning of selectors, held to what CouchDB answered.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{golden, value};
use firkin_core::query::{QueryError, Selector};

/// `$regex` is not part of the language yet; every other case must give CouchDB's answer.
#[test]
fn matcher_answers_as_couchdb_did() {
    let vectors = golden("mango.json");
    let documents: Vec<_> =
        vectors["docs"].as_array().unwrap().iter().map(|document| (document, value(document))).collect();
    let (mut compared, mut failed) = (0, Vec::new());
    for case in vectors["cases"].as_array().unwrap() {
        let selector = match Selector::parse(&value(&case["selector"])) {
            Err(QueryError::InvalidOperator(name)) if name == "$regex" => continue,
            parsed => parsed.unwrap(),
        };
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
    assert!(compared > 800, "only {compared} cases were compared");
}
